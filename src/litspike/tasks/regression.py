"""Regression with a spiking network."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from litspike.tasks.figures import Figures
from litspike.tasks.losses import Loss, MeanSquaredError
from litspike.tasks.regularisers import RateBand
from litspike.tasks.task import Batch, Task, adam


class Regression(Task):
    """Real targets: encoder → network → readout → mean squared error.

    Every forward pass starts from rest. Logged once an epoch: loss and mean absolute error (``mae``, in the unit of
    the targets) of each stage, and the learning rate.

    Args:
        network: from currents or spikes [T, B, *] to outputs [T, B, D]; called as ``output, state = network(input,
            state)``.
        encoder: from samples [B, *] to the network's input [T, B, *].
        readout: from the network's outputs [T, B, D] to values [B, D].
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
        """Loss and mean absolute error."""
        return Figures("mae", lambda values, targets: (values - targets.reshape(values.shape)).abs().flatten(1).mean(1))

    def predict_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Target and predicted value, each with first dimension B."""
        x, y = batch
        return {"target": y, "value": self(x)}
