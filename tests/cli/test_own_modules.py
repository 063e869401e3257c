"""A LightningModule and a data module of the user's own go through every command, or a line says what to do."""

from __future__ import annotations

import csv
import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import LightningDataModule, LightningModule
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.utils.data import DataLoader, TensorDataset

from litspike import LIF, Perceptron
from litspike.settings import LitspikeWarning
from tests.conftest import Cli, runs


class Net(LightningModule):
    """As the Lightning tutorials write one, with a spiking network inside."""

    def __init__(self, answer: str = "tensor") -> None:
        super().__init__()
        self.spiking, self.kind = Perceptron([2, 4, 1], LIF()), answer

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.spiking(x.expand(8, *x.shape))[0].mean(0).squeeze(1)
        return logits

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        return self._logged("train", batch)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self._logged("val", batch)

    def test_step(self, batch: Any, batch_idx: int) -> None:
        self._logged("test", batch)

    def predict_step(self, batch: Any, batch_idx: int) -> Any:
        logits = self(batch[0])
        return {"tensor": logits, "named": {"logit": logits}, "list": [logits], "nan": logits * torch.nan}[self.kind]

    def configure_optimizers(self) -> Any:
        return torch.optim.Adam(self.parameters(), lr=0.01)

    def _logged(self, stage: str, batch: Any) -> Tensor:
        loss = binary_cross_entropy_with_logits(self(batch[0]), batch[1])
        self.log(f"{stage}_loss", loss)
        return loss


class Mute(Net):
    """It logs nothing."""

    def _logged(self, stage: str, batch: Any) -> Tensor:
        return binary_cross_entropy_with_logits(self(batch[0]), batch[1])


class Points(LightningDataModule):
    """As the Lightning tutorials write one."""

    def _loader(self, seed: int) -> Any:
        x = torch.randn(60, 2, generator=torch.Generator().manual_seed(seed))
        return DataLoader(TensorDataset(x, (x[:, 0] > 0).float()), batch_size=20)

    def train_dataloader(self) -> Any:
        return self._loader(0)

    def val_dataloader(self) -> Any:
        return self._loader(1)

    def test_dataloader(self) -> Any:
        return self._loader(2)

    def predict_dataloader(self) -> Any:
        return self._loader(2)


@pytest.fixture
def mine(home: Path) -> str:
    """A configuration with both, as an argument."""
    (home / "mine.yaml").write_text("""
model: {class_path: tests.cli.test_own_modules.Net}
data: {class_path: tests.cli.test_own_modules.Points}
trainer: {max_epochs: 2}
""")
    return f"-c {home}/mine.yaml"


def test_the_metric_to_choose_by_is_named_before_training(cli: Cli, home: Path, mine: str):
    refused = cli(f"fit {mine}")
    line = refused.error_line
    assert "epoch" not in refused.out
    assert line.startswith("checkpoint.monitor: 'val/loss' is no metric of this fit, Net logs ")
    assert "val_loss" in line
    assert line.endswith(": set --checkpoint.monitor to one of them")
    mute = cli(f"fit {mine} --model tests.cli.test_own_modules.Mute").error_line
    assert mute.endswith("for Mute logs none: give it one by self.log in its validation_step")


class Several(Net):
    """It is validated, tested and predicts on several sets of data."""

    def validation_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        self._logged("val", batch)

    def test_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        self._logged("test", batch)

    def predict_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> Any:
        return self(batch[0])


class Sets(Points):
    """Two loaders of each part but training."""

    def val_dataloader(self) -> Any:
        return [self._loader(1), self._loader(2)]

    def test_dataloader(self) -> Any:
        return [self._loader(3), self._loader(4)]

    predict_dataloader = test_dataloader


def test_several_loaders_are_validated_tested_and_predicted_by_a_module_that_takes_them(
    cli: Cli, home: Path, mine: str
):
    sets = f"{mine} --model tests.cli.test_own_modules.Several --data tests.cli.test_own_modules.Sets"
    refused = cli(f"fit {sets} --checkpoint.monitor val_loss")
    line = refused.error_line
    assert line.startswith("checkpoint.monitor: 'val_loss' is no metric of this fit, Several logs val_loss/dataloader_")
    assert (refused.out.count("epoch"), runs(home, "mine")) == (0, [])
    short = cli(f"fit {mine} --data tests.cli.test_own_modules.Sets --checkpoint.monitor val_loss/dataloader_idx_0")
    assert "no `dataloader_idx` argument in `Net.validation_step()`" in short.error_line
    assert (short.out.count("epoch"), runs(home, "mine")) == (0, [])
    fitted = cli(f"fit {sets} --checkpoint.monitor val_loss/dataloader_idx_1")
    assert fitted.status == 0, fitted.err
    (run,) = runs(home, "mine")
    assert (run / "checkpoints" / "best.ckpt").is_file()
    tested = cli(f"test {mine}")
    assert tested.status == 0, tested.err
    assert "loss/dataloader_idx_1" in tested.out
    assert cli(f"predict {mine}").status == 0
    assert len((run / "predictions.csv").read_text().splitlines()) == 121


