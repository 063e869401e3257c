"""The figures of one stage, gathered on the device and reduced once an epoch."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, distributed
from torchmetrics import Metric


class NonFiniteLoss(Exception):
    """A loss that is NaN or infinite; ``batches_ago`` counts back from the batch added last (0)."""

    def __init__(self, value: float, batches_ago: int) -> None:
        super().__init__(value, batches_ago)
        self.value, self.batches_ago = value, batches_ago


class Score(NamedTuple):
    """A figure beside the loss.

    Args:
        name: what it is called.
        of_samples: from the readout's values [B, *] and the targets [B, *] to a number for each sample, [B].
        of_mean: from the mean of these over an epoch to the figure; None: the mean is the figure.
    """

    name: str
    of_samples: Callable[[Tensor, Tensor], Tensor]
    of_mean: Callable[[Tensor], Tensor] | None = None


class Figures(Metric):
    """Loss and scores of the samples of an epoch.

    Batches wait as they are and are summed a hundred at a time: an update for each would cost more than a small
    network's training step.

    Args:
        scores: the figures beside the loss.
    """

    full_state_update = False
    sums: Tensor
    """Sum of the samples' losses, sum of each of their scores, number of samples."""

    def __init__(self, *scores: Score) -> None:
        super().__init__()
        self.scores = scores
        self.add_state("sums", torch.zeros(len(scores) + 2, dtype=torch.float64), dist_reduce_fx="sum")
        self._waiting: list[tuple[Tensor, Tensor, Tensor]] = []
        self._closed = False

    def add(self, loss: Tensor, values: Tensor, targets: Tensor, last: bool = False) -> None:
        """Take in a batch; after :meth:`close` it is the first of another epoch.

        Args:
            loss: the batch's mean loss.
            values: what the readout gave, [B, *].
            targets: what it should have given, [B, *].
            last: whether it closes the epoch.

        Raises:
            NonFiniteLoss: if the loss of a batch that waited is NaN or infinite.
        """
        if self._closed:
            self.reset()
        self._waiting.append((loss.detach(), values.detach(), targets))
        if last or len(self._waiting) == 100:
            self.flush()

    def flush(self) -> None:
        """Sum the waiting batches. Raises :class:`NonFiniteLoss`."""
        if self._waiting:
            losses, values, targets = zip(*self._waiting, strict=True)
            self._waiting.clear()
            sizes = [len(batch) for batch in targets]
            self.update(torch.stack(losses), sizes, torch.cat(values), torch.cat(targets))

    def update(self, losses: Tensor, sizes: list[int], values: Tensor, targets: Tensor) -> None:
        """Take in the losses [K] of K batches, their sizes, and the values and targets of all their samples."""
        if not bool(losses.isfinite().all()):
            first = int(losses.isfinite().logical_not().nonzero()[0])
            raise NonFiniteLoss(losses[first].item(), len(losses) - 1 - first)
        weights = torch.tensor(sizes, dtype=torch.float64, device=losses.device)
        scores = [score.of_samples(values, targets).double().sum() for score in self.scores]
        added = torch.stack([part.double() for part in ((losses.double() * weights).sum(), *scores, weights.sum())])
        self.sums = self.sums.double() + added  # a task in half precision has halved the zeros that they begin with

    def compute(self) -> Tensor:
        """The sums over all processes."""
        return self.sums

    def state(self) -> Tensor:
        """What :meth:`restore` takes: the sums over all processes until now. Raises :class:`NonFiniteLoss`."""
        self.flush()
        with self.sync_context():
            return self.sums.clone()

    def restore(self, state: Tensor | None) -> None:
        """Go on with what :meth:`state` gave, in the first of several processes; begin anew where it is None."""
        self.reset()
        if state is not None and not (
            distributed.is_available() and distributed.is_initialized() and distributed.get_rank() > 0
        ):
            self.sums = state.to(self.sums.device)

    def close(self) -> tuple[dict[str, Tensor], int]:
        """End the epoch: its loss and scores over all processes, and the number of samples; none where it has none."""
        *sums, samples = self.state()
        self._closed = True
        if samples == 0:
            return {}, 0
        loss, *means = (total / samples for total in sums)
        figures = {"loss": loss.float()}
        for score, mean in zip(self.scores, means, strict=True):
            figures[score.name] = (mean if score.of_mean is None else score.of_mean(mean)).float()
        return figures, int(samples)

    def reset(self) -> None:
        self._waiting, self._closed = [], False
        super().reset()
