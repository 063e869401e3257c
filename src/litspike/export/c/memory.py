"""Where the tensors of one step lie: in one array of the caller's struct, in which places are used again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from litspike.export.c.operations import Convolution, Neurons, Operation


class Memory(NamedTuple):
    """Places in one array of floats."""

    places: dict[int, int]
    """Number of each tensor → its first float. A recurrent layer's output is no part of it: it is a state."""
    room: dict[int, int]
    """Number of the tensor that an operation puts out → first float of what else it needs on its way."""
    size: int
    """Floats in all."""


def room_of(operation: Operation) -> int:
    """How many numbers an operation needs on its way, beside what it takes and puts out."""
    on_the_way = isinstance(operation, Convolution) or (isinstance(operation, Neurons) and operation.recurrent)
    return operation.size if on_the_way else 0


def memory_of(
    operations: Sequence[Operation], output: int, held: int, room_of: Callable[[Operation], int] = room_of
) -> Memory:
    """Give each tensor a place from when it is made to when it is last read.

    Args:
        operations: in the order of their use.
        output: number of the tensor that comes out.
        held: how many of the first operations are done once for many steps; what they put out stays.
        room_of: how many numbers an operation needs in the same array on its way.
    """
    last = _last_reads(operations, output, held)
    places: dict[int, int] = {}
    room: dict[int, int] = {}
    shelf = _Shelf()
    for index, operation in enumerate(operations):
        shelf.clear(index)
        if not (isinstance(operation, Neurons) and operation.recurrent):
            places[operation.output] = shelf.place(operation.size, last.get(operation.output, index))
        if needed := room_of(operation):
            room[operation.output] = shelf.place(needed, index)
    return Memory(places, room, shelf.size)


def _last_reads(operations: Sequence[Operation], output: int, held: int) -> dict[int, int]:
    """Number of each tensor → the last operation that reads it."""
    last = {number: index for index, operation in enumerate(operations) for number in operation.inputs}
    last[output] = len(operations)
    for operation in operations[:held]:
        if last.get(operation.output, 0) >= held:
            last[operation.output] = len(operations)
    return last


class _Shelf:
    """One array, of which pieces are taken for a time."""

    def __init__(self) -> None:
        self.size = 0
        self._taken: list[tuple[int, int, int]] = []  # first float, end, and the last operation that reads it

    def clear(self, now: int) -> None:
        """Free the pieces that no operation from here on reads."""
        self._taken = [piece for piece in self._taken if piece[2] >= now]

    def place(self, count: int, until: int) -> int:
        """The first float of the first gap that is large enough."""
        first = 0
        for begin, end, _ in sorted(self._taken):
            if first + count <= begin:
                break
            first = max(first, end)
        self._taken.append((first, first + count, until))
        self.size = max(self.size, first + count)
        return first


def still(operations: Sequence[Operation]) -> int:
    """How many of the first operations stand before the first that keeps a state: of a still input they are still."""
    for index, operation in enumerate(operations):
        if isinstance(operation, Neurons) and (operation.number or operation.states):
            return index
    return len(operations)
