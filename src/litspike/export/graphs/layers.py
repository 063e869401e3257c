"""Layers of neurons as plain operations of torch, from the operations that the engines trace."""

from __future__ import annotations

import operator
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch._higher_order_ops.scan import scan  # the one loop that both of torch's exporters keep as a loop

from litspike.export.traced import Traced
from litspike.neurons import NeuronLayer

Power = Callable[[Tensor], Tensor]
"""2 to an integer power, as a format has it."""
Part = Tensor | float


def power_by_bits(x: Tensor) -> Tensor:
    """2 to an integer power, by way of the exponent's bits, as the engines have it."""
    bits = (x + 1.5 * 2.0**23).view(torch.int32)
    return ((bits + 127) << 23).view(torch.float32)


def power_by_pow(x: Tensor) -> Tensor:
    """The same for formats that don't look at bits."""
    return torch.pow(2.0, x)


_WITH_NUMBERS: dict[str, Callable[..., Any]] = {
    **{"add": operator.add, "sub": operator.sub, "mul": operator.mul, "div": operator.truediv},
    **{name: getattr(operator, name) for name in ("lt", "le", "gt", "ge", "eq", "ne")},
    "select": torch.where,
}
_OF_TENSORS: dict[str, Callable[..., Any]] = {
    **{"neg": torch.neg, "abs": torch.abs, "floor": torch.floor, "max": torch.maximum, "min": torch.minimum},
    **{"and": torch.logical_and, "or": torch.logical_or, "not": torch.logical_not},
    "float": lambda x: x.to(torch.float32),
}


class PlainNeurons(NeuronLayer):
    """A layer of neurons whose state is a tuple of tensors [B, *], with the last output at its end where it is
    recurrent.

    Args:
        traced: the layer.
        power: 2 to an integer power.
    """

    def __init__(self, traced: Traced, power: Power) -> None:
        super().__init__()
        self.program, self.power, self.connections = traced.program, power, traced.connections
        self.rest = [self._stored(f"rest{index}", value) for index, value in enumerate(traced.rest)]
        self.constants = [self._stored(f"constant{index}", value) for index, value in enumerate(traced.constants)]

    def _stored(self, name: str, value: Part) -> str | float:
        if not isinstance(value, Tensor):
            return value
        self.register_buffer(name, value if self.connections is None else value.flatten())
        return name

    def _part(self, stored: str | float) -> Part:
        part: Part = getattr(self, stored) if isinstance(stored, str) else stored
        return part

    def at_rest(self, like: Tensor) -> tuple[Tensor, ...]:
        """The state before anything came in, for one step of input, [B, *]."""
        flat = self.flat(torch.full_like(like, 0.0), 1)
        found = [flat + self._part(stored) for stored in self.rest]
        found += [] if self.connections is None else [flat]
        return tuple(self.shaped_as(like.shape[1:], value, 1) for value in found)

    def flat(self, tensor: Tensor, start: int) -> Tensor:
        """The neurons of a recurrent layer in one dimension, ``start``; those of others as they are."""
        return tensor if self.connections is None or tensor.dim() == start + 1 else tensor.flatten(start)

    def shaped_as(self, shape: torch.Size, tensor: Tensor, start: int) -> Tensor:
        """The way back from :meth:`flat`, to samples of a shape."""
        flat = self.connections is not None and len(shape) > 1
        return torch.unflatten(tensor, start, shape) if flat else tensor

    def once(self, x: Tensor, state: Sequence[Tensor]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """One step: the output, and the state after it, none of them the same tensor as another.

        All neurons of a recurrent layer lie in one dimension, as :meth:`flat` has them.
        """
        if self.connections is not None:
            *state, last = state
            x = x + self.connections(last)
        output, *after = self._evaluated([x, *state, *map(self._part, self.constants)])
        return output, (*after, *([] if self.connections is None else [output.clone()]))

    def _evaluated(self, leaves: Sequence[Part]) -> list[Tensor]:
        x = leaves[0]
        assert isinstance(x, Tensor)
        values: dict[int, Any] = dict(enumerate(leaves))
        for value in self.program.needed(self.program.outputs):
            node = self.program.nodes[value]
            operands = [values[operand] for operand in node.operands]
            if node.operation == "literal":
                values[value] = float.fromhex(node.literal)
            elif node.operation != "leaf":
                values[value] = self._operation(node.operation, operands, x)
        # a loop wants states that are tensors of their own
        results = [values[result] for result in self.program.outputs]
        return [_filling(one, x) for one in results]

    def _operation(self, name: str, operands: list[Any], x: Tensor) -> Tensor:
        operation = _WITH_NUMBERS.get(name)
        tensors = [isinstance(operand, Tensor) for operand in operands]
        if operation is None or not any(tensors[-2:]):
            operands = [one if isinstance(one, Tensor) else torch.full_like(x, one) for one in operands]
        operation = operation or _OF_TENSORS.get(name, self.power)
        result: Tensor = operation(*operands)
        return result

    @abstractmethod
    def forward(self, current: Tensor, state: Any = None, steps: int | None = None) -> tuple[Tensor, Any]:
        """See :class:`~litspike.neurons.layer.NeuronLayer`."""

    def shaped(self, *shape: int) -> Self:
        """It has its shape."""
        return self


def _filling(part: Part, x: Tensor) -> Tensor:
    """A tensor of its own, of the shape of x."""
    if not isinstance(part, Tensor):
        return torch.full_like(x, part)
    return part.clone() if part.shape == x.shape else part.expand_as(x).clone()


class Looped(PlainNeurons):
    """Over a sequence, as one loop of the graph."""

    def forward(self, current: Tensor, state: Any = None, steps: int | None = None) -> tuple[Tensor, Any]:
        """See :class:`~litspike.neurons.layer.NeuronLayer`."""
        if steps is not None:
            current = current.expand(steps, *current.shape)
        start = self.at_rest(current[0]) if state is None else state

        def step(state: tuple[Tensor, ...], x: Tensor) -> tuple[tuple[Tensor, ...], Tensor]:
            output, after = self.once(x, state)
            return after, output

        shape = current.shape[2:]
        after, outputs = scan(step, tuple(self.flat(value, 1) for value in start), self.flat(current, 2))
        return self.shaped_as(shape, outputs, 2), tuple(self.shaped_as(shape, value, 1) for value in after)


class Stepped(PlainNeurons):
    """Over a sequence of one step."""

    def forward(self, current: Tensor, state: Any = None, steps: int | None = None) -> tuple[Tensor, Any]:
        """See :class:`~litspike.neurons.layer.NeuronLayer`."""
        x = current[0] if steps is None else current
        shape = x.shape[1:]
        output, after = self.once(self.flat(x, 1), [self.flat(value, 1) for value in state])
        output = self.shaped_as(shape, output, 1)
        return output.unsqueeze(0), tuple(self.shaped_as(shape, value, 1) for value in after)


def replaced(module: nn.Module, layers: dict[str, nn.Module]) -> None:
    """Put layers into a module, by their names in it."""
    for name, layer in layers.items():
        parent, _, own = name.rpartition(".")
        setattr(module.get_submodule(parent), own, layer)
