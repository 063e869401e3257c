"""Dropout for sequences."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor, nn

from litspike.networks.sequence import SequenceLayer
from litspike.settings import number

_masks: ContextVar[dict[nn.Module, Tensor] | None] = ContextVar("masks", default=None)


@contextmanager
def one_sequence(masks: dict[nn.Module, Tensor]) -> Iterator[None]:
    """All calls inside are of pieces of one sequence: a layer's mask is drawn once and found in ``masks``."""
    token = _masks.set(masks)
    try:
        yield
    finally:
        _masks.reset(token)


class TimeDropout(SequenceLayer):
    r"""Dropout whose mask stays the same over time: what is dropped is silent for the whole sequence.

    Equation, in training::

        y_t = x_t · m / (1 − p)     m is 0 with probability p, else 1, drawn for each sample and neuron

    A mask per step would only thin a spike train, which the membrane averages out again. It maps [T, B, \*] to
    [T, B, \*] in the same unit, draws from torch's global generator as ``nn.Dropout`` does, and passes everything on
    in evaluation. Each call draws anew, also for a further piece of the same sequence, unless
    :func:`~litspike.networks.run_network` takes the pieces.

    Args:
        p: probability with which a neuron of a sample is dropped.

    Raises:
        SettingError: if p is outside [0, 1).

    Source: Gal and Ghahramani 2016, "A theoretically grounded application of dropout in recurrent neural networks".

    Example:
        >>> import torch
        >>> from litspike.networks import TimeDropout
        >>> dropped = TimeDropout(0.5)(torch.ones(3, 2, 4))
        >>> bool((dropped[0] == dropped[2]).all())
        True
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = number("p", p, "[0, 1)")

    def forward(self, x: Tensor) -> Tensor:
        """[T, B, *] → [T, B, *]."""
        if not self.training or self.p == 0:
            return x
        masks = _masks.get()
        if masks is None:
            return x * nn.functional.dropout(torch.ones_like(x[0]), self.p)
        if self not in masks:
            masks[self] = nn.functional.dropout(torch.ones_like(x[0]), self.p)
        return x * masks[self]

    def extra_repr(self) -> str:
        return f"p={self.p}"
