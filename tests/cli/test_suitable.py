"""A network that doesn't suit the data is refused before training, by the layer or the setting that has to change."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch

from litspike import LIF, Perceptron
from litspike.cli.check.sample import Suitable
from litspike.networks.watch import evaluation_mode
from litspike.tasks import BinaryCrossEntropy
from tests.conftest import Cli, runs

QUICK = "--pictures.every 0 --trainer.max_epochs 1"
OWN = """
from torch import nn


class Own(nn.Module):
    def __init__(self, kind: str, inputs: int = 2):
        super().__init__()
        self.kind, self.first, self.last = kind, nn.Linear(inputs, 4), nn.Linear(6 if kind == "last" else 4, 1)
        if kind == "double":
            self.double()
        if kind == "convolution":
            self.first = nn.Conv2d(1, 4, 3)
        if kind == "pool":
            self.first = nn.MaxPool2d(5)
        if kind == "normalised":
            self.first = nn.Sequential(nn.Linear(inputs, 4), nn.BatchNorm1d(9))

    def forward(self, x, state=None):
        y = self.last(self.first(x))
        return y if self.kind == "bare" else (y.mean(0), ()) if self.kind == "mean" else (y, ())
"""
TABLE = "--data litspike.data.Arrays --data.path three.npz"
SEQUENCES = "--data litspike.data.Arrays --data.path sequences.npz"
REGRESSION = (
    "--model litspike.tasks.Regression --data litspike.data.Arrays --data.task regression "
    "--model.encoder litspike.coding.{encoder} --model.network litspike.networks.Perceptron "
    "--model.network.neuron litspike.neurons.LIF --model.readout litspike.coding.MeanOverTime"
)
RATES = "--model.readout litspike.coding.LinearOfRates --model.readout.outputs 1"
FIRST = "model.network: layers.0 (Linear) takes"

LATE = """
import torch
from lightning import LightningDataModule
from torch.utils.data import DataLoader, Dataset, TensorDataset


class Samples(Dataset):
    def __init__(self, wrong):
        self.wrong = wrong

    def __len__(self):
        return 40

    def __getitem__(self, index):
        return torch.zeros(2), torch.tensor(2.0 if index == 30 and self.wrong else float(index % 2))


class Late(LightningDataModule):
    def __init__(self, wrong: str):
        super().__init__()
        self.wrong = wrong

    def train_dataloader(self):
        return DataLoader(Samples(self.wrong == "train"), 10)

    def val_dataloader(self):
        return DataLoader(Samples(self.wrong == "val"), 10)


class Alone(LightningDataModule):
    def __init__(self, of: str):
        super().__init__()
        self.of = of

    def train_dataloader(self):
        if self.of == "several":
            return {"a": DataLoader(Samples(False), 10)}
        if self.of == "three":
            return DataLoader([(torch.zeros(2), torch.tensor(0.0), 1)] * 4, 2)
        if self.of == "doubles":
            return DataLoader([(torch.zeros(2, dtype=torch.float64), torch.tensor(0.0))] * 4, 2)
        if self.of == "bare":
            return DataLoader(TensorDataset(torch.zeros(40, 2)), 10)
        return DataLoader([] if self.of == "nothing" else Samples(False), 10)

    def test_dataloader(self):
        return [self.train_dataloader()] * 2

    def predict_dataloader(self):
        return DataLoader(TensorDataset(torch.zeros(40, 2)), 10)
