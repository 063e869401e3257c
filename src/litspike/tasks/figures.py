"""The figures of one stage, gathered on the device and reduced once an epoch."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric, SumMetric
from torchmetrics.classification import BinaryAccuracy


class NonFiniteLoss(Exception):
    """A loss that is NaN or infinite; ``batches_ago`` counts back from the batch added last (0)."""

    def __init__(self, value: float, batches_ago: int) -> None:
        super().__init__(value, batches_ago)
        self.value, self.batches_ago = value, batches_ago


class Figures(nn.Module):
    """Loss and accuracy of the batches of an epoch.

    Batches wait as they are and reach the torchmetrics a hundred at a time: an update for each would cost more
    than a small network's training step.
    """

    def __init__(self) -> None:
        super().__init__()
        self.loss = MeanMetric(nan_strategy="error")  # "disable" drops the weights (torchmetrics 1.9)
        self.accuracy = BinaryAccuracy(validate_args=False)
        self.samples = SumMetric()
        self._waiting: list[tuple[Tensor, Tensor, Tensor]] = []

    def add(self, loss: Tensor, logits: Tensor, labels: Tensor, last: bool = False) -> None:
        """Take in a batch.

        Args:
            loss: the batch's mean loss.
            logits: [B].
            labels: 0 or 1, [B].
            last: whether it closes the epoch.

        Raises:
            NonFiniteLoss: if the loss of a batch that waited is NaN or infinite.
        """
        self._waiting.append((loss.detach(), logits.detach(), labels))
        if last or len(self._waiting) == 100:
            self.flush()

    def flush(self) -> None:
        """Hand the waiting batches on to the metrics. Raises :class:`NonFiniteLoss`."""
        if not self._waiting:
            return
        losses, logits, labels = zip(*self._waiting, strict=True)
        self._waiting.clear()
        loss = torch.stack(losses)
        if not bool(loss.isfinite().all()):
            first = int(loss.isfinite().logical_not().nonzero()[0])
            raise NonFiniteLoss(loss[first].item(), len(losses) - 1 - first)
        self.loss.update(loss, torch.tensor([len(batch) for batch in labels], device=loss.device))
        self.accuracy.update((torch.cat(logits) > 0).int(), torch.cat(labels).int())
        self.samples.update(sum(len(batch) for batch in labels))

    def compute(self) -> tuple[dict[str, Tensor], int]:
        """Close the epoch: its loss and accuracy over all processes, and the number of samples; begins anew."""
        self.flush()
        figures = {"loss": self.loss.compute(), "accuracy": self.accuracy.compute()}
        samples = int(self.samples.compute())
        self.clear()
        return figures, samples

    def clear(self) -> None:
        """Forget what was gathered."""
        self._waiting.clear()
        self.loss.reset()
        self.accuracy.reset()
        self.samples.reset()
