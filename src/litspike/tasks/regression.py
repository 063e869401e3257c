"""Regression with a spiking network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torchmetrics import Metric

from litspike.arguments import typed
from litspike.coding.valid import valid_steps
from litspike.networks.pieces import Gradient
from litspike.seeding import isolated
from litspike.settings import UserError, integer
from litspike.tasks.batches import given, unpack, unpack_new
from litspike.tasks.epoch_metrics import EpochMetrics, Score
from litspike.tasks.losses import Loss, MeanSquaredError
from litspike.tasks.optimizers import adam
from litspike.tasks.regularisers import RateBand
from litspike.tasks.targets import TargetScale, training_batches
from litspike.tasks.task import Task


class Regression(Task):
    """Real targets, one set a sample or one at every step: encoder → network → readout → mean squared error.

    Every forward pass starts from rest. Logged once an epoch, of each stage: the loss, the mean absolute error
    (``mae``) and the root of the mean squared error (``rmse``), both over all values of all samples and steps, where
    each sequence counts alike, long or short; and the learning rate. Losses, errors and predictions are in the unit of
    the targets.

    Equation of training, with mean μ and standard deviation σ of each target in the training data: the loss of the
    readout's value z and ``(y − μ) / σ``; the prediction is ``μ + σ z``. μ and σ are measured when a first fit begins,
    and stay with the weights: a run that goes on, a test and a prediction take them from the checkpoint.

    Args:
        network: from currents or spikes [T, B, *] to outputs [T, B, D]; called as ``output, state = network(input,
            state)``.
        encoder: from samples [B, *] to the network's input [T, B, *].
        readout: from the network's outputs [T, B, D] to values [B, D], or [B, T, D] for targets at every step, as
            :class:`~litspike.coding.EveryStep` gives them.
        loss: what training makes small.
        optimizer: makes the optimizer from the parameters; Adam with learning rate 0.01 where it isn't set.
        scheduler: makes what changes the learning rate from the optimizer; none where null.
        regulariser: a penalty on the firing rates, added to the training loss; none where null.
        scheduler_interval: what the schedule counts, ``epoch`` or ``step`` (of the optimizer); where null, steps for
            OneCycleLR and CyclicLR, epochs for the others.
        scheduler_frequency: how many of them there are from one change to the next; where null, 1, or for a metric of
            the validation the epochs from one validation to the next.
        scheduler_monitor: the metric that ReduceLROnPlateau follows.
        standardise: whether the network learns z; where false it learns the targets as they are, μ = 0 and σ = 1. That
            is for a loss to which their unit matters.
        metrics: metrics of torchmetrics or of your own by name, each logged for every stage as ``STAGE/NAME``. They get
            predictions and targets in the targets' unit, [N] of one value each, else [N, D]; N counts samples, and
            steps where each has a target.
        steps_together: steps of a sequence that are run together in training; a longer one is taken in pieces, which
            saves memory and not the gradients. Where null, 1024 for sequences above 2048 steps that can be; see
            :func:`~litspike.networks.run_network`.
        gradient: ``truncated`` cuts the gradients between the pieces: truncated backpropagation through time.
        closed_loop: steps of a forecast: in a test and a prediction the value after a sample's last step is predicted,
            then taken for the input of the next step, and so on (:meth:`forecast`). The targets of the test part are
            [B, closed_loop, D] then, while training and validation see what they always see. None where null.

    Raises:
        SettingError: if a metric has a name that is taken, or that no metric can have.
        UserError: if a target of the training data is NaN or infinite; at the first batch, if there is not a target
            for each value; in training, if the loss becomes NaN or infinite.

    Example:
        >>> import torch
        >>> from litspike import LIF, ConstantCurrent, MeanOverTime, Perceptron
        >>> from litspike.tasks import Regression
        >>> task = Regression(Perceptron([2, 8, 1], LIF()), ConstantCurrent(10), MeanOverTime())
        >>> task(torch.rand(4, 2)).shape
        torch.Size([4, 1])
    """

    @typed
    def __init__(
        self,
        network: nn.Module,
        encoder: nn.Module,
        readout: nn.Module,
        loss: Loss | None = None,
        optimizer: Callable[[Iterable[Any]], Optimizer] = adam,
        scheduler: Callable[[Optimizer], LRScheduler] | None = None,
        regulariser: RateBand | None = None,
        scheduler_interval: Literal["epoch", "step"] | None = None,
        scheduler_frequency: int | None = None,
        scheduler_monitor: str = "val/loss",
        standardise: bool = True,
        metrics: dict[str, Metric] | None = None,
        steps_together: int | None = None,
        gradient: Gradient = "whole",
        closed_loop: int | None = None,
    ) -> None:
        loss = MeanSquaredError() if loss is None else loss
        super().__init__(
            network, encoder, readout, loss, optimizer, scheduler, regulariser,
            scheduler_interval, scheduler_frequency, scheduler_monitor, metrics, steps_together, gradient,
        )  # fmt: skip
        self.standardise, self.targets = standardise, TargetScale()
        self.closed_loop = None if closed_loop is None else integer("closed_loop", closed_loop)

    def on_train_start(self) -> None:
        """Measure the targets, unless the weights come with the scale that they were trained with."""
        super().on_train_start()
        if self.standardise and not self.targets.known and self.trainer.ckpt_path is None:
            with isolated():
                self.targets.measure(_inside(*unpack(batch)[1:]) for batch in training_batches(self.trainer))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the scale, also where a callback saves a copy of the weights that was made before it was measured."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["state_dict"]["targets._extra_state"] = self.targets.get_extra_state()

    def in_unit(self, values: Tensor) -> Tensor:
        """μ + σ z."""
        return self.targets.restored(values)

    def scaled(self, targets: Tensor) -> Tensor:
        """(y − μ) / σ."""
        return self.targets.standardised(targets)

    def make_metrics(self, metrics: Mapping[str, Metric]) -> EpochMetrics:
        """Loss, mean absolute error, root of the mean squared error and the user's own."""
        return EpochMetrics([Score("mae", _absolute), Score("rmse", _squared, torch.sqrt)], metrics, _rows)

    def forecast(self, x: Tensor, steps: int) -> Tensor:
        """The values that follow sequences, each predicted from those before it, as if they had been seen.

        The network's state goes on from step to step; the readout sees the new step alone.

        Args:
            x: sequences of what is predicted, [B, T, D].
            steps: how many values.

        Returns:
            [B, steps, D], in the unit of x.

        Raises:
            UserError: if the network predicts something else than the D numbers of a step.
        """
        values: list[Tensor] = []
        seen, state = x, None
        for _ in range(steps):
            value, _, state = self.respond(seen, state)
            value = self.in_unit(value if value.dim() == 2 else value[:, -1])
            if x.dim() != 3 or value.shape != (len(x), x.shape[2]):
                raise UserError(
                    f"model.closed_loop: the network predicts {list(value.shape[1:])} of samples {list(x.shape[1:])}; "
                    "a prediction can be the next step's input where samples are [T, D] and it is [D]"
                )
            values.append(value)
            seen = value[:, None]
        return torch.stack(values, 1)

    def _answer_in(self, stage: str, x: Tensor, y: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor]:
        if stage != "test" or self.closed_loop is None:
            return super()._answer_in(stage, x, y, lengths)
        self._check_lengths(lengths)
        values = self.targets.standardised(self.forecast(x, self.closed_loop))
        return values, values.transpose(0, 1)

    def of_one_pass(self, part: str, targets: Tensor) -> Tensor:
        """None of the test part in a closed loop, whose targets are to be [N, closed_loop, D]."""
        if part != "test" or self.closed_loop is None or not targets.numel():
            return targets
        if targets.dim() != 3 or targets.shape[1] != self.closed_loop:
            given = list(targets.shape[1:])
            raise UserError(f"model.closed_loop: {self.closed_loop} steps are predicted; the test targets are {given}")
        return targets.new_empty(0)

    def _check_lengths(self, lengths: Tensor | None) -> None:
        if lengths is not None:
            raise UserError("model.closed_loop: sequences of different lengths have no one end to go on from")

    def predict_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> dict[str, Tensor]:
        """Target (where there is one) and predicted value, each with first dimension B."""
        x, y, lengths = unpack_new(batch)
        target = {"target": y} if y.numel() else {}
        if self.closed_loop is None:
            return {**target, "value": self(x, **given(lengths))}
        self._check_lengths(lengths)
        return {**target, "value": self.forecast(x, self.closed_loop)}


