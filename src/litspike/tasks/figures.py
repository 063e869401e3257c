"""The figures of one stage, gathered on the device and reduced once an epoch."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric, SumMetric


class NonFiniteLoss(Exception):
    """A loss that is NaN or infinite; ``batches_ago`` counts back from the batch added last (0)."""

    def __init__(self, value: float, batches_ago: int) -> None:
        super().__init__(value, batches_ago)
        self.value, self.batches_ago = value, batches_ago


class Figures(nn.Module):
    """Loss and score of the batches of an epoch.

    Batches wait as they are and reach the torchmetrics a hundred at a time: an update for each would cost more
    than a small network's training step.

    Args:
        name: what the score is called.
        score: from the readout's values [B, *] and the targets [B, *] to a number for each sample, [B].
    """

    def __init__(self, name: str, score: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.name, self._score = name, score
        # "disable" drops the weights (torchmetrics 1.9)
        self.loss, self.score = MeanMetric(nan_strategy="error"), MeanMetric(nan_strategy="error")
        self.samples = SumMetric()
        self._waiting: list[tuple[Tensor, Tensor, Tensor]] = []

    def add(self, loss: Tensor, values: Tensor, targets: Tensor, last: bool = False) -> None:
        """Take in a batch.

        Args:
            loss: the batch's mean loss.
            values: what the readout gave, [B, *].
            targets: what it should have given, [B, *].
            last: whether it closes the epoch.

        Raises:
            NonFiniteLoss: if the loss of a batch that waited is NaN or infinite.
        """
        self._waiting.append((loss.detach(), values.detach(), targets))
        if last or len(self._waiting) == 100:
            self.flush()

    def flush(self) -> None:
        """Hand the waiting batches on to the metrics. Raises :class:`NonFiniteLoss`."""
        if not self._waiting:
            return
        losses, values, targets = zip(*self._waiting, strict=True)
        self._waiting.clear()
        loss = torch.stack(losses)
        if not bool(loss.isfinite().all()):
            first = int(loss.isfinite().logical_not().nonzero()[0])
            raise NonFiniteLoss(loss[first].item(), len(losses) - 1 - first)
        self.loss.update(loss, torch.tensor([len(batch) for batch in targets], device=loss.device))
        self.score.update(self._score(torch.cat(values), torch.cat(targets)).float())
        self.samples.update(sum(len(batch) for batch in targets))

    def compute(self) -> tuple[dict[str, Tensor], int]:
        """Close the epoch: its loss and score over all processes, and the number of samples; begins anew."""
        self.flush()
        figures = {"loss": self.loss.compute(), self.name: self.score.compute()}
        samples = int(self.samples.compute())
        self.clear()
        return figures, samples

    def clear(self) -> None:
        """Forget what was gathered."""
        self._waiting.clear()
        for metric in (self.loss, self.score, self.samples):
            metric.reset()
