"""What the pictures of a validation need: a few samples, and how many of each class were taken for which."""

from __future__ import annotations

from collections import Counter

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from litspike.tasks.classification_losses import ClassificationLoss
from litspike.tasks.losses import Loss

POINTS = 300
"""Points drawn on a plane at most."""


class ValidationSamples:
    """A few samples of a validation, as many of each class as of another, and its confusion matrix.

    Args:
        loss: the task's; one of classes says which of them an answer stands for.
        samples: the most samples to keep.
    """

    def __init__(self, loss: Loss, samples: int) -> None:
        self.loss, self.samples = loss, samples
        self.confusion: NDArray[np.int64] | None = None
        self._collected: list[tuple[int, Tensor, Tensor, Tensor | None]] = []
        self._points: list[tuple[Tensor, Tensor]] = []
        self._of_class: Counter[int] = Counter()

    def add(self, x: Tensor, y: Tensor, value: Tensor, lengths: Tensor | None = None) -> None:
        """Take in a batch: samples [B, *], targets [B, *], what the network answered, [B, *], and the lengths [B] of
        sequences that differ.
        """
        classes = self._classes(y, value)
        quota = self.samples if classes is None else -(-self.samples // classes)
        if len(self._of_class) < (classes or 1) or min(self._of_class.values()) < quota:
            for index, label in enumerate([0] * len(y) if classes is None else y.tolist()):
                if self._of_class[int(label)] < quota:
                    own = None if lengths is None else lengths[index]
                    self._collected.append((self._of_class[int(label)], x[index].clone(), y[index].clone(), own))
                    self._of_class[int(label)] += 1
        if classes is None:
            return
        if x.shape[1:] == (2,) and sum(len(points) for points, _ in self._points) < POINTS:
            self._points.append((x[:POINTS].clone(), y[:POINTS].clone()))
        pairs = y.long() * classes + self.loss.predictions(value).long()  # type: ignore[attr-defined]  # of classes
        counts = np.bincount(pairs.cpu().numpy(), minlength=classes**2).reshape(classes, classes)
        self.confusion = counts if self.confusion is None else self.confusion + counts

    def _classes(self, y: Tensor, value: Tensor) -> int | None:
        """Number of classes; None where the task has none, or more than one answer a sample."""
        if not isinstance(self.loss, ClassificationLoss) or y.dim() != 1 or value.dim() != 2:
            return None
        return max(value.shape[1], 2)

    @property
    def grouped(self) -> bool:
        """Whether the targets are classes."""
        return self.confusion is not None

    def batch(self) -> tuple[Tensor, Tensor]:
        """The samples [B, *] and their targets [B, *], one of each class first, then one more of each."""
        order = self._in_order()
        return torch.stack([x for _, x, *_ in order]), torch.stack([y for _, _, y, _ in order])

    def lengths(self) -> Tensor | None:
        """Number of steps of each of these sequences, [B]; None where all have one."""
        lengths = [length for *_, length in self._in_order() if length is not None]
        return torch.stack(lengths) if lengths else None

    def _in_order(self) -> list[tuple[int, Tensor, Tensor, Tensor | None]]:
        return sorted(
            self._collected, key=lambda collected: (collected[0], float(collected[2]) if self.grouped else 0.0)
        )[: self.samples]

    def points(self) -> tuple[Tensor, Tensor] | None:
        """Points of the plane [N, 2] and their classes [N]; None where samples are none."""
        if not self._points:
            return None
        x, y = (torch.cat(parts)[:POINTS] for parts in zip(*self._points, strict=True))
        return x, y
