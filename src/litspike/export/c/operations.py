"""The operations that a network's step is made of in C, as data. The printer and the twin in torch read the same."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from litspike.engine.ir.program import Program
from litspike.neurons import Neuron


@dataclass(frozen=True, eq=False)
class Operation:
    """Takes tensors by their numbers, and puts out one of ``size`` numbers."""

    inputs: tuple[int, ...]
    output: int
    size: int
    name: str
    """The layer's, in the network."""

    @property
    def about(self) -> str:
        """Its name in messages."""
        return self.name or "sum"


@dataclass(frozen=True, eq=False)
class Product(Operation):
    """y = W x + b, of what is not zero in x, in the order of its index."""

    weight: Tensor
    bias: Tensor | None


@dataclass(frozen=True, eq=False)
class Convolution(Operation):
    """The same for each place of an image: [C, H, W] to [O, *image]."""

    weight: Tensor
    """[O, C / groups, rows, columns]."""
    bias: Tensor | None
    source: tuple[int, int, int]
    image: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int


@dataclass(frozen=True)
class Windows:
    """Where the windows of a pooling lie along one dimension: first and end place of each, and what it divides by."""

    begins: tuple[int, ...]
    ends: tuple[int, ...]
    sizes: tuple[int, ...]
    step: int = 1


@dataclass(frozen=True, eq=False)
class Pooling(Operation):
    """The maximum, or the sum divided by the size, of each window of each channel of [C, H, W]."""

    maximum: bool
    source: tuple[int, int, int]
    rows: Windows
    columns: Windows


@dataclass(frozen=True, eq=False)
class Scale(Operation):
    """y = a x + b for each channel."""

    factor: Tensor
    offset: Tensor


@dataclass(frozen=True, eq=False)
class Sum(Operation):
    """y = a + b."""


@dataclass(frozen=True, eq=False)
class Neurons(Operation):
    """A traced step, element by element. Without states it is any function of one number."""

    program: Program
    states: tuple[str, ...]
    rest: tuple[float | Tensor, ...]
    """Of each state: one number, or one for each neuron."""
    constants: tuple[float | Tensor, ...]
    number: int = 0
    """Which of the network's layers of neurons it is, from 1; 0 of none."""
    label: str = ""
    layer: Neuron | None = None
    """The layer of neurons."""
    function: nn.Module | None = None
    """The layer without states that it is otherwise."""
    weight: Tensor | None = None
    """Of the connections of a recurrent layer to itself."""
    bias: Tensor | None = None

    @property
    def about(self) -> str:
        """Its name in messages."""
        return self.label or self.name

    @property
    def recurrent(self) -> bool:
        """Whether it takes in what it put out the step before."""
        return self.weight is not None


def watched_neurons(operations: Iterable[Operation]) -> list[Neurons]:
    """The network's layers of neurons, in the order of their use."""
    return [operation for operation in operations if isinstance(operation, Neurons) and operation.number]


def folded(operations: list[Operation], output: int) -> list[Operation]:
    """The same with each scale that follows a product or convolution inside its weights, rounded once to float32."""
    uses = [number for operation in operations for number in operation.inputs] + [output]
    made = {operation.output: operation for operation in operations}
    result: list[Operation] = []
    for operation in operations:
        before = made.get(operation.inputs[0])
        weighted = isinstance(before, (Product, Convolution)) and uses.count(before.output) == 1
        if not isinstance(operation, Scale) or not weighted:
            result.append(operation)
            continue
        assert isinstance(before, (Product, Convolution))
        if len(operation.factor) != len(before.weight):  # a number for each place, and not for each channel
            result.append(operation)
        else:
            weight, bias = _scaled(before, operation)
            merged = replace(before, output=operation.output, weight=weight, bias=bias)
            result[next(index for index, one in enumerate(result) if one is before)] = merged
            made[merged.output] = merged
    return result


def _scaled(before: Product | Convolution, scale: Scale) -> tuple[Tensor, Tensor]:
    factor = scale.factor
    weight = before.weight.double() * factor.view(-1, *[1] * (before.weight.dim() - 1))
    bias = torch.zeros_like(factor) if before.bias is None else before.bias.double()
    return weight.float(), (bias * factor + scale.offset).float()
