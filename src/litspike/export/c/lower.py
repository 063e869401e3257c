"""From the layers of a network to the operations that C has for them."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from litspike.engine.ir.nest import Kind, Leaf
from litspike.engine.ir.trace import trace
from litspike.export.artefact import Refused, Subject, forward_of
from litspike.export.c.delays import delaying, thresholding
from litspike.export.c.operations import (
    Convolution,
    Neurons,
    Operation,
    Pooling,
    Product,
    Scale,
    Sum,
    Windows,
    folded,
)
from litspike.export.graph import Graph, Node, StepBefore
from litspike.export.traced import traced_layer
from litspike.internals.torch import BatchNorm
from litspike.networks import AxonalDelay, TimeDropout
from litspike.networks.nir.layers import Scale as Scaled
from litspike.networks.nir.layers import Threshold
from litspike.networks.quantised import scale_and_offset
from litspike.neurons import Neuron, NeuronLayer

FORMAT = "c"


def operations_of(graph: Graph, subject: Subject) -> tuple[list[Operation], int]:
    """The operations in the order of their use, and the number of the tensor that comes out.

    Raises:
        Refused: if there is none for a layer.
    """
    found: list[Operation] = []
    shapes = [graph.shape, *(node.shape for node in graph.nodes)]
    alias = list(range(len(shapes)))  # a layer that only names the same numbers otherwise is no operation
    numbers = iter(enumerate(subject.labels, start=1))
    for index, node in enumerate(graph.nodes, start=1):
        inputs = tuple(alias[number] for number in node.inputs)
        about: dict[str, Any] = {"inputs": inputs, "output": index, "size": node.shape.numel(), "name": node.name}
        if isinstance(node.layer, StepBefore):
            raise Refused(FORMAT, "model.network", "a loop through several layers has no C")
        if node.layer is None:
            found.append(Sum(**about))
        elif forward_of(node.layer) in _SAME:
            _check_same(node)
            alias[index] = inputs[0]
        elif isinstance(node.layer, NeuronLayer):
            number, label = next(numbers)
            found.append(_neurons(node, about, number, label))
        else:
            lower = _LAYERS.get(forward_of(node.layer), _elementwise)
            found.append(lower(node, shapes[node.inputs[0]], about))
    return folded(found, alias[graph.output]), alias[graph.output]


def constant_names(layer: Neuron, count: int) -> list[str]:
    """Names of the constants of a step, as its arguments have them."""
    names = [
        one.name for one in inspect.signature(layer.step).parameters.values() if one.kind is not one.VAR_POSITIONAL
    ]
    names = names[1 + len(layer.rest) :]
    fits = len(names) == count and all(name.isascii() for name in names)
    return names if fits else [f"constant{index}" for index in range(count)]


def _neurons(node: Node, about: dict[str, Any], number: int, label: str) -> Neurons:
    assert node.layer is not None
    return Neurons(**about, **neurons_of(node.layer, node.shape, label), number=number, label=label)


def neurons_of(layer: nn.Module, shape: Sequence[int], place: str) -> dict[str, Any]:
    """What a :class:`Neurons` has of a layer, for samples of a shape; raises :class:`Refused`."""
    *parts, connections = traced_layer(FORMAT, layer, shape, place)
    made: dict[str, Any] = dict(zip(("program", "states", "rest", "constants", "layer"), parts, strict=True))
    for name in ("rest", "constants"):
        made[name] = tuple(value.reshape(-1) if isinstance(value, Tensor) else value for value in made[name])
    if connections is not None:
        made |= {"weight": connections.weight.detach(), "bias": _detached(connections.bias)}
    return made


def _check_same(node: Node) -> None:
    layer = node.layer
    if isinstance(layer, nn.Flatten) and layer.start_dim < 1:
        raise Refused(FORMAT, node.place, f"start_dim: {layer.start_dim} joins samples")


def _elementwise(node: Node, shape: torch.Size, about: dict[str, Any]) -> Operation:
    """Any layer that does one thing with each number."""
    layer, kind = node.layer, type(node.layer).__name__
    assert layer is not None
    try:
        program = trace(lambda x: (layer(x),), 0, [Leaf(Kind.PER_STEP)], torch.float32)
    except Exception as problem:  # whatever a layer says of what it can't take
        raise Refused(FORMAT, node.place, f"there is no C for a {kind}") from problem
    return Neurons(**about, program=program, states=(), rest=(), constants=(), function=layer)


def _product(node: Node, shape: torch.Size, about: dict[str, Any]) -> Operation:
    layer: Any = node.layer
    if len(shape) != 1:
        raise Refused(FORMAT, node.place, f"it takes samples {list(shape)}, of which it sees the last dimension alone")
    return Product(**about, weight=layer.weight.detach(), bias=_detached(layer.bias))


def _convolution(node: Node, shape: torch.Size, about: dict[str, Any]) -> Operation:
    layer: Any = node.layer
    if layer.padding_mode != "zeros":
        raise Refused(FORMAT, node.place, f"padding_mode: {layer.padding_mode} has no C, zeros has")
    dilation = _pair(layer.dilation, shape)
    kernel = _pair(layer.kernel_size, shape)
    if layer.padding == "same":
        padding: tuple[int, ...] = tuple(d * (k - 1) // 2 for d, k in zip(dilation, kernel, strict=True))
    else:
        padding = (0, 0) if layer.padding == "valid" else _pair(layer.padding, shape, 0)
    weight = layer.weight.detach()
    return Convolution(
        **about,
        weight=weight if weight.dim() == 4 else weight.unsqueeze(2),
        bias=_detached(layer.bias),
        source=_image(shape),
        image=_image(node.shape)[1:],
        stride=_pair(layer.stride, shape),
        padding=padding,  # type: ignore[arg-type]  # a pair
        dilation=dilation,
        groups=layer.groups,
    )


def _batch_norm(node: Node, shape: torch.Size, about: dict[str, Any]) -> Operation:
    layer: Any = node.layer
    if layer.running_mean is None:
        raise Refused(FORMAT, node.place, "track_running_stats: false normalises by the batch that comes")
    factor, offset = scale_and_offset(layer)
    return Scale(**about, factor=factor, offset=offset)


def _scale(node: Node, shape: torch.Size, about: dict[str, Any]) -> Operation:
    layer: Any = node.layer
    factor = layer.scale.detach().double().expand(shape).flatten()
    return Scale(**about, factor=factor, offset=torch.zeros_like(factor))


def _threshold(node: Node, shape: torch.Size, about: dict[str, Any]) -> Operation:
    layer: Any = node.layer
    return Neurons(**about, **neurons_of(thresholding(layer.threshold.detach().expand(shape)), node.shape, node.place))


def _delay(node: Node, shape: torch.Size, about: dict[str, Any]) -> Operation:
    layer: Any = node.layer
    delays = layer.delay.detach().round().view(shape)
    return Neurons(**about, **neurons_of(delaying(delays), node.shape, node.place))


def _pooling(maximum: bool) -> Callable[[Node, torch.Size, dict[str, Any]], Operation]:
    def lower(node: Node, shape: torch.Size, about: dict[str, Any]) -> Operation:
        layer: Any = node.layer
        if getattr(layer, "return_indices", False):
            raise Refused(FORMAT, node.place, "return_indices: true gives two tensors")
        source = _image(shape)
        kernel, stride = _pair(layer.kernel_size, shape), _pair(layer.stride or layer.kernel_size, shape)
        padding, dilation = _pair(layer.padding, shape, 0), _pair(getattr(layer, "dilation", 1), shape)
        override = getattr(layer, "divisor_override", None)
        within = not getattr(layer, "count_include_pad", False)
        each: Any = zip(
            source[1:], _image(node.shape)[1:], kernel, stride, padding, dilation, (within,) * 2, strict=True
        )
        axes = [_windows(*sizes) for sizes in each]
        if override is not None:
            axes = [
                Windows(axis.begins, axis.ends, (number,) * len(axis.begins), axis.step)
                for axis, number in zip(axes, (override, 1), strict=True)
            ]
        return Pooling(**about, maximum=maximum, source=source, rows=axes[0], columns=axes[1])

    return lower


def _windows(size: int, count: int, kernel: int, stride: int, padding: int, dilation: int, within: bool) -> Windows:
    """The windows along one dimension; ``within`` leaves padding out of what an average divides by."""
    begins, ends, sizes = [], [], []
    for place in range(count):
        first = place * stride - padding
        past = min(first + kernel, size + padding)  # without dilation, as an average has none
        low = first + dilation * max(0, -(first // dilation)) if first < 0 else first
        high = min(first + dilation * (kernel - 1) + 1, size)
        begins.append(low)
        ends.append(high)
        sizes.append(high - low if within else past - first)
    return Windows(tuple(begins), tuple(ends), tuple(sizes), dilation)


def _adaptive(maximum: bool) -> Callable[[Node, torch.Size, dict[str, Any]], Operation]:
    def lower(node: Node, shape: torch.Size, about: dict[str, Any]) -> Operation:
        if getattr(node.layer, "return_indices", False):
            raise Refused(FORMAT, node.place, "return_indices: true gives two tensors")
        source, axes = _image(shape), []
        for size, count in zip(source[1:], _image(node.shape)[1:], strict=True):
            begins = tuple(place * size // count for place in range(count))
            ends = tuple(math.ceil((place + 1) * size / count) for place in range(count))
            axes.append(Windows(begins, ends, tuple(end - begin for begin, end in zip(begins, ends, strict=True))))
        return Pooling(**about, maximum=maximum, source=source, rows=axes[0], columns=axes[1])

    return lower


def _image(shape: Sequence[int]) -> tuple[int, int, int]:
    """[C, H, W] of an image, or of a line, which is one row."""
    channels, *sizes = shape
    return (channels, 1, sizes[0]) if len(sizes) == 1 else (channels, sizes[0], sizes[1])


def _pair(value: Any, shape: Sequence[int], missing: int = 1) -> tuple[int, int]:
    """A setting of rows and columns; ``missing`` for the one row of a line."""
    sizes = (value,) * (len(shape) - 1) if isinstance(value, int) else tuple(value)
    return (missing, sizes[0]) if len(sizes) == 1 else (sizes[0], sizes[1])


def _detached(value: Tensor | None) -> Tensor | None:
    return None if value is None else value.detach()


_SAME = {
    layer.forward
    for layer in (nn.Identity, nn.Flatten, nn.Unflatten, TimeDropout, nn.Dropout, nn.Dropout1d, nn.Dropout2d)
}
"""What gives, in evaluation, the numbers that it gets."""
_LAYERS: dict[Any, Callable[[Node, torch.Size, dict[str, Any]], Operation]] = {
    nn.Linear.forward: _product,
    **dict.fromkeys((nn.Conv1d.forward, nn.Conv2d.forward), _convolution),
    BatchNorm.forward: _batch_norm,
    Scaled.forward: _scale,
    Threshold.forward: _threshold,
    AxonalDelay.forward: _delay,
    **dict.fromkeys((nn.MaxPool1d.forward, nn.MaxPool2d.forward), _pooling(True)),
    **dict.fromkeys((nn.AvgPool1d.forward, nn.AvgPool2d.forward), _pooling(False)),
    **dict.fromkeys((nn.AdaptiveAvgPool1d.forward, nn.AdaptiveAvgPool2d.forward), _adaptive(False)),
    **dict.fromkeys((nn.AdaptiveMaxPool1d.forward, nn.AdaptiveMaxPool2d.forward), _adaptive(True)),
}