def _inside(targets: Tensor, lengths: Tensor | None) -> Tensor:
    """Targets without those after a sequence's end, where there is one for each step."""
    if lengths is None or targets.dim() < 3:
        return targets
    return targets[valid_steps(targets.shape[1], lengths).T]


def _rows(metric: Metric, values: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """What metrics of numbers take: a row of D for each sample and step, or one number."""
    # in double precision: sums of squares of targets far from 0 leave nothing of their variance in single
    dtype, size = torch.float32 if values.device.type == "mps" else torch.float64, values.shape[-1]
    values, targets = (part.reshape(-1, size).to(dtype) for part in (values, targets))
    there = ~targets.isnan().any(1)  # inside a sequence
    if not bool(there.all()):
        values, targets = values[there], targets[there]
    return (values[:, 0], targets[:, 0]) if values.shape[1] == 1 else (values, targets)


def _errors(values: Tensor, targets: Tensor) -> Tensor:
    """What each value is off by, one row a sample, [B, ·]; NaN after a sequence's end."""
    return (values - targets.reshape(values.shape)).flatten(1)


def _absolute(values: Tensor, targets: Tensor) -> Tensor:
    return _errors(values, targets).abs().nanmean(1)


def _squared(values: Tensor, targets: Tensor) -> Tensor:
    return _errors(values, targets).square().nanmean(1)
