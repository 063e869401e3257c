"""A loss, a regulariser or a network of the user's own that doesn't suit: one line says what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from litspike.tasks import BinaryCrossEntropy, ClassificationLoss, Loss, RateBand
from tests.conftest import Cli, runs

QUICK = "--trainer.max_epochs 1 --data.train_points 20 --data.val_points 10 --pictures.every 0"
HERE = "tests.cli.test_own_parts"


class NoLoss(nn.Module):
    """As torch's losses are."""


class Unfinished(ClassificationLoss):
    """It has one method of four."""

    def __call__(self, value: Any, outputs: Any, target: Any, lengths: Any = None) -> Any:
        return value.mean()


class UnfinishedRegression(Loss):
    """It has one method of two."""

    def __call__(self, value: Any, outputs: Any, target: Any, lengths: Any = None) -> Any:
        return value.mean()


class TwoArguments(BinaryCrossEntropy):
    """As torch's losses are called."""

    def __call__(self, logits: Any, target: Any) -> Any:  # type: ignore[override]
        return logits.mean()


class NoArgument(RateBand):
    """It takes no spikes."""

    def __call__(self) -> Any:  # type: ignore[override]
        return 0


class Gives(BinaryCrossEntropy):
    """It gives something else than a number with a gradient."""

    def __init__(self, what: str = "rows") -> None:
        super().__init__()
        self.what = what

    def __call__(self, value: Any, outputs: Any, target: Any, lengths: Any = None) -> Any:
        loss = super().__call__(value, outputs, target, lengths)
        return {"rows": value[:, 0], "float": 0.5, "none": None, "detached": loss.detach(), "one": loss[None]}[
            self.what
        ]


class Penalty(RateBand):
    """It gives a penalty of each layer."""

    def __call__(self, spikes: Any, lengths: Any = None) -> Any:
        return torch.stack([spikes[0].mean(), spikes[0].mean()])


class Needs(BinaryCrossEntropy):
    """Its argument has neither a type nor a default."""

    def __init__(self, gamma) -> None:  # type: ignore[no-untyped-def]
        super().__init__()
        self.gamma = float(gamma)


REGRESSION = "--model litspike.tasks.Regression"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            f"--model.loss {HERE}.NoLoss",
            f"model.loss: {HERE}.NoLoss is no ClassificationLoss: take BinaryCrossEntropy, CrossEntropy, "
            "MultiLabelCrossEntropy, TemporalCrossEntropy or a class derived from litspike.tasks.ClassificationLoss",
        ),
        (f"--model.loss {HERE}.Unfinished", f"model.loss: {HERE}.Unfinished has no method check, predictions, "),
        (f"{REGRESSION} --model.loss {HERE}.UnfinishedRegression", "model.loss: {}.UnfinishedRegression has no method"),
        (f"--model.optimizer {HERE}.NoLoss", "model.optimizer: {}.NoLoss is no Optimizer"),
        (f"--model.scheduler {HERE}.NoLoss", "model.scheduler: {}.NoLoss is no LRScheduler"),
        (f"--model.regulariser {HERE}.NoLoss", "model.regulariser: {}.NoLoss is no RateBand: take a class derived"),
        (f"--model.network.neuron {HERE}.NoLoss", "model.network.neuron: {}.NoLoss is no NeuronLayer: take Adaptive"),
        (f"--trainer.plugins {HERE}.NoLoss", "trainer.plugins: {}.NoLoss is no Precision, ClusterEnvironment, "),
        (f"--model.loss {HERE}.Needs", "model.loss.gamma: it must be set"),
        (f"--model.loss {HERE}.TwoArguments", "model.loss: TwoArguments.__call__ is called with (value, outputs, targ"),
        (f"--model.regulariser {HERE}.NoArgument", "model.regulariser: NoArgument.__call__ is called with (spikes)"),
    ],
)
def test_what_does_not_suit_is_said_before_training(cli: Cli, home: Path, arguments: str, line: str):
    assert cli(f"fit {QUICK} {arguments}").error_line.startswith(line.format(HERE))
    assert runs(home) == []


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            f"--model.loss {HERE}.Gives",
            "model.loss: Gives gives a tensor [10] for a batch; it must give a tensor",
        ),
        (f"--model.loss {HERE}.Gives --model.loss.what float", "model.loss: Gives gives 0.5 for a batch; it must"),
        (f"--model.loss {HERE}.Gives --model.loss.what none", "model.loss: Gives gives None for a batch; it must"),
        (
            f"--model.loss {HERE}.Gives --model.loss.what detached",
            "model.loss: Gives gives a number without a",
        ),
        (f"--model.regulariser {HERE}.Penalty", "model.regulariser: Penalty gives a tensor [2] for a batch; it must"),
    ],
)
def test_what_is_no_number_with_a_gradient_is_said_at_the_first_batch(cli: Cli, arguments: str, line: str):
    assert cli(f"fit {QUICK} {arguments}").error_line.startswith(line)


@pytest.mark.parametrize("arguments", ["Gives --model.loss.what one", "Needs --model.loss.gamma 2"])
def test_what_suits_is_trained_with(cli: Cli, arguments: str):
    assert cli(f"fit {QUICK} --model.loss {HERE}.{arguments}").status == 0
