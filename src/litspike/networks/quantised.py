"""Weights as small integers times a scale, one for each output channel."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

ScaleRule = Literal["free", "power_of_two"]
"""What a scale may be: any number, or a power of two, which needs no multiplication on the way back."""


def weight_scales(weight: Tensor, bits: int, rule: ScaleRule) -> Tensor:
    r"""The scale of each output channel, the least with which its largest weight has a place.

    Equation: ``s = max |w| / (2^(bits − 1) − 1)``, rounded up to a power of two where the rule says so.

    Args:
        weight: [O, \*].
        bits: of an integer, with its sign.
        rule: what a scale may be.

    Returns:
        Double precision, [O]; 1 where all weights are 0.

    Example:
        >>> import torch
        >>> weight_scales(torch.tensor([[0.5, -1.27]]), 8, "free")
        tensor([0.0100], dtype=torch.float64)
    """
    largest = weight.detach().double().abs().flatten(1).amax(1)
    scales = largest / ((1 << (bits - 1)) - 1)
    if rule == "power_of_two":
        scales = torch.exp2(torch.ceil(torch.log2(scales)))
    return torch.where(largest > 0, scales, 1.0)


def weight_integers(weight: Tensor, scales: Tensor, bits: int) -> Tensor:
    r"""Weights [O, \*] as integers of their scales [O]: the nearest, halves towards +∞, in double precision."""
    limit = (1 << (bits - 1)) - 1
    scaled = weight.double() / scales.view(-1, *[1] * (weight.dim() - 1))
    return torch.floor(scaled + 0.5).clamp(-limit, limit)
