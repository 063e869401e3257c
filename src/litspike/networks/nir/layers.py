"""The layers without neurons that NIR has, and torch has not."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from litspike.surrogates import ArcTan, Surrogate, spike


class Scale(nn.Module):
    r"""Each number of a sample times one of its own: ``y = x · s``.

    Args:
        scale: s, [\*].
    """

    def __init__(self, scale: Tensor) -> None:
        super().__init__()
        self.scale = nn.Parameter(scale)

    def forward(self, x: Tensor) -> Tensor:
        """[B, *] → [B, *]."""
        return x * self.scale


class Threshold(nn.Module):
    r"""Spikes where a number is above a threshold, without a state: ``y = 1 if x > θ``.

    Args:
        threshold: θ, [\*].
        surrogate: used as the derivative.
    """

    def __init__(self, threshold: Tensor, surrogate: Surrogate | None = None) -> None:
        super().__init__()
        self.register_buffer("threshold", threshold)
        self.surrogate = ArcTan() if surrogate is None else surrogate

    def forward(self, x: Tensor) -> Tensor:
        """[B, *] → [B, *]."""
        threshold: Any = self.threshold
        return spike(x - threshold, self.surrogate, "above")


class SumPool2d(nn.AvgPool2d):
    """The sum of each window, where :class:`torch.nn.AvgPool2d` has the average."""

    def __init__(self, kernel_size: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int]) -> None:
        super().__init__(kernel_size, stride, padding, divisor_override=1)
