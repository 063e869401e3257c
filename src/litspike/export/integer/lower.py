"""From the traced operations of a step to the same in integers: where each binary point is, and what is rounded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, NoReturn

import torch
from torch import Tensor

from litspike.engine.ir.program import Node, Program
from litspike.export.artefact import Refused
from litspike.export.integer.cells import TRUTH, WIDE, WORD, Cell, Cells, Integer
from litspike.export.integer.fixed import HEADROOM, MOST_FRACTION, Fixed, format_for, fraction_for
from litspike.export.integer.measure import FUNCTIONS

_MOST = (1 << WORD) - 1


class Step(NamedTuple):
    """A step in integers. Its leaves: the inputs, the states, then the tables."""

    cells: tuple[Integer, ...]
    tables: tuple[Tensor, ...]
    """Constants of which each neuron has its own, integers [N]."""
    outputs: tuple[Cell, ...]
    """The output and the new states."""
    formats: tuple[Fixed, ...]
    """What each of them means."""

    def needed(self) -> list[Cell]:
        """The values that the outputs depend on, in an order of evaluation."""
        needed = set(self.outputs)
        for cell in range(len(self.cells) - 1, -1, -1):
            if cell in needed:
                needed.update(self.cells[cell].operands)
        return sorted(needed)


class Room(NamedTuple):
    """How large the integers of an output may be, where its format isn't given."""

    bits: int
    most: int


class Place(NamedTuple):
    """Where a step belongs, for the line that refuses it."""

    format: str
    name: str

    def refuse(self, why: str) -> NoReturn:
        """Raise :class:`Refused`."""
        raise Refused(self.format, self.name, why)


class _Number(NamedTuple):
    cell: Cell
    fraction: int


class _Truth(NamedTuple):
    cell: Cell


_Value = _Number | _Truth | Tensor
"""Tensors are constants, in double precision."""


def lowered(
    program: Program,
    inputs: Sequence[Fixed],
    states: Sequence[Fixed],
    constants: Sequence[float | Tensor],
    largest: Sequence[float],
    output: Fixed | Room,
    bits: int,
    place: Place,
) -> Step:
    """A step in integers.

    Args:
        program: the step.
        inputs: formats of what its input is the sum of.
        states: formats of the states.
        constants: one number, or one for each neuron, [N].
        largest: the largest absolute value of each value of the program that was seen.
        output: the format of the output, or the room for it.
        bits: of a product, a constant and a state.
        place: for the line that refuses it.

    Raises:
        Refused: if a constant is no finite number, or a value grew without bounds.
    """
    for value in program.needed(program.outputs):
        if program.nodes[value].operation != "literal" and not math.isfinite(largest[value]):
            place.refuse("a value of its step becomes infinite or no number, which has no place in fixed point")
    lowering = _Lowering(program, inputs, states, constants, largest, bits, place)
    found = [lowering.value(value) for value in program.outputs]
    targets = [output, *states]
    results = [
        lowering.result(value, target, largest[index])
        for value, target, index in zip(found, targets, program.outputs, strict=True)
    ]
    cells, formats = zip(*results, strict=True)
    return Step(tuple(lowering.cells.all), tuple(lowering.tables), cells, formats)