"""


@pytest.fixture
def files(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project of the test, as the current folder, with data of several forms and a network of the user's own."""
    draw = np.random.default_rng(0)
    np.savez(home / "three.npz", x=draw.normal(size=(60, 13)), y=np.arange(60) % 3)
    np.savez(home / "sequences.npz", x=draw.normal(size=(60, 7, 5)), y=np.arange(60) % 2)
    np.savez(home / "targets.npz", x=draw.normal(size=(60, 4)), y=draw.normal(size=(60, 3)))
    np.savez(home / "steps.npz", x=draw.normal(size=(60, 7, 4)), y=draw.normal(size=(60, 7, 3)))
    (home / "network_of_my_own.py").write_text(OWN)
    (home / "data_of_my_own.py").write_text(LATE)
    monkeypatch.chdir(home)
    monkeypatch.syspath_prepend(str(home))
    return home


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (TABLE, f"{FIRST} 2 inputs and gets 13: set the first of model.network.sizes to 13"),
        (f"{TABLE} --model.network.sizes [13,8,1]", "the label 2 is not one of 0 to 1: one logit tells two classes"),
        (
            f"{TABLE} --model.network.sizes [13,8,2] --model.loss litspike.tasks.CrossEntropy",
            "the label 2 is not one of 0 to 1: the network gives 2 outputs a sample, one for each class; set the last "
            "of model.network.sizes to 3",
        ),
        (
            f"{SEQUENCES} --model.network.sizes [5,8,1]",
            "the network gives [7, 1] outputs a sample; two classes need one logit; a sample that is a sequence goes",
        ),
        (
            f"{SEQUENCES} --model.network.sizes [6,8,1]",
            f"{FIRST} 6 inputs and gets 5: the samples are sequences [7, 5]",
        ),
        (
            f"{SEQUENCES} --model.network.sizes [6,8,1] --model.encoder litspike.coding.TimeFirst",
            f"{FIRST} 6 inputs and gets 5: set the first of model.network.sizes to 5",
        ),
        (
            f"{SEQUENCES} --model.network.sizes [6,8,1] --model.encoder litspike.coding.TimeFirst "
            "--model.network litspike.networks.RecurrentNetwork",
            f"{FIRST} 6 inputs and gets 5: set the first of model.network.sizes to 5",
        ),
        (
            f"{REGRESSION.format(encoder='ConstantCurrent')} --data.path targets.npz --model.network.sizes [4,8,2]",
            "the network gives [2] values a sample; the targets are [3]; set the last of model.network.sizes to 3",
        ),
        (
            f"{REGRESSION.format(encoder='TimeFirst')} --data.path steps.npz --model.network.sizes [4,8,3]",
            "the network gives [3] values a sample; the targets are [7, 3], those of every step: the readout litspike",
        ),
        (
            "--model.network litspike.networks.ConvNet --model.network.input_shape [1,4,4] "
            "--model.network.channels [2]",
            "model.network: layers.0 (Conv2d) takes [channels, height, width] and gets [2]: the samples are [2]",
        ),
        ("--model.network network_of_my_own.Own --model.network.kind last", "model.network: last (Linear) takes 6 inp"),
        (
            "--model.network network_of_my_own.Own --model.network.kind x --model.network.inputs 5",
            "model.network: first (Linear) takes 5 inputs and gets 2",
        ),
        (
            "--model.network network_of_my_own.Own --model.network.kind double",
            "model.network: first (Linear) has weights of float64 and gets float32",
        ),
        (
            "--model.network network_of_my_own.Own --model.network.kind convolution",
            "model.network: first (Conv2d) takes [channels, height, width] and gets ",
        ),
        (
            "--model.network network_of_my_own.Own --model.network.kind pool",
            "model.network: first (MaxPool2d) can't take",
        ),
        (
            "--model.network network_of_my_own.Own --model.network.kind normalised",
            "model.network: first.1 (BatchNorm1d) takes 9 channels and gets 1",
        ),
        (
            "--model.network network_of_my_own.Own --model.network.kind bare",
            "model.network: Own gives [16, 1, 1] for [16, 1, 2]; it must return (outputs [T, B, *], state)",
        ),
        ("--model.network network_of_my_own.Own --model.network.kind mean", "model.network: Own gives [1, 1] for [16"),
        ("--model.encoder torch.nn.Flatten", "model.encoder: Flatten gives [1, 2] for one sample; it must give [T, 1"),
        ("--model.readout torch.nn.Flatten", "model.readout: Flatten gives [16, 1]; one sample needs [1, *]"),
        (
            "--model.network.batch_norm true --model.encoder.steps 1 --data.train_points 51",
            "data.batch_size: a batch of one sample gives layers.1 (BatchNorm1d) one value a channel",
        ),
        (
            f"{RATES} --model.readout.inputs 1 --data.train_points 51",
            "data.batch_size: a batch of one sample gives standardise (BatchNorm1d) one value a channel",
        ),
        (f"{RATES} --model.readout.inputs 2", "model.readout: LinearOfRates can't take what it gets (running_mean"),
    ],
)
def test_what_does_not_suit_is_named(cli: Cli, files: Path, arguments: str, line: str):
    assert cli(f"fit {QUICK} {arguments}").error_line.startswith(line)
    assert not any((files / "logs").rglob("*.ckpt"))


@pytest.mark.parametrize("command", ["test", "validate", "predict", "picture"])
def test_a_checkpoint_meets_data_of_another_form(cli: Cli, files: Path, command: str):
    assert cli(f"fit {QUICK} --data.train_points 20").status == 0
    best = runs(files)[0] / "checkpoints" / "best.ckpt"
    line = cli(f"{command} --ckpt_path {best} --data litspike.data.Arrays --data.path sequences.npz").error_line
    assert line.startswith(f"{FIRST} 2 inputs and gets 5")


def test_the_look_changes_no_weight_and_no_random_state(cli: Cli, files: Path, monkeypatch: pytest.MonkeyPatch):
    draws = (
        "--model.encoder litspike.coding.ConstantCurrent --model.network.dropout 0.3 --model.network.batch_norm true"
    )
    cli(f"fit {QUICK} {draws} --data.train_points 60")
    monkeypatch.setattr(Suitable, "_check", lambda *_: None)
    cli(f"fit {QUICK} {draws} --data.train_points 60")
    with_it, without = (
        torch.load(run / "checkpoints/last.ckpt", weights_only=True)["state_dict"] for run in runs(files)
    )
    assert all(torch.equal(with_it[name], without[name]) for name in without)