def test_test_metrics_choose_nothing_whatever_they_are_called(cli: Cli, mine: str):
    assert "checkpoint.monitor" in cli(f"fit {mine} --checkpoint.monitor test_loss").error_line


def test_a_module_of_ones_own_is_fitted_tested_and_predicts(cli: Cli, home: Path, mine: str):
    fitted = cli(f"fit {mine} --checkpoint.monitor val_loss")
    assert fitted.status == 0, fitted.err
    assert "train loss 0." in fitted.out
    assert "  val loss 0." in fitted.out
    (run,) = runs(home, "mine")
    tested = cli(f"test {mine}")
    assert tested.status == 0, tested.err
    assert "None" not in tested.out + (run / "receipt.md").read_text()
    assert [line.split()[1] for line in tested.out.splitlines() if line.startswith("│ ")] == ["loss"]
    assert json.loads((run / "receipt.json").read_text())["figures"]["loss"]["value"] > 0
    assert {"val/loss", "test/loss"} <= json.loads((run / "run.json").read_text())["figures"].keys()
    assert cli(f"predict {mine}").status == 0
    rows = list(csv.reader((run / "predictions.csv").open()))
    assert (rows[0], len(rows)) == (["value"], 61)
    assert cli(f"predict {mine} --model.answer named").status == 0
    assert next(csv.reader((run / "predictions.csv").open())) == ["logit"]


def test_what_can_not_be_drawn_or_written_is_a_line(cli: Cli, home: Path, mine: str):
    assert cli(f"fit {mine} --checkpoint.monitor val_loss --trainer.max_epochs 1").status == 0
    (run,) = runs(home, "mine")
    assert cli(f"picture {mine}").error_line.startswith("picture: Net is no litspike.tasks.Task")
    line = cli(f"predict {mine} --model.answer list").error_line
    assert line.startswith("predict: predict_step of Net has to return a tensor with a row for each sample")
    line = cli(f"predict {mine} --model.answer nan").error_line
    assert line.startswith("predict: the network's answers (value) are NaN or infinite, and nothing was written")
    assert not (run / "predictions.csv").exists()


@pytest.mark.parametrize("command", ["test", "validate", "predict", "picture"])
def test_a_checkpoint_whose_weights_are_nan_is_a_line(cli: Cli, home: Path, command: str):
    quick = "--trainer.max_epochs 1 --data.train_points 20 --data.val_points 20 --pictures.every 0"
    assert cli(f"fit {quick}").status == 0
    (run,) = runs(home)
    patch = pytest.MonkeyPatch()
    from litspike.tasks import Task

    original = Task.respond

    def respond(self: Task, x: Tensor, state: Any = None) -> Any:
        values, outputs, after = original(self, x, state)
        return values * torch.nan, outputs, after

    patch.setattr(Task, "respond", respond)
    try:
        line = cli(command).error_line
    finally:
        patch.undo()
    assert ("loss is nan: look at the weights" in line) == (command != "predict")
    assert ("are NaN or infinite, and nothing was written" in line) == (command == "predict")
    assert not (run / "predictions.csv").exists()


def test_a_loader_that_can_not_go_on_inside_an_epoch_is_said_in_a_line(cli: Cli, home: Path, mine: str):
    assert cli(f"fit {mine} --checkpoint.monitor val_loss --trainer.max_steps 2").status == 0
    with pytest.warns() as said:
        assert cli("fit --ckpt_path last --trainer.max_steps 6").status == 0
    lines = [str(warning.message) for warning in said]
    assert [line for line in lines if "DataLoader has no state_dict and load_state_dict" in line and len(line) < 200]
    assert not [line for line in lines if "is not resumable" in line]
    with warnings.catch_warnings():
        warnings.simplefilter("error", LitspikeWarning)  # between two epochs
        assert cli("fit --ckpt_path last --trainer.max_steps 9 --trainer.max_epochs 3").status == 0


def test_a_checkpoint_of_weights_alone_brings_its_configuration_and_one_without_says_so(cli: Cli, home: Path):
    kept = home / "kept"
    (home / "mine.yaml").write_text(
        "trainer: {callbacks: [{class_path: lightning.pytorch.callbacks.ModelCheckpoint, init_args: "
        f"{{dirpath: {kept}, save_weights_only: true}}}}]}}\n"
        "model: {init_args: {network: {init_args: {neuron: {init_args: {decay: 0.3}}}}}}\n"
    )
    small = "--trainer.max_epochs 1 --data.train_points 20 --data.val_points 20 --pictures.every 0"
    assert cli(f"fit -c {home}/mine.yaml {small}").status == 0
    (path,) = kept.glob("*.ckpt")
    whole = torch.load(path, weights_only=True)
    assert "optimizer_states" not in whole
    assert "decay: 0.3" in whole["litspike"]["config"]
    assert cli(f"test --ckpt_path {path}").err == ""
    del whole["litspike"]
    torch.save(whole, home / "bare.ckpt")
    with pytest.warns(LitspikeWarning, match="bare.ckpt holds no configuration"):
        assert cli(f"test --ckpt_path {home}/bare.ckpt").status == 0