class _Lowering:
    """The values of a program, one after another."""

    def __init__(
        self,
        program: Program,
        inputs: Sequence[Fixed],
        states: Sequence[Fixed],
        constants: Sequence[float | Tensor],
        largest: Sequence[float],
        bits: int,
        place: Place,
    ) -> None:
        self.program, self.largest, self.bits, self.place = program, largest, bits, place
        self.cells, self.tables = Cells(), list[Tensor]()
        self._fractions: list[int] = []
        self._leaves = len(inputs) + len(states)
        variables = [
            _Number(self.cells.leaf(index, of.low, of.high), of.fraction) for index, of in enumerate([*inputs, *states])
        ]
        own, states_now = variables[: len(inputs)], variables[len(inputs) :]
        taken = own[0]
        for other in own[1:]:
            taken = self._finish(self._both("add", taken, other), largest[0], WORD)
        known = [torch.as_tensor(value, dtype=torch.float64) for value in constants]
        self._known: dict[int, _Value] = dict(enumerate([taken, *states_now, *known]))
        for value in program.needed(program.outputs):
            if value not in self._known:
                self._known[value] = self._made(value, program.nodes[value])

    def value(self, value: int) -> _Value:
        return self._known[value]

    def result(self, value: _Value, target: Fixed | Room, largest: float) -> tuple[Cell, Fixed]:
        """A value of the program in the format that it is to have."""
        number = self._number(value) if isinstance(value, (Tensor, _Number)) else _Number(value.cell, 0)
        if isinstance(target, Room):
            low, high = self.cells.bounds(number.cell)
            if max(-low, high) <= min(target.most, (1 << (target.bits - 1)) - 1):
                return number.cell, Fixed(number.fraction, low, high)
            target = format_for(largest, target.bits, target.most)
        shift = number.fraction - target.fraction
        if shift >= 0:
            cell = self.cells("down", number.cell, number=min(shift, WIDE))
        else:
            shift = min(-shift, WORD)
            limit = (target.largest >> shift) + 1  # what is above is at the bound of the target too
            cell = self.cells("up", self.cells.saturate(number.cell, -limit, limit), number=shift)
        return self.cells.saturate(cell, target.low, target.high), target

    def _made(self, value: int, node: Node) -> _Value:
        if node.operation == "literal":
            return torch.tensor(float.fromhex(node.literal), dtype=torch.float64)
        given = [self._known[operand] for operand in node.operands]
        if all(isinstance(one, Tensor) for one in given):
            return FUNCTIONS[node.operation](*given)
        if node.operation == "div" and isinstance(given[1], Tensor):
            given = [given[0], 1 / given[1]]
            return self._operation(value, "mul", given)
        return self._operation(value, node.operation, given)

    def _operation(self, value: int, name: str, given: list[_Value]) -> _Value:
        largest = self.largest[value]
        if name == "select":
            return self._select(given, largest)
        if name == "float":
            return _Number(self._truth(given[0]), 0)
        if name in ("and", "or", "not"):
            return _Truth(self.cells(name, *map(self._truth, given)))
        numbers = [self._number(one) for one in given]
        if name in TRUTH:
            return _Truth(self._both(name, *numbers).cell)
        return self._arithmetic(name, numbers, largest)

    def _arithmetic(self, name: str, numbers: list[_Number], largest: float) -> _Number:
        first, *others = numbers
        match name:
            case "mul":
                product = self.cells("mul", first.cell, others[0].cell)
                return self._finish(_Number(product, first.fraction + others[0].fraction), largest, self.bits - 1)
            case "neg" | "abs":
                return _Number(self.cells(name, first.cell), first.fraction)
            case "floor":
                return _Number(self._whole(first), 0)
            case "power_of_two":
                fraction = fraction_for(largest * HEADROOM, self.bits)
                return _Number(self.cells("power", self._whole(first), number=fraction), fraction)
            case "div":
                return self._divided(first, others[0], largest)
        return self._finish(self._both(name, first, others[0]), largest, WORD)

    def _select(self, given: list[_Value], largest: float) -> _Value:
        truth, one, other = given
        if isinstance(truth, Tensor) and truth.dim() == 0:
            return one if bool(truth) else other
        pair = self._aligned(self._number(one), self._number(other))
        cell = self.cells("select", self._truth(truth), pair[0].cell, pair[1].cell)
        return self._finish(_Number(cell, pair[0].fraction), largest, WORD)

    def _divided(self, a: _Number, b: _Number, largest: float) -> _Number:
        fraction = fraction_for(largest * HEADROOM, self.bits)
        low, high = self.cells.bounds(a.cell)
        room = WIDE - max(-low, high).bit_length()
        shift = min(fraction - a.fraction + b.fraction, room)
        if shift < 0:
            a = _Number(self.cells("down", a.cell, number=min(-shift, WIDE)), a.fraction + shift)
            shift = 0
        cell = self.cells("divide", a.cell, b.cell, number=shift)
        return _Number(cell, shift + a.fraction - b.fraction)

    def _whole(self, number: _Number) -> Cell:
        """The integer part, towards −∞."""
        if number.fraction >= 0:
            return self.cells("floor", number.cell, number=min(number.fraction, WIDE))
        return self.cells.saturate(self.cells("up", number.cell, number=min(-number.fraction, WORD)), -_MOST, _MOST)

    def _both(self, name: str, a: _Number, b: _Number) -> _Number:
        a, b = self._aligned(a, b)
        return _Number(self.cells(name, a.cell, b.cell), a.fraction)

    def _aligned(self, a: _Number, b: _Number) -> tuple[_Number, _Number]:
        """Both with the same binary point: the finer one's, but for places that a wide integer has no room for."""
        fine, coarse = (a, b) if a.fraction >= b.fraction else (b, a)
        low, high = self.cells.bounds(coarse.cell)
        up = min(fine.fraction - coarse.fraction, WIDE - 1 - max(-low, high).bit_length())
        fraction = coarse.fraction + up
        coarse = _Number(self.cells("up", coarse.cell, number=up), fraction)
        down = min(fine.fraction - fraction, WIDE)
        fine = _Number(self.cells("down", fine.cell, number=down), fraction)
        return (fine, coarse) if a.fraction >= b.fraction else (coarse, fine)

    def _finish(self, number: _Number, largest: float, room: int) -> _Number:
        """A result in a word: exact where it has room, else rounded to what is needed, and limited."""
        low, high = self.cells.bounds(number.cell)
        cell, fraction = number
        if max(-low, high).bit_length() > room:
            most = fraction_for(largest * HEADROOM, self.bits)
            if most < fraction:
                cell = self.cells("down", cell, number=min(fraction - most, WIDE))
                fraction = most
        return _Number(self.cells.saturate(cell, -_MOST, _MOST), fraction)

    def _truth(self, value: _Value) -> Cell:
        if isinstance(value, _Truth):
            return value.cell
        number = value if isinstance(value, _Number) else self._number(value.double())
        return self.cells("ne", number.cell, self.cells.literal(0))

    def _number(self, value: _Value) -> _Number:
        if isinstance(value, _Truth):
            return _Number(value.cell, 0)
        if isinstance(value, _Number):
            return value
        if not bool(value.isfinite().all()):
            self.place.refuse(f"its step has the constant {value.flatten()[0].item():g}, which fixed point has not")
        flat = value.flatten()
        if bool((flat == flat[0]).all()):
            number = float(flat[0])
            fraction = _exact(number, self.bits)
            if fraction is None:
                fraction = fraction_for(abs(number), self.bits)
            limit = (1 << (self.bits - 1)) - 1
            return _Number(self.cells.literal(int(Fixed(fraction, -limit, limit).of(flat[0]))), fraction)
        return self._table(flat)

    def _table(self, flat: Tensor) -> _Number:
        limit = (1 << (self.bits - 1)) - 1
        fraction = fraction_for(float(flat.abs().max()), self.bits)
        integers = Fixed(fraction, -limit, limit).of(flat)
        for index, known in enumerate(self.tables):
            if self._fractions[index] == fraction and known.equal(integers):
                return _Number(self._leaf(index), fraction)
        self.tables.append(integers)
        self._fractions.append(fraction)
        return _Number(self._leaf(len(self.tables) - 1), fraction)

    def _leaf(self, index: int) -> Cell:
        integers = self.tables[index]
        return self.cells.leaf(self._leaves + index, int(integers.min()), int(integers.max()))


def _exact(number: float, bits: int) -> int | None:
    """The fewest binary places that say a number exactly; None where there are none in so many bits."""
    for fraction in range(MOST_FRACTION):
        scaled = number * 2.0**fraction
        if abs(scaled) >= 1 << (bits - 1):
            return None
        if scaled == int(scaled):
            return fraction
    return None
