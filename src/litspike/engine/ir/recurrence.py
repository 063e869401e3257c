"""The loop nest of a recurrent layer: each step's input includes, weighted, the output of the step before."""

from __future__ import annotations

from collections.abc import Sequence

from litspike.engine.ir.nest import (
    ZERO,
    Argument,
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
from litspike.engine.ir.program import Program
from litspike.engine.ir.schedule import SEGMENT, backward_around, inputs_of, saved_state, sources_of

_TILE = (Argument("size", "integer"), Argument("N", "integer"), Argument("room"), Argument("weight"))


def recurrent_forward_nest(program: Program, leaves: Sequence[Leaf]) -> Nest:
    """The step over time, with feedback.

    Its arguments: those of :func:`~litspike.engine.ir.schedule.forward_nest`; room for the total input of each
    step, input and feedback together, or nothing; the output before the first step; a tile's; the packed weight and
    the bias.

    Args:
        program: the step.
        leaves: the input, the states and the constants.
    """
    names = range(program.states)
    now, last, taken = [Local(f"u{index}") for index in names], Local("y"), Local("taken")
    starts, constants = sources_of(program, leaves)
    t = whole("t")
    segment = t // SEGMENT
    keep = Lanes(tuple(Put(saved_state(program, segment, index), Slot(now[index])) for index in names))
    output, *after = program.outputs
    step = Evaluate(
        (output, output, *after),
        (Slot(taken), *map(Slot, now), *constants),
        (Element("out", t * M), Slot(last), *map(Slot, now)),
    )
    over: tuple[Statement, ...] = (
        Given("saved", (If(((t % SEGMENT).equals(0), segment.differs(0)), (keep,)),)),
        Feedback(last, taken),
        Lanes((Put(Sum(taken), Element("x", t * whole("xs"))),)),
        Given("total", (Lanes((Put(Element("total", t * M), Slot(taken)),)),)),
        Lanes((step,)),
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
    )
    arguments = (
        *inputs_of(program, leaves),
        *(Argument("out"), *(Argument(f"last{index}") for index in names), Argument("saved", "may_miss")),
        *(Argument("total", "may_miss"), Argument("first"), *_TILE, Argument("bias")),
    )
    return Nest("forward", arguments, (*now, last, taken), body, tile=True)


def recurrent_backward_nest(program: Program, leaves: Sequence[Leaf]) -> Nest:
    """The adjoint of :func:`recurrent_forward_nest`, whose input is the total input of each step.

    The gradient of a step's total input goes back through the weight to the output of the step before.
    Its arguments: those of :func:`~litspike.engine.ir.schedule.backward_nest`, a tile's, and the packed transpose of
    the weight.
    """
    fed = Local("fed")

    def upstream(t: Whole) -> tuple[tuple[Statement, ...], Read]:
        later, end = t + 1, T - 1
        return (
            If((t.equals(end),), (Lanes((Put(Slot(fed), ZERO),)),)),
            If((t.differs(end),), (FeedbackGradient(Element("g0", later * M), fed),)),
            Lanes((Put(Sum(fed), Element("gout", t * whole("gs"))),)),
        ), Slot(fed)

    return backward_around(program, leaves, upstream, _TILE, (fed,))._replace(tile=True)
