"""The loop nest of a recurrent layer: each step's input includes, weighted, the output of the step before."""

from __future__ import annotations

from collections.abc import Sequence

from litspike.engine.ir.nest import (
    ZERO,
    Argument,
    Bits,
    Element,
    Evaluate,
    Feedback,
    FeedbackGradient,
    Given,
    If,
    Lanes,
    Leaf,
    Local,
    M,
    Nest,
    Over,
    Put,
    Read,
    Slot,
    Statement,
    Sum,
    T,
    Whole,
    whole,
)
from litspike.engine.ir.operations import Value
from litspike.engine.ir.program import Program
from litspike.engine.ir.schedule import SEGMENT, backward_around, inputs_of, saved_state, sources_of

_BITS = (Argument("bits", "may_miss"), Argument("bytes", "integer"))
_TILE = (Argument("size", "integer"), Argument("N", "integer"), Argument("room"), Argument("weight"))


def recurrent_forward_nest(
    program: Program, leaves: Sequence[Leaf], marked: Value | None = None, steps: int = SEGMENT
) -> Nest:
    """The step over time, with feedback.

    Its arguments: those of :func:`~litspike.engine.ir.schedule.forward_nest`; the last output; room for the total input
    of each step, input and feedback together, or nothing; the output before the first step; a tile's; the packed weight
    and the bias.

    Args:
        program: the step.
        leaves: the input, the states and the constants.
        marked: as for :func:`~litspike.engine.ir.schedule.forward_nest`.
        steps: of a segment.
    """
    names = range(program.states)
    now, last, taken = [Local(f"u{index}") for index in names], Local("y"), Local("taken")
    starts, constants = sources_of(program, leaves)
    t = whole("t")
    segment = t // steps
    keep = Lanes(tuple(Put(saved_state(program, segment, index), Slot(now[index])) for index in names))
    output, *after = program.outputs
    also, marks = ((), ()) if marked is None else ((marked,), (Local("marked"),))
    step = Evaluate(
        (output, output, *after, *also),
        (Slot(taken), *map(Slot, now), *constants),
        (Element("out", t * M), Slot(last), *map(Slot, now), *map(Slot, marks)),
    )
    over: tuple[Statement, ...] = (
        Given("saved", (If(((t % steps).equals(0), segment.differs(0)), (keep,)),)),
        Feedback(last, taken),
        Lanes((Put(Sum(taken), Element("x", t * whole("xs"))),)),
        Given("total", (Lanes((Put(Element("total", t * M), Slot(taken)),)),)),
        Lanes((step,)),
        *(Given("bits", (Bits(local, "bits", t * whole("bytes")),)) for local in marks),
    )
    body: tuple[Statement, ...] = (
        Lanes(
            (
                Put(Slot(last), Element("first")),
                *(Put(Slot(local), start) for local, start in zip(now, starts, strict=True)),
            )
        ),
        Over("t", T, over),
        Lanes(tuple(Put(Element(f"last{index}"), Slot(now[index])) for index in names)),
        Lanes((Put(Element("lasty"), Slot(last)),)),
    )
    arguments = (
        *inputs_of(program, leaves),
        *(Argument("out"), *(Argument(f"last{index}") for index in names), Argument("saved", "may_miss")),
        *([] if marked is None else _BITS),
        *(Argument("lasty"), Argument("total", "may_miss"), Argument("first"), *_TILE, Argument("bias")),
    )
    return Nest("forward", arguments, (*now, last, taken, *marks), body, tile=True)


def recurrent_backward_nest(
    program: Program, leaves: Sequence[Leaf], marked: Value | None = None, steps: int = SEGMENT
) -> Nest:
    """The adjoint of :func:`recurrent_forward_nest`, whose input is the total input of each step.

    The gradient of a step's total input goes back through the weight to the output of the step before; where a value is
    marked and its bits are given, only where this gradient isn't multiplied by zero.
    Its arguments: those of :func:`~litspike.engine.ir.schedule.backward_nest`; the gradient of the last output; a
    tile's, with the packed transpose of the weight, or the transpose as it is where bits are given; the bits.
    """
    fed = Local("fed")

    def upstream(t: Whole) -> tuple[tuple[Statement, ...], Read]:
        end, later = T - 1, Element("g0", (t + 1) * M)
        last = Given("glasty", (Lanes((Put(Slot(fed), Element("glasty")),)),), (Lanes((Put(Slot(fed), ZERO),)),))
        back: Statement = FeedbackGradient(later, fed)
        if marked is not None:
            back = Given("bits", (FeedbackGradient(later, fed, t * whole("bytes")),), (back,))
        return (
            If((t.equals(end),), (last,)),
            If((t.differs(end),), (back,)),
            Lanes((Put(Sum(fed), Element("gout", t * whole("gs"))),)),
        ), Slot(fed)

    further = (Argument("glasty", "may_miss"), *_TILE, *([] if marked is None else _BITS))
    return backward_around(program, leaves, upstream, further, (fed,), steps)._replace(tile=True)
