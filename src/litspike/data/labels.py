"""What the labels of a data module are: two classes with one logit, several classes, or numbers to be met."""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol

import torch
from torch import Tensor

from litspike.settings import UserError


class Labels(Protocol):
    """What the labels of one part may be, and the form in which a task gets them."""

    @abstractmethod
    def check(self, part: str, y: Tensor) -> None:
        """Refuse labels [N, *] that are not of this kind, by a :class:`UserError` that names part and sample."""

    @abstractmethod
    def form(self, y: Tensor) -> Tensor:
        """The labels in the type that a task gets."""


class _Floats:
    def form(self, y: Tensor) -> Tensor:
        """Float32."""
        return y.float()


class Binary(_Floats):
    """Two classes with one logit: 0 or 1, float32 [N]."""

    def check(self, part: str, y: Tensor) -> None:
        """Refuse any label but 0 and 1."""
        _refuse_first(part, y, (y != 0) & (y != 1), "0 or 1")


class Classes:
    """Several classes: integers from 0 to ``count`` − 1, int64 [N]."""

    def __init__(self, count: int) -> None:
        self.count = count

    def check(self, part: str, y: Tensor) -> None:
        """Refuse any label but the ``count`` class numbers."""
        _refuse_first(part, y, ~((y >= 0) & (y < self.count) & (y == y.round())), f"from 0 to {self.count - 1}")

    def form(self, y: Tensor) -> Tensor:
        """Int64."""
        return y.long()


class Several(_Floats):
    """Several labels of a sample, each 0 or 1: float32 [N, L]."""

    def check(self, part: str, y: Tensor) -> None:
        """Refuse any label but 0 and 1, and labels that are not [N, L]."""
        if y.dim() != 2:
            raise UserError(f"the {part} data have labels of shape {list(y.shape)}; they must be [N, L]")
        wrong = (y != 0) & (y != 1)
        _refuse_first(part, y.where(wrong, torch.nan).nanmean(1), wrong.any(1), "0 or 1")


class Values(_Floats):
    """Numbers to be met by regression: float32 [N, D], or [N, T, D] where there is a target for each step."""

    def check(self, part: str, y: Tensor) -> None:
        """Refuse targets without a last dimension D, and any that is NaN or infinite."""
        if y.dim() < 2:
            raise UserError(f"the {part} data have targets of shape {list(y.shape)}; they must be [N, D] or [N, T, D]")
        _refuse_first(part, y.flatten(1).sum(1), torch.isfinite(y).flatten(1).all(1).logical_not(), "finite")


def of_classes(count: int) -> Labels:
    """One logit tells two classes apart, so these are :class:`Binary`; more are :class:`Classes`."""
    return Binary() if count == 2 else Classes(count)


def _refuse_first(part: str, shown: Tensor, wrong: Tensor, allowed: str) -> None:
    if wrong.any():
        index = int(wrong.nonzero()[0])
        raise UserError(f"the {part} data have the label {shown[index].item()} in sample {index}; it must be {allowed}")