@pytest.mark.parametrize(
    ("scheduler", "line"),
    [
        ("StepLR --model.scheduler.step_size 0", "integer modulo by zero"),
        ("CosineAnnealingLR --model.scheduler.T_max 0", ""),
        ("LRScheduler", "torch.optim.lr_scheduler.LRScheduler has no method get_lr or step"),
        (
            "CyclicLR --model.scheduler.base_lr 0.1 --model.scheduler.max_lr 1 --model.scheduler.step_size_up 0",
            "float div",
        ),
    ],
)
def test_a_scheduler_that_fails_at_its_first_step(cli: Cli, files: Path, scheduler: str, line: str):
    said = cli(f"fit {QUICK} --model.scheduler torch.optim.lr_scheduler.{scheduler}").error_line
    assert said.startswith(f"model.scheduler: {line}")


def test_a_scheduler_is_tried_without_a_trace(cli: Cli, files: Path, monkeypatch: pytest.MonkeyPatch):
    scheduler = "--model.scheduler torch.optim.lr_scheduler.StepLR --model.scheduler.step_size 1"
    cli(f"fit {QUICK} {scheduler} --data.train_points 60")
    monkeypatch.setattr("litspike.cli.check.sample.check_schedulers", lambda *_: None)
    cli(f"fit {QUICK} {scheduler} --data.train_points 60")
    with_it, without = (torch.load(run / "checkpoints/last.ckpt", weights_only=True) for run in runs(files))
    assert with_it["lr_schedulers"] == without["lr_schedulers"]
    assert all(torch.equal(with_it["state_dict"][name], value) for name, value in without["state_dict"].items())


@pytest.mark.parametrize("part", ["train", "val"])
def test_a_label_out_of_range_in_a_later_batch(cli: Cli, files: Path, part: str):
    line = cli(f"fit {QUICK} --data data_of_my_own.Late --data.wrong {part}").error_line
    assert line.startswith("the label 2 is not one of 0 to 1")


def test_no_batch_is_checked_again_where_all_labels_were_seen(cli: Cli, files: Path, monkeypatch: pytest.MonkeyPatch):
    checks: list[int] = []
    check = BinaryCrossEntropy.check

    def counting(self: BinaryCrossEntropy, shape: torch.Size, target: torch.Tensor) -> None:
        checks.append(len(target))
        check(self, shape, target)

    monkeypatch.setattr(BinaryCrossEntropy, "check", counting)
    assert cli(f"fit {QUICK} --data.train_points 60 --data.val_points 30").status == 0
    assert checks == [60, 30]
    checks.clear()
    assert cli(f"fit {QUICK} --data data_of_my_own.Late --data.wrong nowhere --trainer.max_epochs 2").status == 0
    assert checks == [1, 1, *[10] * 8]


@pytest.mark.parametrize(
    ("of", "line"),
    [
        ("doubles", "model.network: layers.0 (Linear) has weights of float32 and gets float64"),
        ("nothing", "the train data are empty"),
        ("several", "data: train_dataloader gives a "),
        ("three", "data: a batch is a list of 3; a task takes (x, y)"),
        ("bare", "data: a batch is a tuple of 1; a task takes (x, y)"),
    ],
)
def test_data_of_ones_own_without_validation(cli: Cli, files: Path, of: str, line: str):
    assert cli(f"fit {QUICK} --data data_of_my_own.Alone --data.of {of}").error_line.startswith(line)


def test_data_of_ones_own_for_a_test_and_a_prediction(cli: Cli, files: Path):
    own = "--data data_of_my_own.Alone --data.of"
    assert cli(f"fit {QUICK} --data.train_points 20").status == 0
    assert cli(f"test {own} two").error_line.startswith("data: test_dataloader gives a list of loaders; a task takes")
    assert (predicted := cli(f"predict {own} rows")).status == 0, predicted.err
    rows = (runs(files)[0] / "predictions.csv").read_text().splitlines()
    assert rows[0] == "x0,x1,probability,class"
    assert len(rows) == 41


@pytest.mark.parametrize("fails", [False, True])
def test_the_look_at_one_sample_leaves_every_module_in_its_mode(fails: bool):
    network = Perceptron([2, 4, 1], LIF())
    network.layers[1].eval()
    before = {name: module.training for name, module in network.named_modules()}
    with suppress(ValueError), evaluation_mode(network):
        assert not any(module.training for module in network.modules())
        if fails:
            raise ValueError
    assert {name: module.training for name, module in network.named_modules()} == before


@pytest.mark.parametrize("typed", ["--model.network.sizes [3,1]", "--model.optimizer torch.optim.SparseAdam"])
def test_a_fit_that_comes_to_no_step_names_no_folder(cli: Cli, home: Path, typed: str):
    refused = cli(f"fit {QUICK} --data.train_points 20 {typed}")
    assert refused.status == 1
    assert "run: " not in refused.out
    assert runs(home) == []
