"""From the nodes of a graph in NIR to layers, whose shapes are followed before any of them is made."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn

from litspike.networks.delay import AxonalDelay
from litspike.networks.nir.dialects import Convention, Unreadable, update_of
from litspike.networks.nir.fields import MOST_NUMBERS, Shape, integer, shape_of, sizes, tensor
from litspike.networks.nir.file import FileError
from litspike.networks.nir.graph import NEURONS, Node, Plan
from litspike.networks.nir.layers import Scale, SumPool2d, Threshold
from litspike.networks.nir.neurons import layer_of
from litspike.neurons import Recurrent
from litspike.settings import UserError
from litspike.surrogates import Surrogate

Make = Callable[[], nn.Module | None]
"""Reads the numbers of a node and makes its layer: all shapes are checked before any of them is called."""


class Step(NamedTuple):
    """A layer of the network, and the names of what it takes the sum of."""

    layer: nn.Module | None
    """None where the sum is passed on."""
    inputs: tuple[str, ...]
    shape: Shape
    """Of what it puts out."""
    before: tuple[str, ...] = ()
    """The names of what it adds as it was the step before."""


class Means(NamedTuple):
    """How nodes are understood."""

    convention: Convention
    surrogate: Surrogate | None


def layers_of(plan: Plan, means: Means) -> dict[str, Step]:
    """The layers of a graph in the order of their use.

    Raises:
        FileError: if a node can't be run; it is named.
    """
    shapes: dict[str, Shape] = {}
    makers: dict[str, Make] = {}
    for name, node in plan.nodes.items():
        with _naming(name, node):
            makers[name], shapes[name] = _layer(node, _of_sum(shapes, node.inputs), means)
            _check_size(shapes[name])
    steps: dict[str, Step] = {}
    for name, node in plan.nodes.items():
        with _naming(name, node):
            _of_sum(shapes, (*node.inputs, *node.before))
            steps[name] = Step(makers[name](), node.inputs, shapes[name], node.before)
    return steps


@contextmanager
def _naming(name: str, node: Node) -> Iterator[None]:
    try:
        yield
    except UserError as problem:
        raise FileError(f"{name} ({node.kind}): {problem}") from problem


def _of_sum(shapes: Mapping[str, Shape], names: Sequence[str]) -> Shape | None:
    """The shape of a sum; None of no numbers."""
    found = [shapes[name] for name in names]
    if any(shape != found[0] for shape in found):
        raise Unreadable(f"a sum of what has the shapes {', '.join(str(list(one)) for one in found)}")
    return found[0] if found else None


def _layer(node: Node, shape: Shape | None, means: Means) -> tuple[Make, Shape]:
    if node.kind in ("Input", "Output"):
        own = shape_of(node.stored.fields["shape"])
        if shape is not None and own != shape:
            raise Unreadable(f"it is for samples of {list(own)} and gets {list(shape)}")
        return lambda: None, own
    assert shape is not None
    if node.kind in NEURONS:
        return _neurons(node, shape, means), shape
    made = _MADE[node.kind](node.stored.fields, shape, means)
    return made if isinstance(made, tuple) else (made, shape)


def _neurons(node: Node, shape: Shape, means: Means) -> Make:
    for name, value in node.stored.fields.items():
        if np.size(value) > 1 and np.size(value) != math.prod(shape):
            own = list(np.shape(value))
            raise Unreadable(f"numbers for neurons of shape {own}, where samples have {list(shape)} ({name})")
    if node.feedback is not None:
        size, (stored, delay) = math.prod(shape), node.feedback
        weight = _weights(stored.fields)
        if weight != (size, size):
            raise Unreadable(f"connections of {list(weight)} from {size} neurons back to them")
        if delay is not None and any(steps > 1 for steps in _steps(delay.fields["delay"], means).flatten().tolist()):
            raise Unreadable("connections back to it with a delay of more than a step")

    def make() -> nn.Module:
        neurons = layer_of(update_of(node.kind, node.stored.fields, means.convention), shape, means.surrogate)
        if node.feedback is None:
            return neurons
        connections = _linear(node.feedback[0].fields)
        with torch.device("meta"):  # no numbers are drawn that these would take the place of
            layer = Recurrent(neurons, connections.bias is not None).shaped(*shape)
        layer.neuron, layer.connections = neurons, connections
        return layer

    return make


def _weights(fields: Mapping[str, Any]) -> Shape:
    """The shape of the weights, [outputs, inputs]."""
    shape = tuple(np.shape(fields["weight"]))
    if len(shape) != 2 or 0 in shape:
        raise Unreadable(f"weight: {list(shape)}, where [outputs, inputs] is read")
    if "bias" in fields and np.shape(fields["bias"]) != shape[:1]:
        raise Unreadable(f"bias: {list(np.shape(fields['bias']))} for {shape[0]} outputs")
    return shape


def _linear(fields: Mapping[str, Any]) -> nn.Linear:
    weight = tensor("weight", fields["weight"])
    with torch.device("meta"):
        layer = nn.Linear(weight.shape[1], weight.shape[0], "bias" in fields)
    layer.weight = nn.Parameter(weight)
    if "bias" in fields:
        layer.bias = nn.Parameter(tensor("bias", fields["bias"]))
    return layer


def _product(fields: Mapping[str, Any], shape: Shape, means: Means) -> tuple[Make, Shape]:
    outputs, inputs = _weights(fields)
    if shape != (inputs,):
        raise Unreadable(f"weights for {inputs} inputs, and samples of {list(shape)}")
    return partial(_linear, fields), (outputs,)


def _convolution(dimensions: int) -> Callable[[Mapping[str, Any], Shape, Means], tuple[Make, Shape]]:
    kind: Any = (nn.Conv1d, nn.Conv2d)[dimensions - 1]

    def of(fields: Mapping[str, Any], shape: Shape, means: Means) -> tuple[Make, Shape]:
        weight, bias = tuple(np.shape(fields["weight"])), tuple(np.shape(fields["bias"]))
        (groups,) = sizes("groups", fields["groups"], 1, 1)
        stride, dilation = (sizes(name, fields[name], dimensions, 1) for name in ("stride", "dilation"))
        padding: Any = fields["padding"]
        if isinstance(padding, str):
            if padding not in ("same", "valid") or (padding == "same" and any(one > 1 for one in stride)):
                raise Unreadable(f"padding: {padding!r}, where same (without stride), valid or numbers are read")
        else:
            padding = sizes("padding", padding, dimensions, 0)
        if len(weight) != dimensions + 2 or 0 in weight or bias != weight[:1]:
            raise Unreadable(f"weight and bias of {list(weight)} and {list(bias)}")
        outputs, inputs, *kernel = weight
        if len(shape) != dimensions + 1 or shape[0] != inputs * groups or outputs % groups:
            raise Unreadable(f"{groups} groups of weights {list(weight)}, and samples of {list(shape)}")
        if padding == "same":
            image = shape[1:]
        else:
            pads = (0,) * dimensions if padding == "valid" else padding
            image = _windows(shape[1:], kernel, stride, pads, dilation)

        def make() -> nn.Module:
            with torch.device("meta"):
                layer: nn.Module = kind(inputs * groups, outputs, tuple(kernel), stride, padding, dilation, groups)
            layer.weight, layer.bias = (nn.Parameter(tensor(name, fields[name])) for name in ("weight", "bias"))
            return layer

        return make, (outputs, *image)

    return of


def _pooling(kind: Callable[..., nn.Module]) -> Callable[[Mapping[str, Any], Shape, Means], tuple[Make, Shape]]:
    def of(fields: Mapping[str, Any], shape: Shape, means: Means) -> tuple[Make, Shape]:
        if len(shape) != 3:
            raise Unreadable(f"it pools images [channels, height, width] and gets {list(shape)}")
        kernel, stride, padding = (
            sizes(name, fields[name], 2, least) for name, least in (("kernel_size", 1), ("stride", 1), ("padding", 0))
        )
        if any(2 * pad > size for pad, size in zip(padding, kernel, strict=True)):
            raise Unreadable(f"padding: {list(padding)} is more than half of the kernel {list(kernel)}")
        image = _windows(shape[1:], kernel, stride, padding, (1, 1))
        return partial(kind, kernel, stride, padding), (shape[0], *image)

    return of


def _windows(
    sizes: Sequence[int], kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int]
) -> Shape:
    """Number of windows along each dimension."""
    each = zip(sizes, kernel, stride, padding, dilation, strict=True)
    counts = tuple((size + 2 * pad - wide * (width - 1) - 1) // step + 1 for size, width, step, pad, wide in each)
    if min(counts) < 1:
        raise Unreadable(f"a kernel of {list(kernel)}, too large for {list(sizes)}")
    return counts


def _flatten(fields: Mapping[str, Any], shape: Shape, means: Means) -> tuple[Make, Shape]:
    begin, end = (integer(name, fields[name]) for name in ("start_dim", "end_dim"))
    places = [place + len(shape) if place < 0 else place for place in (begin, end)]
    if not 0 <= places[0] <= places[1] < len(shape):
        raise Unreadable(f"dimensions {begin} to {end} of samples of {list(shape)}")
    first, last = places
    flat = (*shape[:first], math.prod(shape[first : last + 1]), *shape[last + 1 :])
    return partial(nn.Flatten, first + 1, last + 1), flat


def _scale(fields: Mapping[str, Any], shape: Shape, means: Means) -> Make:
    placed = _placed("scale", fields["scale"], shape)
    return lambda: Scale(placed())


def _threshold(fields: Mapping[str, Any], shape: Shape, means: Means) -> Make:
    placed = _placed("threshold", fields["threshold"], shape)
    return lambda: Threshold(placed(), means.surrogate)


def _delay(fields: Mapping[str, Any], shape: Shape, means: Means) -> Make:
    _placed("delay", fields["delay"], shape)
    steps = _steps(fields["delay"], means)
    _check_size((int(steps.max()), *shape))
    delays = [float(delay) for delay in steps.reshape(shape if steps.numel() != 1 else ()).expand(shape).flatten()]
    return lambda: AxonalDelay(list(shape), max(int(steps.max()), 1), delays, learn=False)


def _steps(value: Any, means: Means) -> Tensor:
    """Delays in steps."""
    if means.convention.dt is None:
        raise Unreadable("the file doesn't say how long a step is: set dt, in seconds")
    delay = np.asarray(tensor("delay", value), np.float64) / means.convention.dt
    steps = np.rint(delay)
    if not delay.size or bool((delay < 0).any()) or bool((np.abs(delay - steps) > 1e-3).any()):
        raise Unreadable(f"delay: no multiple of a step of {means.convention.dt:g}, or one below 0")
    if bool((steps > MOST_NUMBERS).any()):
        raise Unreadable(f"delay: {steps.max():g} steps, more than the {MOST_NUMBERS} that are kept")
    return torch.from_numpy(steps).to(torch.int64)


def _placed(name: str, value: Any, shape: Shape) -> Callable[[], Tensor]:
    """What gives the numbers of a sample, or one for all."""
    if np.size(value) != 1 and np.shape(value) != shape:
        raise Unreadable(f"{name}: {list(np.shape(value))}, and samples of {list(shape)}")
    return lambda: tensor(name, value).reshape(() if np.size(value) == 1 else shape)


def _check_size(shape: Shape) -> None:
    if min(shape) < 1:
        raise Unreadable(f"it puts out {list(shape)}: nothing")
    if math.prod(shape) > MOST_NUMBERS:
        raise Unreadable(f"{' × '.join(map(str, shape))} numbers, more than the {MOST_NUMBERS} that are kept")


_MADE = cast(
    "dict[str, Callable[[Mapping[str, Any], Shape, Means], Make | tuple[Make, Shape]]]",
    {
        "Linear": _product,
        "Affine": _product,
        "Conv1d": _convolution(1),
        "Conv2d": _convolution(2),
        "SumPool2d": _pooling(SumPool2d),
        "AvgPool2d": _pooling(nn.AvgPool2d),
        "Flatten": _flatten,
        "Scale": _scale,
        "Threshold": _threshold,
        "Delay": _delay,
    },
)
