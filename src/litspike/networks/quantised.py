"""Weights as small integers times a scale, one for each output channel."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from litspike.internals.torch import BatchNorm

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


def scale_and_offset(norm: Any) -> tuple[Tensor, Tensor]:
    """What a batch norm with statistics multiplies each channel by in evaluation, and what it adds: [C], in double
    precision.
    """
    factor = (norm.running_var.double() + norm.eps).rsqrt()
    if norm.weight is not None:
        factor = factor * norm.weight.detach().double()
    offset = -norm.running_mean.double() * factor
    if norm.bias is not None:
        offset = offset + norm.bias.detach().double()
    return factor, offset


def faked(network: nn.Module, bits: int, rule: ScaleRule) -> list[tuple[nn.Parameter, Tensor]]:
    """Each weight of a Linear or convolution, and what it becomes in integers and back.

    With powers of two the scale is that of the weights with the batch norm which follows them inside.
    """
    layers = [layer for layer in network.modules() if not list(layer.children())]
    found: dict[int, tuple[nn.Parameter, Tensor]] = {}
    for layer, after in zip(layers, [*layers[1:], None], strict=True):
        if not isinstance(layer, (nn.Linear, nn.Conv1d, nn.Conv2d)) or not isinstance(layer.weight, nn.Parameter):
            continue
        weight, factor = layer.weight.detach(), _factor(after, layer.weight)
        folded = weight.double() * factor.view(-1, *[1] * (weight.dim() - 1))
        scales = weight_scales(folded, bits, rule)
        rounded = weight_integers(folded, scales, bits) * (scales / factor).view(-1, *[1] * (weight.dim() - 1))
        found.setdefault(id(layer.weight), (layer.weight, rounded.to(weight.dtype)))
    return list(found.values())


def _factor(after: nn.Module | None, weight: Tensor) -> Tensor:
    """What the batch norm after a layer multiplies each of its output channels by, in double precision, [O]."""
    ones = torch.ones(len(weight), dtype=torch.float64, device=weight.device)
    if not isinstance(after, BatchNorm) or after.num_features != len(weight):
        return ones
    if after.running_var is None or after.weight is None:
        return ones
    factor, _ = scale_and_offset(after)
    return torch.where(factor == 0, 1.0, factor)
