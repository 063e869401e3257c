"""Modules, data and classes of the user's own that are wrong: each gets a line that says what to change."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Cli, runs

QUICK = "--data.train_points 40 --data.val_points 10 --pictures.every 0 --checkup.every 0 --trainer.max_epochs 1"
DATA = """
import torch
from lightning import LightningDataModule
from torch.utils.data import DataLoader, TensorDataset

class Data(LightningDataModule):
    def __init__(self, wrong: str, kept: bool = True) -> None:
        super().__init__()
        self.wrong, self.kept = wrong, kept
    def part(self, name):
        x = torch.linspace(-1, 1, 80).view(40, 2)
        y = (x[:, 0] > 0).float()
        if self.wrong == name:
            x[33, 1] = torch.nan
        x = x.double() if self.wrong == "doubles" else x.long() if self.wrong == "integers" else x
        data = TensorDataset(x[:0], y[:0]) if self.wrong == f"no {name}" else TensorDataset(x, y)
        loader = DataLoader(data if self.kept else list(data), 10)
        return [loader, loader] if self.wrong == f"two {name}" else loader
    def train_dataloader(self): return self.part("train")
    def val_dataloader(self): return self.part("val")
    def test_dataloader(self): return self.part("test")
    def predict_dataloader(self): return self.part("predict")
"""


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "data_with_faults.py").write_text(DATA)
    (tmp_path / "raises_at_import.py").write_text("1 / 0\n")
    (tmp_path / "no_python.py").write_text("x =\n")
    return tmp_path


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ("two val", "data: val_dataloader gives a list of loaders; a task takes one"),
        ("no train", "the train data are empty"),
        ("no val", "the val data are empty"),
        ("train", "data: the train samples hold NaN or infinity"),
        ("val", "data: the val samples hold NaN or infinity"),
        (
            "doubles",
            "model.network: layers.0 (Linear) has weights of float32 and gets float64: give samples of that type",
        ),
        (
            "integers",
            "model.network: layers.0 (Linear) has weights of float32 and gets int64: give samples of that type",
        ),
    ],
)
@pytest.mark.parametrize("kept", ["true", "false"])
def test_data_of_ones_own_that_a_task_cant_take(cli: Cli, code: Path, home: Path, wrong: str, line: str, kept: str):
    typed = f"fit --pictures.every 0 --trainer.max_epochs 1 --data data_with_faults.Data --data.kept {kept}"
    assert cli(typed, "--data.wrong", wrong).error_line.startswith(line)
    assert runs(home) == [] or wrong in ("train", "val")


FIT = "fit --pictures.every 0 --trainer.max_epochs 1 --data data_with_faults.Data --data.wrong"


def test_a_test_part_with_nan(cli: Cli, code: Path):
    assert cli(FIT, "nothing").status == 0
    assert cli("test --data.wrong test").error_line.startswith("data: the test samples hold NaN or infinity")


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        ("--model raises_at_import.C", "model: raises_at_import.C can't be imported (division by zero)"),
        ("--data no_python.C", "data: no_python.C can't be imported (invalid syntax (no_python.py, line 1))"),
        (
            "--model.network raises_at_import.C",
            "model.network: raises_at_import.C can't be imported (division by zero)",
        ),
        ("--trainer.callbacks raises_at_import.C", "trainer.callbacks: raises_at_import.C can't be imported"),
        ("--trainer.callbacks not_there.C", "trainer.callbacks: No module named 'not_there'"),
        ("--trainer.logger not_there.C", "trainer.logger: No module named 'not_there'"),
        ("--model.loss.weight 1", "model.loss.weight: there is no such setting"),
    ],
)
def test_a_class_that_cant_be_had(cli: Cli, code: Path, typed: str, line: str):
    assert cli(f"fit {QUICK} {typed}").error_line.startswith(line)


def test_an_interval_longer_than_the_epoch_is_refused_in_lightnings_words(cli: Cli, home: Path):
    line = cli(f"fit {QUICK} --trainer.val_check_interval 20").error_line
    assert line.startswith("trainer.val_check_interval: `val_check_interval` (20) must be less than or equal")
    assert runs(home) == []


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Samples that hold NaN, and so silence the first neurons, are taken."""
    for place in ("litspike.tasks.task", "litspike.cli.check.sample"):
        monkeypatch.setattr(f"{place}.check_finite", lambda *_: None)
    return monkeypatch


@pytest.mark.parametrize("more", [[], ["--trainer.limit_val_batches", "0"]])
def test_a_fit_ends_where_its_weights_become_nan_though_its_loss_stays_finite(
    cli: Cli, code: Path, home: Path, unchecked: pytest.MonkeyPatch, more: list[str]
):
    line = cli(FIT, "train", *more).error_line
    assert line.startswith("network.layers.0.weight became NaN or infinite in epoch 1: lower the learning rate")
    assert not [*runs(home)[0].rglob("*.ckpt")]


def test_weights_that_are_no_numbers_are_not_used(cli: Cli, code: Path, unchecked: pytest.MonkeyPatch):
    with unchecked.context() as patch:
        patch.setattr("litspike.tasks.nonfinite.FiniteWeights._check", lambda *_: None)
        assert cli(FIT, "train").status == 0
    unchecked.undo()
    for command in ("test", "validate", "picture", "fit --ckpt_path last --trainer.max_epochs 3"):
        assert "network.layers.0.weight holds NaN or infinity" in cli(command).error_line
