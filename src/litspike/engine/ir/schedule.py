"""The loop nests of a step over time, and of its adjoint."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from litspike.engine.ir.nest import (
    ZERO,
    Argument,
    Bits,
    Element,
    Evaluate,
    Given,
    If,
    Kind,
    Lanes,
    Leaf,
    Local,
    M,
    Nest,
    Over,
    Put,
    Read,
    Slot,
    Source,
    Statement,
    Sum,
    T,
    Target,
    Total,
    Whole,
    whole,
)
from litspike.engine.ir.operations import Value
from litspike.engine.ir.program import Program

SEGMENT = 16
"""Steps after which the states are saved for the backward pass, which computes those between again."""

_TYPES = {Kind.NUMBER: "number", Kind.SHARED: "shared"}


def forward_nest(program: Program, leaves: Sequence[Leaf], segment: int = SEGMENT, marked: Value | None = None) -> Nest:
    """The step over time.

    Its arguments: T, M, the input and its stride between steps, states, constants, output, last states, and the room
    for the states before every segment but the first; where a value is marked, room for bits that say where it is not
    zero, and their stride in bytes.

    Args:
        program: the step.
        leaves: the input, the states and the constants.
        segment: steps of a segment.
        marked: a value of the program, made of input, states and constants alone.
    """
    names = range(program.states)
    now = [Local(f"u{index}") for index in names]
    starts, constants = sources_of(program, leaves)
    number, j = whole("number"), whole("j")
    begin = number * segment
    keep = Lanes(tuple(Put(saved_state(program, number, index), Slot(now[index])) for index in names))
    also, marks = ((), ()) if marked is None else ((marked,), (Local("marked"),))
    step = Evaluate(
        (*program.outputs, *also),
        (Element("x", (begin + j) * whole("xs")), *map(Slot, now), *constants),
        (Element("out", (begin + j) * M), *map(Slot, now), *map(Slot, marks)),
    )
    bits = tuple(Given("bits", (Bits(local, "bits", (begin + j) * whole("bytes")),)) for local in marks)
    over = (
        Given("saved", (If((number.differs(0),), (keep,)),)),
        Over("j", (T - begin).least(segment), (Lanes((step,)), *bits), most=segment),
    )
    body = (
        Lanes(tuple(Put(Slot(local), start) for local, start in zip(now, starts, strict=True))),
        Over("number", _segments(segment), over),
        Lanes(tuple(Put(Element(f"last{index}"), Slot(now[index])) for index in names)),
    )
    results = (
        *(Argument("out"), *(Argument(f"last{index}") for index in names), Argument("saved", "may_miss")),
        *([] if marked is None else [Argument("bits", "may_miss"), Argument("bytes", "integer")]),
    )
    return Nest("forward", (*inputs_of(program, leaves), *results), (*now, *marks), body)


def backward_nest(program: Program, leaves: Sequence[Leaf], segment: int = SEGMENT) -> Nest:
    """The adjoint of :func:`forward_nest`: each segment is run forward once more, then walked back.

    Its arguments: T, M, the input and its stride, states, constants, the states that were saved, the gradient of the
    output and its stride, the gradients of the last states; then where the gradients go: of the input, if wanted, of
    the first states, and of each constant that wants one. What has one value per neuron gets its gradient per neuron,
    summed over time; what has one for all, a double for each block.
    """
    return backward_around(program, leaves, lambda t: ((), Element("gout", t * whole("gs"))), segment=segment)


def _segments(segment: int) -> Whole:
    return (T + (segment - 1)) // segment


def backward_around(
    program: Program,
    leaves: Sequence[Leaf],
    upstream: Callable[[Whole], tuple[tuple[Statement, ...], Read]],
    further: Sequence[Argument] = (),
    held: Sequence[Local] = (),
    segment: int = SEGMENT,
) -> Nest:
    """:func:`backward_nest`, for a gradient of the output that comes from elsewhere too.

    Args:
        program: the step and its adjoint.
        leaves: the input, the states and the constants.
        upstream: what comes before the adjoint of step t, and the gradient of the output then.
        further: arguments that this needs.
        held: locals that this needs.
        segment: steps of a segment.
    """
    names = range(program.states)
    past = [Local(f"past{index}", segment) for index in names]
    adjoint = [Local(f"adjoint{index}") for index in names]
    sums = {
        index: Local(f"sum{index}")
        for index, (leaf, gradient) in enumerate(zip(leaves, program.gradients, strict=True))
        if gradient is not None and leaf.kind is not Kind.PER_STEP and not 1 <= index <= program.states
    }
    starts, constants = sources_of(program, leaves)
    number, j, slot = whole("number"), whole("j"), whole("slot")
    begin = number * segment
    last = (T - begin).least(segment) - 1

    def inputs(t: Whole, slot: Whole) -> tuple[Read, ...]:
        return (Element("x", t * whole("xs")), *(Slot(local, slot) for local in past), *constants)

    first = Lanes(tuple(Put(Slot(past[index]), starts[index]) for index in names))
    later = Lanes(tuple(Put(Slot(past[index]), saved_state(program, number, index)) for index in names))
    again = Evaluate(program.outputs[1:], inputs(begin + j, j), tuple(Slot(local, j + 1) for local in past))
    before, gradient = upstream(begin + slot)
    gradients = {index: value for index, value in enumerate(program.gradients) if value is not None}
    step = Evaluate(
        tuple(gradients.values()),
        (
            *inputs(begin + slot, slot),
            gradient,
            *map(Slot, adjoint),
        ),
        tuple(
            Sum(sums[index])
            if index in sums
            else Element("g0", (begin + slot) * M)
            if index == 0
            else Slot(adjoint[index - 1])
            for index in gradients
        ),
    )
    recompute: tuple[Statement, ...] = (
        If((number.equals(0),), (first,)),
        Given("saved", (If((number.differs(0),), (later,)),)),
        Over("j", last, (Lanes((again,)),), most=segment - 1),
    )
    adjoints = Over("slot", last + 1, (*before, Lanes((step,))), most=segment, down=True)
    body: tuple[Statement, ...] = (
        Lanes(tuple(Put(Slot(local), ZERO) for local in (*adjoint, *sums.values()))),
        *(_where(f"glast{index}", Slot(adjoint[index]), Element(f"glast{index}")) for index in names),
        Over("number", _segments(segment), (*(recompute if past else ()), adjoints), down=True),
        *(_where(f"g{1 + index}", Element(f"g{1 + index}"), Slot(adjoint[index])) for index in names),
        *(
            Lanes((Put(Element(f"g{index}"), Slot(local)),))
            if leaves[index].kind is Kind.PER_NEURON
            else Total(local, f"g{index}")
            for index, local in sums.items()
        ),
    )
    arguments = (
        *inputs_of(program, leaves),
        *(Argument("saved", "may_miss"), Argument("gout"), Argument("gs", "integer")),
        *(Argument(f"glast{index}", "may_miss") for index in names),
        *(Argument("g0") for _ in range(program.gradients[0] is not None)),
        *(Argument(f"g{1 + index}", "may_miss") for index in names),
        *(
            Argument(f"g{index}", "array" if leaves[index].kind is Kind.PER_NEURON else "totals")
            for index in sums
            if index > 0
        ),
        *further,
    )
    return Nest("backward", arguments, (*past, *adjoint, *sums.values(), *held), body)


def _where(argument: str, target: Target, value: Read) -> Given:
    return Given(argument, (Lanes((Put(target, value),)),))


def saved_state(program: Program, segment: Whole, index: int) -> Element:
    """A state before a segment, by its number, in the array of those that are saved."""
    return Element("saved", ((segment - 1) * program.states + index) * M)


def sources_of(program: Program, leaves: Sequence[Leaf]) -> tuple[list[Source], list[Source]]:
    """The states before the first step, and the constants."""
    kinds = [leaf.kind for leaf in leaves[1:]]
    starts, constants = kinds[: program.states], kinds[program.states :]
    return (
        [Source(f"start{index}", kind) for index, kind in enumerate(starts)],
        [Source(f"constant{index}", kind) for index, kind in enumerate(constants)],
    )


def inputs_of(program: Program, leaves: Sequence[Leaf]) -> tuple[Argument, ...]:
    """The first arguments of every nest: T, M, the input and its stride, states, constants."""
    sources = [source for group in sources_of(program, leaves) for source in group]
    return (
        *(Argument("T", "integer"), Argument("M", "integer"), Argument("x"), Argument("xs", "integer")),
        *(Argument(source.name, _TYPES.get(source.kind, "array")) for source in sources),
    )
