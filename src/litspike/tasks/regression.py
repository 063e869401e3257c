"""Regression with a spiking network."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from litspike.tasks.figures import Figures, Score
from litspike.tasks.losses import Loss, MeanSquaredError
from litspike.tasks.regularisers import RateBand
from litspike.tasks.task import Batch, Task, adam


class Regression(Task):
    """Real targets, one set a sample or one at every step: encoder → network → readout → mean squared error.

    Every forward pass starts from rest. Logged once an epoch, of each stage: the loss, the mean absolute error
    (``mae``) and the root of the mean squared error (``rmse``), both over all values of all samples and steps and in
    the unit of the targets; and the learning rate.

    Args:
        network: from currents or spikes [T, B, *] to outputs [T, B, D]; called as ``output, state = network(input,
            state)``.
        encoder: from samples [B, *] to the network's input [T, B, *].
        readout: from the network's outputs [T, B, D] to values [B, D], or [B, T, D] for targets at every step, as
            :class:`~litspike.coding.EveryStep` gives them.
        loss: what training makes small.
        optimizer: makes the optimizer from the parameters; Adam with learning rate 0.01 where it isn't set.
        scheduler: makes what changes the learning rate, once an epoch, from the optimizer; none where null.
        regulariser: a penalty on the firing rates, added to the training loss; none where null.

    Raises:
        UserError: at the first batch, if there is not a target for each value; in training, if the loss becomes NaN
            or infinite.
    """

    def __init__(
        self,
        network: nn.Module,
        encoder: nn.Module,
        readout: nn.Module,
        loss: Loss | None = None,
        optimizer: Callable[[Iterable[Any]], Optimizer] = adam,
        scheduler: Callable[[Optimizer], LRScheduler] | None = None,
        regulariser: RateBand | None = None,
    ) -> None:
        loss = MeanSquaredError() if loss is None else loss
        super().__init__(network, encoder, readout, loss, optimizer, scheduler, regulariser)

    def make_figures(self) -> Figures:
        """Loss, mean absolute error and root of the mean squared error."""
        return Figures(
            Score("mae", lambda values, targets: _errors(values, targets).abs().mean(1)),
            Score("rmse", lambda values, targets: _errors(values, targets).square().mean(1), torch.sqrt),
        )

    def predict_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Target and predicted value, each with first dimension B."""
        x, y = batch
        return {"target": y, "value": self(x)}


def _errors(values: Tensor, targets: Tensor) -> Tensor:
    """What each value is off by, one row a sample, [B, ·]."""
    return (values - targets.reshape(values.shape)).flatten(1)
