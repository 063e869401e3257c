"""From the nodes of a graph in NIR to layers, whose shapes are followed before any of them is made."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn

from litspike.networks.delay import AxonalDelay
from litspike.networks.nir.dialects import Convention, Unreadable, update_of
from litspike.networks.nir.file import Array, FileError
from litspike.networks.nir.graph import NEURONS, Node, Plan
from litspike.networks.nir.layers import Scale, SumPool2d, Threshold
from litspike.networks.nir.neurons import layer_of
from litspike.neurons import Recurrent
from litspike.settings import UserError
from litspike.surrogates import Surrogate

Shape = tuple[int, ...]
MOST_NUMBERS = 1 << 26
"""Numbers that a layer may put out for a sample and step, or keep as its state."""


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
    steps: dict[str, Step] = {}
    for name, node in plan.nodes.items():
        with _naming(name, node):
            layer, shape = _layer(node, _of_sum(steps, node.inputs), means)
            _check_size(shape)
        steps[name] = Step(layer, node.inputs, shape, node.before)
    for name, node in plan.nodes.items():
        with _naming(name, node):
            _of_sum(steps, (*node.inputs, *node.before))
    return steps


@contextmanager
def _naming(name: str, node: Node) -> Iterator[None]:
    try:
        yield
    except UserError as problem:
        raise FileError(f"{name} ({node.kind}): {problem}") from problem


def _of_sum(steps: Mapping[str, Step], names: Sequence[str]) -> Shape | None:
    """The shape of a sum; None of no numbers."""
    shapes = [steps[name].shape for name in names]
    if any(shape != shapes[0] for shape in shapes):
        raise Unreadable(f"a sum of what has the shapes {', '.join(str(list(one)) for one in shapes)}")
    return shapes[0] if shapes else None


def _layer(node: Node, shape: Shape | None, means: Means) -> tuple[nn.Module | None, Shape]:
    if node.kind in ("Input", "Output"):
        own = _shape(node.stored.fields["shape"])
        if shape is not None and own != shape:
            raise Unreadable(f"it is for samples of {list(own)} and gets {list(shape)}")
        return None, own
    assert shape is not None
    if node.kind in NEURONS:
        return _neurons(node, shape, means), shape
    made = _MADE[node.kind](node.stored.fields, shape, means)
    return made if isinstance(made, tuple) else (made, shape)


def _neurons(node: Node, shape: Shape, means: Means) -> nn.Module:
    neurons = layer_of(update_of(node.kind, node.stored.fields, means.convention), shape, means.surrogate)
    if node.feedback is None:
        return neurons
    stored, delay = node.feedback
    size = math.prod(shape)
    weight, bias = _weights(stored.fields)
    if tuple(weight.shape) != (size, size):
        raise Unreadable(f"connections of {list(weight.shape)} from {size} neurons back to them")
    if delay is not None and any(steps > 1 for steps in _steps(delay.fields["delay"], means).flatten().tolist()):
        raise Unreadable("connections back to it with a delay of more than a step")
    with torch.device("meta"):  # no numbers are drawn that these would take the place of
        layer = Recurrent(neurons, bias is not None).shaped(*shape)
    layer.neuron, layer.connections = neurons, _linear(weight, bias)
    return layer


def _weights(fields: Mapping[str, Any]) -> tuple[Tensor, Tensor | None]:
    weight = _tensor("weight", fields["weight"])
    if weight.dim() != 2 or not weight.numel():
        raise Unreadable(f"weight: {list(weight.shape)}, where [outputs, inputs] is read")
    bias = _tensor("bias", fields["bias"]) if "bias" in fields else None
    if bias is not None and bias.shape != weight.shape[:1]:
        raise Unreadable(f"bias: {list(bias.shape)} for {len(weight)} outputs")
    return weight, bias


def _linear(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    with torch.device("meta"):
        layer = nn.Linear(weight.shape[1], weight.shape[0], bias is not None)
    layer.weight = nn.Parameter(weight)
    layer.bias = None if bias is None else nn.Parameter(bias)  # type: ignore[assignment]  # as torch has it
    return layer


def _product(fields: Mapping[str, Any], shape: Shape, means: Means) -> tuple[nn.Module, Shape]:
    weight, bias = _weights(fields)
    if shape != (weight.shape[1],):
        raise Unreadable(f"weights for {weight.shape[1]} inputs, and samples of {list(shape)}")
    return _linear(weight, bias), (len(weight),)


def _convolution(dimensions: int) -> Callable[[Mapping[str, Any], Shape, Means], tuple[nn.Module, Shape]]:
    kind: Any = (nn.Conv1d, nn.Conv2d)[dimensions - 1]

    def make(fields: Mapping[str, Any], shape: Shape, means: Means) -> tuple[nn.Module, Shape]:
        weight, bias = _tensor("weight", fields["weight"]), _tensor("bias", fields["bias"])
        (groups,) = _sizes("groups", fields["groups"], 1, 1)
        stride, dilation = (_sizes(name, fields[name], dimensions, 1) for name in ("stride", "dilation"))
        padding: Any = fields["padding"]
        if isinstance(padding, str):
            if padding not in ("same", "valid") or (padding == "same" and any(one > 1 for one in stride)):
                raise Unreadable(f"padding: {padding!r}, where same (without stride), valid or numbers are read")
        else:
            padding = _sizes("padding", padding, dimensions, 0)
        if weight.dim() != dimensions + 2 or not weight.numel() or bias.shape != weight.shape[:1]:
            raise Unreadable(f"weight and bias of {list(weight.shape)} and {list(bias.shape)}")
        outputs, inputs, *kernel = weight.shape
        if len(shape) != dimensions + 1 or shape[0] != inputs * groups or outputs % groups:
            raise Unreadable(f"{groups} groups of weights {list(weight.shape)}, and samples of {list(shape)}")
        if padding == "same":
            image = shape[1:]
        else:
            pads = (0,) * dimensions if padding == "valid" else padding
            image = _windows(shape[1:], kernel, stride, pads, dilation)
        with torch.device("meta"):
            layer = kind(inputs * groups, outputs, tuple(kernel), stride, padding, dilation, groups)
        layer.weight, layer.bias = nn.Parameter(weight), nn.Parameter(bias)
        return layer, (outputs, *image)

    return make


def _pooling(kind: Callable[..., nn.Module]) -> Callable[[Mapping[str, Any], Shape, Means], tuple[nn.Module, Shape]]:
    def make(fields: Mapping[str, Any], shape: Shape, means: Means) -> tuple[nn.Module, Shape]:
        if len(shape) != 3:
            raise Unreadable(f"it pools images [channels, height, width] and gets {list(shape)}")
        kernel, stride, padding = (
            _sizes(name, fields[name], 2, least) for name, least in (("kernel_size", 1), ("stride", 1), ("padding", 0))
        )
        if any(2 * pad > size for pad, size in zip(padding, kernel, strict=True)):
            raise Unreadable(f"padding: {list(padding)} is more than half of the kernel {list(kernel)}")
        image = _windows(shape[1:], kernel, stride, padding, (1, 1))
        return kind(kernel, stride, padding), (shape[0], *image)

    return make


def _windows(
    sizes: Sequence[int], kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int]
) -> Shape:
    """Number of windows along each dimension."""
    each = zip(sizes, kernel, stride, padding, dilation, strict=True)
    counts = tuple((size + 2 * pad - wide * (width - 1) - 1) // step + 1 for size, width, step, pad, wide in each)
    if min(counts) < 1:
        raise Unreadable(f"a kernel of {list(kernel)}, too large for {list(sizes)}")
    return counts


def _flatten(fields: Mapping[str, Any], shape: Shape, means: Means) -> tuple[nn.Module, Shape]:
    begin, end = (_integer(name, fields[name]) for name in ("start_dim", "end_dim"))
    places = [place + len(shape) if place < 0 else place for place in (begin, end)]
    if not 0 <= places[0] <= places[1] < len(shape):
        raise Unreadable(f"dimensions {begin} to {end} of samples of {list(shape)}")
    first, last = places
    flat = (*shape[:first], math.prod(shape[first : last + 1]), *shape[last + 1 :])
    return nn.Flatten(first + 1, last + 1), flat


def _scale(fields: Mapping[str, Any], shape: Shape, means: Means) -> nn.Module:
    return Scale(_placed("scale", fields["scale"], shape))


def _threshold(fields: Mapping[str, Any], shape: Shape, means: Means) -> nn.Module:
    return Threshold(_placed("threshold", fields["threshold"], shape), means.surrogate)


def _delay(fields: Mapping[str, Any], shape: Shape, means: Means) -> nn.Module | None:
    steps = _steps(fields["delay"], means)
    if steps.numel() != 1 and tuple(steps.shape) != shape:
        raise Unreadable(f"delays of {list(steps.shape)}, and samples of {list(shape)}")
    _check_size((int(steps.max()), *shape))
    delays = steps.expand(shape).flatten().tolist()
    return AxonalDelay(list(shape), max(int(steps.max()), 1), [float(delay) for delay in delays], learn=False)


def _steps(value: Any, means: Means) -> Tensor:
    """Delays in steps."""
    if means.convention.dt is None:
        raise Unreadable("the file doesn't say how long a step is: set dt, in seconds")
    delay = np.asarray(_tensor("delay", value), np.float64) / means.convention.dt
    steps = np.rint(delay)
    if not delay.size or bool((delay < 0).any()) or bool((np.abs(delay - steps) > 1e-3).any()):
        raise Unreadable(f"delay: no multiple of a step of {means.convention.dt:g}, or one below 0")
    if bool((steps > MOST_NUMBERS).any()):
        raise Unreadable(f"delay: {steps.max():g} steps, more than the {MOST_NUMBERS} that are kept")
    return torch.from_numpy(steps).to(torch.int64)


def _placed(name: str, value: Any, shape: Shape) -> Tensor:
    values = _tensor(name, value)
    if values.numel() == 1:
        return values.reshape(())
    if tuple(values.shape) != shape:
        raise Unreadable(f"{name}: {list(values.shape)}, and samples of {list(shape)}")
    return values


def _tensor(name: str, value: Any) -> Tensor:
    """A field in single precision."""
    if isinstance(value, str):
        raise Unreadable(f"{name}: {value!r}, where numbers should be")
    with np.errstate(over="ignore"):
        numbers: Array = np.asarray(value).astype(np.float32)
    if not bool(np.isfinite(numbers).all()):
        raise Unreadable(f"{name} holds a number that is not finite in single precision")
    return torch.from_numpy(np.array(numbers))


def _integer(name: str, value: Any) -> int:
    numbers = np.asarray(value)
    if numbers.size != 1 or numbers.dtype.kind not in "iuf":
        raise Unreadable(f"{name}: {str(value)[:50]!r} is no integer")
    number = float(numbers.reshape(-1)[0])
    if not math.isfinite(number) or number != int(number) or abs(number) > MOST_NUMBERS:
        raise Unreadable(f"{name}: {number:g} is no integer that is read")
    return int(number)


def _sizes(name: str, value: Any, count: int, least: int) -> Shape:
    """One integer for each dimension, from one for all or one for each."""
    numbers = np.asarray(value).reshape(-1)
    if isinstance(value, str) or len(numbers) not in (1, count):
        raise Unreadable(f"{name}: {str(value)[:50]!r}, where {count} sizes should be")
    sizes = tuple(_integer(name, number) for number in numbers)
    if min(sizes) < least:
        raise Unreadable(f"{name}: {min(sizes)} is below {least}")
    return sizes if len(sizes) == count else sizes * count


def _shape(value: Any) -> Shape:
    numbers = np.asarray(value).reshape(-1)
    if isinstance(value, str) or not 0 < len(numbers) <= 6:
        raise Unreadable("shape: it has no sizes, or more than six")
    shape = tuple(_integer("shape", number) for number in numbers)
    if min(shape) < 1:
        raise Unreadable(f"shape: {list(shape)}")
    return shape


def _check_size(shape: Shape) -> None:
    if min(shape) < 1:
        raise Unreadable(f"it puts out {list(shape)}: nothing")
    if math.prod(shape) > MOST_NUMBERS:
        raise Unreadable(f"{' × '.join(map(str, shape))} numbers, more than the {MOST_NUMBERS} that are kept")


_MADE = cast(
    "dict[str, Callable[[Mapping[str, Any], Shape, Means], Any]]",
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
