"""The two kernels of a step: a loop over time around it, and one back through time around its adjoint."""

from __future__ import annotations

from litspike.engine.llvm import BLOCK, Text
from litspike.engine.trace import Program

SEGMENT = 16
"""Steps after which the states are kept for the way back, which computes those between again."""


def forward_text(program: Program, kinds: str) -> str:
    """The function ``forward(arguments, first, last)``, which runs the blocks of neurons from first to last.

    Its arguments, of 8 bytes each: T, M, the input, its distance between steps, states, constants, output, last
    states, and the room for the states before every SEGMENT-th step but the first, or 0.

    Args:
        program: the step.
        kinds: where each leaf is found, a letter for input, states and constants in turn: ``t`` an array of a value
            per step and neuron, ``l`` one of a value per neuron, ``s`` a single value in memory, ``n`` a number.
    """
    names = range(program.states)
    text = Text(program, kinds)
    lasts = [(f"last{index}", "ptr") for index in names]
    with text.function("forward", [*text.inputs, ("out", "ptr"), *lasts, ("kept", "ptr")]):
        now = [text.buffer(BLOCK) for _ in names]
        with text.loop("%n") as m:
            for index in names:
                text.put(text.start(index, m), now[index], m)
        with text.loop("%T") as t:
            segment, rest = text.whole("udiv", t, SEGMENT), text.whole("urem", t, SEGMENT)
            opens, later = text.whole("icmp eq", rest, 0), text.whole("icmp ne", segment, 0)
            keeps = text.emit("icmp ne ptr %kept, null")  # the start of the first segment is known from elsewhere
            with text.when(text.emit(f"and i1 {text.emit(f'and i1 {opens}, {later}')}, {keeps}")), text.loop("%n") as m:
                for index in names:
                    text.put(text.get(now[index], m), "%kept", text.kept(segment, index, m))
            with text.loop("%n") as m:
                leaves = text.leaves(t, m, [text.get(buffer, m) for buffer in now])
                output, *after = text.compute(program.outputs, leaves)
                text.put(output, "%out", text.at(t, "%M", m))
                for buffer, value in zip(now, after, strict=True):
                    text.put(value, buffer, m)
        with text.loop("%n") as m:
            for index in names:
                text.put(text.get(now[index], m), f"%last{index}", text.row(m))
    return str(text)


def backward_text(program: Program, kinds: str) -> str:
    """The function ``backward(arguments, first, last)``, the adjoint of :func:`forward_text`.

    Its arguments: T, M, the input, its distance between steps, states, constants, the states that were kept, the
    gradient of the output, its distance between steps, the gradients of the last states (or 0 each); then where the
    gradients go: of the input, if wanted, of the first states (or 0 each), and of each constant that wants one. What is
    of kind ``l`` gets its gradient per neuron, summed over time; of kind ``s``, as a double for each block.
    """
    names = range(program.states)
    summed = {
        index: kind
        for index, (kind, gradient) in enumerate(zip(kinds, program.gradients, strict=True))
        if gradient is not None and kind != "t" and not 1 <= index <= program.states
    }
    text = Text(program, kinds)
    fields = [*text.inputs, ("kept", "ptr"), ("gout", "ptr"), ("gs", "i64")]
    fields += [(f"glast{index}", "ptr") for index in names]
    fields += [("g0", "ptr")] * (program.gradients[0] is not None)
    fields += [(f"g{1 + index}", "ptr") for index in names]
    fields += [(f"g{index}", "ptr") for index in summed if index > 0]
    with text.function("backward", fields):
        past = [text.buffer(BLOCK * SEGMENT) for _ in names]
        adjoint = [text.buffer(BLOCK) for _ in names]
        sums = {index: text.buffer(BLOCK) for index in summed}
        with text.loop("%n") as m:
            for buffer in (*adjoint, *sums.values()):
                text.put("0.0", buffer, m)
        for index in names:
            with text.when(text.emit(f"icmp ne ptr %glast{index}, null")), text.loop("%n") as m:
                text.put(text.get(f"%glast{index}", text.row(m)), adjoint[index], m)
        segments = text.whole("udiv", text.whole("add", "%T", SEGMENT - 1), SEGMENT)
        with text.loop(segments) as done:
            segment = text.whole("sub", text.whole("sub", segments, 1), done)
            begin = text.whole("mul", segment, SEGMENT)
            last = text.whole("sub", text.least(text.whole("sub", "%T", begin), SEGMENT), 1)
            _recompute(text, segment, begin, last, past)
            _go_back(text, begin, last, past, adjoint, sums)
        for index in names:
            with text.when(text.emit(f"icmp ne ptr %g{1 + index}, null")), text.loop("%n") as m:
                text.put(text.get(adjoint[index], m), f"%g{1 + index}", text.row(m))
        for index, kind in summed.items():
            if kind == "l":
                with text.loop("%n") as m:
                    text.put(text.get(sums[index], m), f"%g{index}", text.row(m))
            else:
                text.total(sums[index], f"%g{index}")
    return str(text)


def _recompute(text: Text, segment: str, begin: str, last: str, past: list[str]) -> None:
    """Fill ``past`` with the states before each step of a segment."""
    with text.when(text.whole("icmp eq", segment, 0)), text.loop("%n") as m:
        for index, buffer in enumerate(past):
            text.put(text.start(index, m), buffer, m)
    with text.when(text.whole("icmp ne", segment, 0)), text.loop("%n") as m:
        for index, buffer in enumerate(past):
            text.put(text.get("%kept", text.kept(segment, index, m)), buffer, m)
    with text.loop(last) as j:
        t, here = text.whole("add", begin, j), text.whole("mul", j, BLOCK)
        there = text.whole("add", here, BLOCK)
        with text.loop("%n") as m:
            states = [text.get(buffer, text.whole("add", here, m)) for buffer in past]
            after = text.compute(text.program.outputs[1:], text.leaves(t, m, states))
            for buffer, value in zip(past, after, strict=True):
                text.put(value, buffer, text.whole("add", there, m))


def _go_back(text: Text, begin: str, last: str, past: list[str], adjoint: list[str], sums: dict[int, str]) -> None:
    """Run the adjoint over a segment, from its last step to its first."""
    with text.loop(text.whole("add", last, 1)) as done:
        j = text.whole("sub", last, done)
        t, here = text.whole("add", begin, j), text.whole("mul", j, BLOCK)
        with text.loop("%n") as m:
            leaves = text.leaves(t, m, [text.get(buffer, text.whole("add", here, m)) for buffer in past])
            leaves += [text.get("%gout", text.at(t, "%gs", m)), *[text.get(buffer, m) for buffer in adjoint]]
            wanted = {index: value for index, value in enumerate(text.program.gradients) if value is not None}
            for index, gradient in zip(wanted, text.compute(list(wanted.values()), leaves), strict=True):
                if index in sums:
                    text.put(text.emit(f"fadd {text.t} {text.get(sums[index], m)}, {gradient}"), sums[index], m)
                elif index == 0:
                    text.put(gradient, "%g0", text.at(t, "%M", m))
                else:
                    text.put(gradient, adjoint[index - 1], m)
