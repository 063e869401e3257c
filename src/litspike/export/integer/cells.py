"""Scalar operations on integers, each with the bounds of its result, so that none can overflow."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import NamedTuple

Cell = int
"""Number of a value in a list of them."""

WORD = 31
"""Bits of a value without its sign: each fits an ``int32_t``, between two operations an ``int64_t``."""
WIDE = 62
"""The same of what an operation may give before it is shifted."""
TRUTH = frozenset({"lt", "le", "gt", "ge", "eq", "ne", "and", "or", "not"})


class Integer(NamedTuple):
    """One value: an operation on earlier ones, and the bounds of what it gives.

    ``leaf`` takes argument ``number``, ``literal`` is ``number``; ``up`` multiplies by 2^number; ``down`` divides by
    2^number and rounds to nearest, halves towards +∞; ``floor`` divides and rounds towards −∞; ``saturate`` limits to
    its bounds; ``power`` is 2^(x + number), 0 where that is below 1, at most 2^30; ``divide`` is a · 2^number / b,
    rounded towards zero, and where b is 0 the bound on a's side. The others are what they are called.
    """

    operation: str
    operands: tuple[Cell, ...] = ()
    number: int = 0
    low: int = 0
    high: int = 0


class Cells:
    """A list of operations that grows."""

    def __init__(self) -> None:
        self.all: list[Integer] = []
        self._known: dict[tuple[str, tuple[Cell, ...], int, int, int], Cell] = {}

    def bounds(self, cell: Cell) -> tuple[int, int]:
        """The least and the greatest that a value can be."""
        return self.all[cell].low, self.all[cell].high

    def leaf(self, number: int, low: int, high: int) -> Cell:
        """Argument ``number``, which lies in these bounds."""
        return self._add("leaf", (), number, low, high)

    def literal(self, number: int) -> Cell:
        """A number."""
        return self._add("literal", (), number, number, number)

    def saturate(self, cell: Cell, low: int, high: int) -> Cell:
        """A value limited to bounds; itself where it is inside already."""
        own_low, own_high = self.bounds(cell)
        if own_low >= low and own_high <= high:
            return cell
        inside = min(max(own_low, low), high), max(min(own_high, high), low)
        return self._add("saturate", (cell,), 0, *inside)

    def __call__(self, operation: str, *operands: Cell, number: int = 0) -> Cell:
        """Value of an operation."""
        if operation in ("up", "down", "floor") and number == 0:
            return operands[0]
        bounds = [self.bounds(operand) for operand in operands]
        low, high = _bounds(operation, bounds, number)
        if max(-low, high) >= 1 << (WIDE + 1):
            raise OverflowError(f"{operation} gives up to {max(-low, high)}")
        return self._add(operation, operands, number, low, high)

    def _add(self, operation: str, operands: tuple[Cell, ...], number: int, low: int, high: int) -> Cell:
        key = operation, operands, number, low, high
        if key not in self._known:
            self._known[key] = len(self.all)
            self.all.append(Integer(*key))
        return self._known[key]


def _bounds(operation: str, given: list[tuple[int, int]], number: int) -> tuple[int, int]:
    if operation in TRUTH:
        return 0, 1
    if operation == "divide":
        return -((1 << WORD) - 1), (1 << WORD) - 1
    if operation == "select":
        (_, one, other) = given
        return min(one[0], other[0]), max(one[1], other[1])
    if operation in _SHIFTS:
        shift = _SHIFTS[operation]
        low, high = given[0]
        return shift(low, number), shift(high, number)
    corners = [_VALUES[operation](*each) for each in itertools.product(*given)]
    straddles = operation == "abs" and given[0][0] < 0 < given[0][1]
    return 0 if straddles else min(corners), max(corners)


def _power(exponent: int) -> int:
    return 0 if exponent < 0 else 1 << min(exponent, WORD - 1)


_SHIFTS: dict[str, Callable[[int, int], int]] = {
    "up": lambda x, n: x << n,
    "down": lambda x, n: (x + (1 << (n - 1))) >> n,
    "floor": lambda x, n: x >> n,
    "power": lambda x, n: _power(x + n),
}
"""What operations with a number do; all of them grow with what they are given."""
_VALUES: dict[str, Callable[..., int]] = {
    **{"add": int.__add__, "sub": int.__sub__, "mul": int.__mul__, "neg": int.__neg__, "abs": abs},
    **{"max": max, "min": min},
}
"""What the others do; the bounds of a result are results of bounds."""
