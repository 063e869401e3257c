"""Dropout for sequences."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from litspike.networks.sequence import SequenceLayer
from litspike.settings import number


class TimeDropout(SequenceLayer):
    r"""Dropout whose mask stays the same over time: what is dropped is silent for the whole sequence.

    Equation, in training::

        y_t = x_t · m / (1 − p)     m is 0 with probability p, else 1, drawn for each sample and neuron

    A mask per step would only thin a spike train, which the membrane averages out again. It maps [T, B, \*] to
    [T, B, \*] in the same unit, draws from torch's global generator as ``nn.Dropout`` does, and passes everything on
    in evaluation. Each call draws anew, also for a further piece of the same sequence.

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
        return x * nn.functional.dropout(torch.ones_like(x[0]), self.p)

    def extra_repr(self) -> str:
        return f"p={self.p}"
