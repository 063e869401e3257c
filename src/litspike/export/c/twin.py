"""The network in torch, in the order of C's operations: what the C file must give to the last bit.

A product is the engine's on events, whose order of sums is defined; neurons run on the reference engine.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from litspike.engine import run
from litspike.engine.events.product import events, packed, product
from litspike.export.artefact import Answer
from litspike.export.c.coding import Encoder, Readout
from litspike.export.c.operations import (
    Convolution,
    Neurons,
    Operation,
    Pooling,
    Product,
    Scale,
    Sum,
    Windows,
    watched_neurons,
)

_MOST = 1 << 24
"""Numbers of an image laid out by windows that are held at once."""


class Twin:
    """A network in the order of C's operations.

    Args:
        operations: in the order of their use.
        output: number of the tensor that comes out.
        encoder: of the samples.
        readout: of the outputs.
        in_unit: from the readout's values to the unit of the targets.
    """

    def __init__(
        self, operations: list[Operation], output: int, encoder: Encoder, readout: Readout, in_unit: Any
    ) -> None:
        self.operations, self.output, self.encoder, self.readout = operations, output, encoder, readout
        self.in_unit = in_unit

    @torch.no_grad()
    def __call__(self, x: Tensor) -> Answer:
        """Samples [B, *]. Layers and outputs are flat, [T, B, N]."""
        tensors = self.tensors(x)
        layers = [tensors[operation.output] for operation in watched_neurons(self.operations)]
        outputs = tensors[self.output]
        return Answer(self.in_unit(self.readout.read(outputs)), outputs, layers)

    @torch.no_grad()
    def tensors(self, x: Tensor) -> dict[int, Tensor]:
        """Every tensor by its number, flat, [T, B, N], for samples [B, *]."""
        current = self.encoder.respond(x)
        tensors = {0: flat(current)}
        for operation in self.operations:
            tensors[operation.output] = _run(operation, [tensors[number] for number in operation.inputs])
        return tensors


def flat(x: Tensor) -> Tensor:
    """Samples over time [T, B, *] → [T, B, N]."""
    return x.flatten(2) if x.dim() > 2 else x.unsqueeze(2)


def _run(operation: Operation, given: list[Tensor]) -> Tensor:
    x = given[0]
    match operation:
        case Product():
            return _product(x, operation.weight, operation.bias)
        case Convolution():
            return _convolution(operation, x)
        case Pooling():
            return _pooling(operation, x)
        case Scale():
            size = operation.size // len(operation.factor)
            factor, offset = (part.float().repeat_interleave(size) for part in (operation.factor, operation.offset))
            return x * factor + offset
        case Sum():
            return x + given[1]
        case Neurons():
            return _neurons(operation, x)
    raise TypeError(type(operation).__name__)


def _product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    flat = x.reshape(-1, x.shape[-1]).contiguous()
    y = product(events(flat), packed(weight.contiguous()), len(weight), bias)
    return y.view(*x.shape[:-1], len(weight))


def _convolution(operation: Convolution, x: Tensor) -> Tensor:
    """The product of each window, whose numbers lie in the order of the input's."""
    outputs = len(operation.weight) // operation.groups
    kernel, (rows, columns) = operation.weight.shape[2:], operation.image
    at_once = max(_MOST // (operation.weight[0].numel() * operation.groups * rows * columns), 1)
    done = []
    for some in torch.split(padded(operation, x), at_once):
        parts = []
        for group, part in enumerate(some.chunk(operation.groups, 1)):
            windows = functional.unfold(part, (kernel[0], kernel[1]), operation.dilation, 0, operation.stride)
            chosen = slice(group * outputs, (group + 1) * outputs)
            bias = None if operation.bias is None else operation.bias[chosen]
            parts.append(_product(windows.transpose(1, 2), operation.weight[chosen].flatten(1), bias))
        done.append(torch.cat(parts, -1).transpose(1, 2).flatten(1))
    return torch.cat(done).view(*x.shape[:2], operation.size)


def padded(operation: Convolution, x: Tensor) -> Tensor:
    """The images [T · B, C, H, W] of a convolution's input [T, B, N], with the zeros around them that it sees."""
    kernel, pads = operation.weight.shape[2:], list[int]()
    for axis in (1, 0):
        reach = (operation.image[axis] - 1) * operation.stride[axis] + operation.dilation[axis] * (kernel[axis] - 1) + 1
        before = operation.padding[axis]
        pads += [before, reach - operation.source[1 + axis] - before]
    return functional.pad(x.reshape(-1, *operation.source), pads)


def _pooling(operation: Pooling, x: Tensor) -> Tensor:
    found: Tensor | None = None
    for inside, values in windows(operation, x):
        if operation.maximum:
            values = torch.where(inside, values, -torch.inf)
            found = values if found is None else torch.maximum(found, values)
        else:
            before = torch.zeros_like(values) if found is None else found
            found = torch.where(inside, before + values, before)
    assert found is not None
    if not operation.maximum:
        found = found / window_sizes(operation).float()
    return found.reshape(*x.shape[:2], operation.size)


def windows(operation: Pooling, x: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """For the first, second, … place of all windows of an input [T, B, N]: whether it is inside, and what is there."""
    images = x.reshape(-1, *operation.source)
    places, insides = zip(*(_offsets(axis) for axis in (operation.rows, operation.columns)), strict=True)
    for row, row_inside in zip(places[0], insides[0], strict=True):
        for column, column_inside in zip(places[1], insides[1], strict=True):
            yield row_inside[:, None] & column_inside, images[:, :, row][:, :, :, column]


def window_sizes(operation: Pooling) -> Tensor:
    """What the sum of each window is divided by, [rows, columns]."""
    rows, columns = (torch.tensor(axis.sizes) for axis in (operation.rows, operation.columns))
    return rows[:, None] * columns


def _offsets(axis: Windows) -> tuple[list[Tensor], list[Tensor]]:
    """For the first, second, … place of the windows: where each is, and whether it is inside."""
    begins, ends = torch.tensor(axis.begins), torch.tensor(axis.ends)
    longest = int((-((begins - ends) // axis.step)).max())
    places = [begins + axis.step * number for number in range(longest)]
    insides = [place < ends for place in places]
    return [torch.where(inside, place, begins) for place, inside in zip(places, insides, strict=True)], insides


def _neurons(operation: Neurons, x: Tensor) -> Tensor:
    if operation.layer is None:
        assert operation.function is not None
        result: Tensor = operation.function(x)
        return result
    rule: Any = operation.layer.key()
    name = type(operation.layer).__name__
    states: list[Any] = [value.expand(x.shape[1:]) if isinstance(value, Tensor) else value for value in operation.rest]
    constants = operation.constants
    if not operation.recurrent:
        return run(rule.step, rule, x, states, constants, "reference", name)[0]
    assert operation.weight is not None
    last, outputs = torch.zeros_like(x[0]), []
    for step in x:
        taken = _product(last, operation.weight, operation.bias) + step
        output, after = run(rule.step, rule, taken[None], states, constants, "reference", name)
        states = [*after]
        last = output[0]
        outputs.append(last)
    return torch.stack(outputs)
