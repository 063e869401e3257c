"""Layers without neurons as nodes of NIR."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from litspike.export.artefact import forward_of
from litspike.export.nir.nodes import Target
from litspike.export.nir.updates import Unsayable
from litspike.networks import AxonalDelay
from litspike.networks.nir.dialects import DIALECTS
from litspike.networks.nir.layers import Scale, Threshold

Fields = dict[str, Any]


class Pooling(NamedTuple):
    """Windows along each dimension."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]


def window(layer: Any, shape: Sequence[int], pooled: Sequence[int]) -> Pooling:
    """The windows of a layer that pools."""
    count = len(shape) - 1
    if forward_of(layer) in _ADAPTIVE:
        sizes = list(zip(shape[1:], pooled[1:], strict=True))
        if any(size % windows for size, windows in sizes):
            problem = f"of {list(shape[1:])} to {list(pooled[1:])} has windows of many sizes"
            raise Unsayable(type(layer).__name__, problem)
        kernel = tuple(size // windows for size, windows in sizes)
        return Pooling(kernel, kernel, (0,) * count)
    if layer.ceil_mode:
        raise Unsayable("ceil_mode: true", "has no place in NIR")
    if getattr(layer, "return_indices", False):
        raise Unsayable("return_indices: true", "gives two tensors")
    if any(one != 1 for one in _sizes(getattr(layer, "dilation", 1), count)):
        raise Unsayable("dilation", "of a layer that pools has no place in NIR")
    kernel = _sizes(layer.kernel_size, count)
    return Pooling(kernel, _sizes(layer.stride or layer.kernel_size, count), _sizes(layer.padding, count))


def average(pooling: Pooling, shape: Sequence[int], target: Target) -> tuple[str, Fields]:
    """The average of each window."""
    if len(pooling.kernel) == 2 and target.dialect in (None, "snntorch", "spikingjelly"):
        return "AvgPool2d", _pool_fields(pooling)
    return _as_convolution(pooling, 1 / float(np.prod(pooling.kernel)), shape, target)


def total(pooling: Pooling, shape: Sequence[int], target: Target) -> tuple[str, Fields]:
    """The sum of each window."""
    known = target.dialect is None or (target.dialect in ("norse", "sinabs") and not any(pooling.padding))
    if len(pooling.kernel) == 2 and known:
        return "SumPool2d", _pool_fields(pooling)
    return _as_convolution(pooling, 1.0, shape, target)


def _pool_fields(pooling: Pooling) -> Fields:
    names = ("kernel_size", "stride", "padding")
    return {name: np.array(value) for name, value in zip(names, pooling, strict=True)}


def _as_convolution(pooling: Pooling, value: float, shape: Sequence[int], target: Target) -> tuple[str, Fields]:
    """Pooling as a convolution of each channel with itself."""
    kernel = np.full((shape[0], 1, *pooling.kernel), value, np.float32)
    bias = np.zeros(shape[0], np.float32)
    return per_channel(kernel, bias, shape, target, pooling.stride, pooling.padding)


def per_channel(
    kernel: Any,
    bias: Any,
    shape: Sequence[int],
    target: Target,
    stride: Sequence[int] | None = None,
    padding: Sequence[int] | None = None,
) -> tuple[str, Fields]:
    """A convolution of each channel with itself."""
    count = len(shape) - 1
    settings = _Settings(
        tuple(stride or (1,) * count), tuple(padding or (0,) * count), (1,) * count, shape[0], tuple(shape)
    )
    return _convolved(kernel, bias, settings, target)


class _Settings(NamedTuple):
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int
    shape: tuple[int, ...]
    """Of a sample of the input."""


def _convolved(weight: Any, bias: Any, settings: _Settings, target: Target) -> tuple[str, Fields]:
    count = len(settings.shape) - 1
    target.only(f"Conv{count}d", *(DIALECTS if count == 2 else ("spikingjelly",)))
    groups = settings.groups
    if target.dialect is not None and groups > 1:  # their readers know no groups
        weight, groups = _without_groups(weight, groups), 1
    single = count == 1
    fields: Fields = {
        "input_shape": settings.shape[1] if single else tuple(settings.shape[1:]),
        "weight": weight,
        "bias": bias,
        "groups": groups,
    }
    for name in ("stride", "padding", "dilation"):
        value = getattr(settings, name)
        fields[name] = value[0] if single else value
    return f"Conv{count}d", fields


def _without_groups(weight: Any, groups: int) -> Any:
    """The weights of a convolution without groups that does the same."""
    outputs, inputs = weight.shape[:2]
    wide = np.zeros((outputs, inputs * groups, *weight.shape[2:]), weight.dtype)
    each = outputs // groups
    for group in range(groups):
        rows = slice(group * each, (group + 1) * each)
        wide[rows, group * inputs : (group + 1) * inputs] = weight[rows]
    return wide


def _linear(layer: Any, shape: Sequence[int], after: Sequence[int], target: Target) -> tuple[str, Fields]:
    if len(shape) != 1:
        raise Unsayable("a Linear", f"that takes samples {list(shape)}, of which it sees the last dimension alone")
    bias = layer.bias
    if bias is None and target.dialect == "sinabs":
        bias = torch.zeros(layer.out_features)
    return affine(layer.weight, bias)


def affine(weight: torch.Tensor, bias: torch.Tensor | None) -> tuple[str, Fields]:
    """A product of a vector."""
    if bias is None:
        return "Linear", {"weight": array(weight)}
    return "Affine", {"weight": array(weight), "bias": array(bias)}


def _convolution(layer: Any, shape: Sequence[int], after: Sequence[int], target: Target) -> tuple[str, Fields]:
    if layer.padding_mode != "zeros":
        raise Unsayable(f"padding_mode: {layer.padding_mode}", "has no place in NIR, zeros has")
    count = len(shape) - 1
    dilation, kernel = _sizes(layer.dilation, count), _sizes(layer.kernel_size, count)
    if layer.padding == "same":
        reach = [wide * (width - 1) for wide, width in zip(dilation, kernel, strict=True)]
        if any(one % 2 for one in reach):
            raise Unsayable("padding: same", "with an even kernel pads one side more")
        padding = tuple(one // 2 for one in reach)
    else:
        padding = (0,) * count if layer.padding == "valid" else _sizes(layer.padding, count)
    bias = np.zeros(layer.out_channels, np.float32) if layer.bias is None else array(layer.bias)
    settings = _Settings(_sizes(layer.stride, count), padding, dilation, layer.groups, tuple(shape))
    return _convolved(array(layer.weight), bias, settings, target)


def _averaging(layer: Any, shape: Sequence[int], after: Sequence[int], target: Target) -> tuple[str, Fields]:
    pooling = window(layer, shape, after)
    override = getattr(layer, "divisor_override", None)
    if any(pooling.padding) and not layer.count_include_pad and override is None:
        raise Unsayable("count_include_pad: false", "has no place in NIR")
    if override is None:
        return average(pooling, shape, target)
    if override == 1:
        return total(pooling, shape, target)
    return _as_convolution(pooling, 1 / override, shape, target)


def _flatten(layer: Any, shape: Sequence[int], after: Sequence[int], target: Target) -> tuple[str, Fields]:
    if layer.start_dim == 0:
        raise Unsayable("start_dim: 0", "joins samples")
    begin, end = (place if place < 0 else place - 1 - len(shape) for place in (layer.start_dim, layer.end_dim))
    if target.dialect is None:
        begin, end = begin + len(shape), end + len(shape)
    # places from the end mean the same with a batch before them and without
    return "Flatten", {"start_dim": begin, "end_dim": end, "input_type": np.array(shape)}


def _scale(layer: Any, shape: Sequence[int], after: Sequence[int], target: Target) -> tuple[str, Fields]:
    target.only("a Scale")
    return "Scale", {"scale": np.broadcast_to(array(layer.scale), tuple(shape)).copy()}


def _threshold(layer: Any, shape: Sequence[int], after: Sequence[int], target: Target) -> tuple[str, Fields]:
    target.only("a Threshold")
    return "Threshold", {"threshold": np.broadcast_to(array(layer.threshold), tuple(shape)).copy()}


def _delay(layer: Any, shape: Sequence[int], after: Sequence[int], target: Target) -> tuple[str, Fields]:
    target.only("a delay")
    steps = layer.delay.detach().round().double().view(tuple(shape)).numpy()
    return "Delay", {"delay": steps * target.dt}


def _sizes(value: Any, count: int) -> tuple[int, ...]:
    return (value,) * count if isinstance(value, int) else tuple(value)


def array(value: torch.Tensor) -> Any:
    """Numbers as NumPy has them."""
    return value.detach().numpy().copy()


_ADAPTIVE = {
    layer.forward for layer in (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d)
}
LAYERS: dict[Any, Callable[[Any, Sequence[int], Sequence[int], Target], tuple[str, Fields]]] = {
    nn.Linear.forward: _linear,
    **dict.fromkeys((nn.Conv1d.forward, nn.Conv2d.forward), _convolution),
    **dict.fromkeys((nn.AvgPool1d.forward, nn.AvgPool2d.forward), _averaging),
    **dict.fromkeys((nn.AdaptiveAvgPool1d.forward, nn.AdaptiveAvgPool2d.forward), _averaging),
    nn.Flatten.forward: _flatten,
    AxonalDelay.forward: _delay,
    Scale.forward: _scale,
    Threshold.forward: _threshold,
}
