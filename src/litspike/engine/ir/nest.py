"""The parts of a loop nest. Each code generator prints the same nest.

A nest is run by one worker on one block of neurons. The statements in :class:`Lanes` run once for each neuron of the
block: a loop on a CPU, one thread each on a GPU. A :class:`Local` holds its neuron's value from statement to
statement: in the nearest cache on a CPU, in registers or in memory of the launch on a GPU.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from litspike.engine.ir.operations import Value


class Kind(StrEnum):
    """Where the values of a leaf are found."""

    PER_STEP = "t"
    """An array of a value per step and neuron."""
    PER_NEURON = "l"
    """An array of a value per neuron."""
    SHARED = "s"
    """One value in memory for all neurons."""
    NUMBER = "n"
    """A number that is an argument of the call."""

    __hash__ = str.__hash__  # that of an enum is written in Python, and each call of a layer looks up its leaves


class Leaf(NamedTuple):
    """The input, a state or a constant of a step: where it is found, and whether its gradient is asked for."""

    kind: Kind
    wants_gradient: bool = False


NUMBER = Leaf(Kind.NUMBER)


@dataclass(frozen=True)
class Whole:
    """An integer: a ``name``, a ``number``, or an operation on two others. A comparison gives a truth value."""

    operation: str
    operands: tuple[Whole | str | int, ...]

    def __add__(self, other: Whole | int) -> Whole:
        return Whole("+", (self, whole(other)))

    def __sub__(self, other: Whole | int) -> Whole:
        return Whole("-", (self, whole(other)))

    def __mul__(self, other: Whole | int) -> Whole:
        return Whole("*", (self, whole(other)))

    def __floordiv__(self, other: Whole | int) -> Whole:
        return Whole("//", (self, whole(other)))

    def __mod__(self, other: Whole | int) -> Whole:
        return Whole("%", (self, whole(other)))

    def least(self, other: Whole | int) -> Whole:
        """The smaller of the two."""
        return Whole("min", (self, whole(other)))

    def equals(self, other: Whole | int) -> Whole:
        """Whether they are equal."""
        return Whole("==", (self, whole(other)))

    def differs(self, other: Whole | int) -> Whole:
        """Whether they are not equal."""
        return Whole("!=", (self, whole(other)))


def whole(value: Whole | str | int) -> Whole:
    """An integer by its name or number."""
    if isinstance(value, Whole):
        return value
    return Whole("name" if isinstance(value, str) else "number", (value,))


T, M = whole("T"), whole("M")
"""Number of time steps, and of neurons of the whole call: those of one sample times the batch."""


class Argument(NamedTuple):
    """An argument of a nest: an ``array`` of reals, one that ``may_miss``, one of a single value that is ``shared`` by
    all neurons, one of doubles that takes ``totals`` of blocks, an ``integer`` or a real ``number``.
    """

    name: str
    type: str = "array"


class Local(NamedTuple):
    """What each neuron of the block holds: one value, or one in each of several slots."""

    name: str
    slots: int = 1


class Slot(NamedTuple):
    """A slot of a local, to read or to write."""

    local: Local
    at: Whole = whole(0)  # immutable


class Element(NamedTuple):
    """The neuron's element of an array, to read or to write; ``offset`` is that of the row of all M neurons."""

    array: str
    offset: Whole | None = None


class Sum(NamedTuple):
    """A local to which a value is added."""

    local: Local


class Source(NamedTuple):
    """A state before the first step, or a constant, by its argument's name, wherever its kind says it is found."""

    name: str
    kind: Kind


ZERO = 0.0
Read = Slot | Element | Source | float
Target = Slot | Element | Sum


@dataclass(frozen=True)
class Put:
    """Write a value."""

    target: Target
    value: Read


@dataclass(frozen=True)
class Evaluate:
    """Evaluate values of the program from its leaves, all of them before any is written."""

    results: tuple[Value, ...]
    leaves: tuple[Read, ...]
    targets: tuple[Target, ...]


@dataclass(frozen=True)
class Lanes:
    """For each neuron of the block."""

    body: tuple[Put | Evaluate, ...]


@dataclass(frozen=True)
class Over:
    """A loop from 0 up to, and without, ``count``, or ``down`` from there to 0.

    Where it takes at most so many turns (``most``), a code generator may write them out one by one.
    """

    name: str
    count: Whole
    body: tuple[Statement, ...]
    most: int | None = None
    down: bool = False


@dataclass(frozen=True)
class If:
    """What happens where all conditions hold."""

    conditions: tuple[Whole, ...]
    body: tuple[Statement, ...]


@dataclass(frozen=True)
class Given:
    """What happens where an argument that may miss is there, and what otherwise."""

    argument: str
    body: tuple[Statement, ...]
    otherwise: tuple[Statement, ...] = ()


@dataclass(frozen=True)
class Total:
    """Write the sum of a local over the block, taken in double precision, to the block's place in an array."""

    local: Local
    array: str


@dataclass(frozen=True)
class Bits:
    """Write a bit for each neuron of the block, whether a local is not zero; the block's first bit begins a byte.

    The array is of bytes, and ``offset`` is that of the byte of the first of all M neurons.
    """

    local: Local
    array: str
    offset: Whole


@dataclass(frozen=True)
class Feedback:
    """For each sample of a tile: the bias plus the weight times what the source holds, into the target."""

    source: Local
    target: Local


@dataclass(frozen=True)
class FeedbackGradient:
    """For each sample of a tile: the transposed weight times what stands in an array, into the target.

    Where ``places`` is given, it is worked out only where a bit of the array ``bits`` is set, and is 0 elsewhere; the
    step's bits begin at this byte, one for each of all M neurons.
    """

    source: Element
    target: Local
    places: Whole | None = None


Statement = Lanes | Over | If | Given | Total | Bits | Feedback | FeedbackGradient


class Nest(NamedTuple):
    """A function: its arguments in order, what each neuron holds, and its statements.

    Where ``tile`` is given, a block is a tile of samples with all their neurons: its arguments ``size`` (neurons of a
    tile), ``N`` (of a sample) and ``room`` (for the locals of all tiles) say how large.
    """

    name: str
    arguments: tuple[Argument, ...]
    locals: tuple[Local, ...]
    body: tuple[Statement, ...]
    tile: bool = False
