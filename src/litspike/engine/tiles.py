"""A step's two kernels in Triton's language: :mod:`litspike.engine.kernels` once more, for a GPU.

A program instance runs a block of neurons, one to a thread, through all time. On the way back it runs each segment of
SEGMENT steps forward again first, and writes the states before each step where it finds them when it walks back.
Written out instead, with the states in registers, a segment takes Triton minutes to compile.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch

from litspike.engine.kernels import SEGMENT
from litspike.engine.operations import OPERATIONS, Value
from litspike.engine.trace import Program

# Where a division is not said to be rounded, Triton's is in single precision only near the exact result.
_TYPES = {
    torch.float32: {
        **{"t": "tl.float32", "i": "tl.int32", "bias": 127, "mantissa": 23, "magic": "12582912.0"},
        **{"divide": "tl.div_rn"},
    },
    torch.float64: {
        **{"t": "tl.float64", "i": "tl.int64", "bias": 1023, "mantissa": 52, "magic": "6755399441055744.0"},
        **{"divide": "tl.fdiv"},
    },
}


def source(program: Program, kinds: str) -> str:
    """A module with the functions ``forward`` and, if the program has gradients, ``backward``.

    Their arguments are those of :func:`litspike.engine.kernels.forward_text` and
    :func:`litspike.engine.kernels.backward_text`, but that None stands for what is not there and the size of a block
    comes last. After the gradients of the last states, ``backward`` takes room for SEGMENT times all states.

    Args:
        program: the step and its adjoint.
        kinds: where each leaf is found, as for the kernels of the CPU.
    """
    text = _Source(program, kinds)
    text.forward()
    if any(gradient is not None for gradient in program.gradients):
        text.backward()
    return "\n".join(["import triton", "import triton.language as tl", *text.lines, ""])


class _Source:
    """Writes the kernels line by line. In their text, ``u`` are states, ``c`` constants, ``g`` gradients."""

    def __init__(self, program: Program, kinds: str) -> None:
        self.program = program
        self.types = _TYPES[program.dtype]
        self.states = range(program.states)
        self.start_kinds, self.constant_kinds = kinds[1 : 1 + program.states], kinds[1 + program.states :]
        self.lines: list[str] = []

    def forward(self) -> None:
        self._open("forward", ["output", *_names("last", self.states), "kept"])
        self._starts("    ")
        self._put("    ", "for step in range(T):", "    t = tl.cast(step, tl.int64)")
        if self.states:
            self._put(" " * 8, "if kept is not None:", f"    if (t > 0) & (t % {SEGMENT} == 0):")
            for index in self.states:
                self._put(" " * 16, f"tl.store({self._kept('t', index)} + rows, u{index}, mask=inside)")
        self._put(" " * 8, _load("xt", "x + t * xs"))
        output, *after = self._compute(self.program.outputs, self._leaves())
        self._put(" " * 8, f"tl.store(output + t * M + rows, {output}, mask=inside)")
        self._put(" " * 8, *[f"u{index} = {value}" for index, value in enumerate(after)])
        self._put("    ", *[f"tl.store(last{index} + rows, u{index}, mask=inside)" for index in self.states])

    def backward(self) -> None:
        program = self.program
        first = 1 + program.states
        constants = [index for index, gradient in enumerate(program.gradients[first:]) if gradient is not None]
        sums, wants_input = _names("sum", constants), program.gradients[0] is not None
        places = [*["gx"] * wants_input, *_names("gstart", self.states), *_names("gconstant", constants)]
        self._open("backward", ["kept", "gout", 'gs: "i64"', *_names("glast", self.states), "past", *places])
        for name in [*_names("g", self.states), *sums]:
            self._put("    ", f"{name} = tl.zeros((BLOCK,), {self.types['t']})")
        for index in self.states:
            self._put("    ", f"if glast{index} is not None:", "    " + _load(f"g{index}", f"glast{index}"))
        self._put("    ", f"segments = (T + {SEGMENT - 1}) // {SEGMENT}", "for done in range(segments):")
        self._put(" " * 8, f"begin = tl.cast(segments - 1 - done, tl.int64) * {SEGMENT}")
        self._put(" " * 8, f"end = tl.minimum(begin + {SEGMENT}, T)")
        self._recompute()
        self._put(" " * 8, "for step in range(begin, end):", "    t = begin + end - 1 - step")
        self._put(" " * 12, *[_load(f"u{index}", self._past(index)) for index in self.states])
        self._put(" " * 12, _load("xt", "x + t * xs"), _load("gt", "gout + t * gs"))
        leaves = [*self._leaves(), "gt", *_names("g", self.states)]
        wanted = [gradient for gradient in program.gradients if gradient is not None]
        gradients = iter(self._compute(wanted, leaves, " " * 12))
        if wants_input:
            self._put(" " * 12, f"tl.store(gx + t * M + rows, {next(gradients)}, mask=inside)")
        self._put(" " * 12, *[f"g{index} = {next(gradients)}" for index in self.states])
        self._put(" " * 12, *[f"{name} += {next(gradients)}" for name in sums])
        for index in self.states:
            self._put("    ", f"if gstart{index} is not None:")
            self._put("        ", f"tl.store(gstart{index} + rows, g{index}, mask=inside)")
        for index in constants:
            place, value = "rows", f"sum{index}, mask=inside"
            if self.constant_kinds[index] != "l":
                total = f"tl.sum(tl.where(inside, sum{index}, 0.0).to(tl.float64), 0)"
                place, value = "tl.program_id(0)", total
            self._put("    ", f"tl.store(gconstant{index} + {place}, {value})")

    def _recompute(self) -> None:
        """Write the states before each step of a segment into their room."""
        if not self.states:
            return
        self._starts(" " * 8)
        self._put(" " * 8, "if kept is not None:", "    if begin > 0:")
        self._put(" " * 16, *[_load(f"u{index}", self._kept("begin", index)) for index in self.states])
        self._put(" " * 8, "for step in range(begin, end):", "    t = tl.cast(step, tl.int64)")
        for index in self.states:
            self._put(" " * 12, f"tl.store({self._past(index)} + rows, u{index}, mask=inside)")
        self._put(" " * 12, _load("xt", "x + t * xs"))
        after = self._compute(self.program.outputs[1:], self._leaves(), " " * 12)
        self._put(" " * 12, *[f"u{index} = {value}" for index, value in enumerate(after)])
        self._put(" " * 8, "tl.debug_barrier()")  # no thread reads the room before it is written

    def _open(self, name: str, fields: Sequence[str]) -> None:
        starts, constants = _names("start", self.states), _names("constant", range(self.program.constants))
        letters = self.start_kinds + self.constant_kinds
        leaves = [
            f'{leaf}: "fp64"' if kind == "n" else leaf
            for leaf, kind in zip([*starts, *constants], letters, strict=True)
        ]
        fields = ['T: "i64"', 'M: "i64"', "x", 'xs: "i64"', *leaves, *fields]
        # One compiled kernel for all sizes: a thread reads single numbers, so that alignment is worth nothing.
        names = [field.split(":")[0] for field in fields]
        options = f"do_not_specialize={names}, do_not_specialize_on_alignment={names}"
        self._put("", "", "", f"@triton.jit({options})", f"def {name}({', '.join(fields)}, BLOCK: tl.constexpr):")
        self._put("    ", "M = tl.cast(M, tl.int64)")
        self._put("    ", "rows = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)", "inside = rows < M")
        for index, kind in enumerate(self.constant_kinds):
            self._value("    ", f"c{index}", f"constant{index}", kind)

    def _starts(self, indent: str) -> None:
        for index, kind in enumerate(self.start_kinds):
            self._value(indent, f"u{index}", f"start{index}", kind)

    def _value(self, indent: str, name: str, leaf: str, kind: str) -> None:
        """A block of a leaf's values. One value is made a block too: Triton's interpreter mistakes single truths."""
        one = {"n": leaf, "s": f"tl.load({leaf})"}
        self._put(
            indent, _load(name, leaf) if kind == "l" else f"{name} = tl.full((BLOCK,), {one[kind]}, {self.types['t']})"
        )

    def _leaves(self) -> list[str]:
        return ["xt", *_names("u", self.states), *_names("c", range(self.program.constants))]

    def _compute(self, results: Sequence[Value], leaves: Sequence[str], indent: str = " " * 8) -> list[str]:
        """Write the operations that ``results`` need, once, and give the results' names."""
        names: dict[Value, str] = dict(enumerate(leaves))
        for value in self.program.needed(results):
            node = self.program.nodes[value]
            if node.operation == "leaf":
                continue
            names[value] = f"v{value}"
            operands = [names[operand] for operand in node.operands]
            if node.operation == "literal":  # a bare number would be rounded by Triton's rules instead of torch's
                text = f"tl.full((BLOCK,), {_number(node.literal)}, {self.types['t']})"
            else:
                text = OPERATIONS[node.operation].triton.format(*operands, **self.types)
            self._put(indent, f"v{value} = {text}")
        # A state may be given back as it is, so what is new goes by a name that is not the old one's.
        for place, result in enumerate(results):
            self._put(indent, f"r{place} = {names[result]}")
        return [f"r{place}" for place in range(len(results))]

    def _kept(self, t: str, index: int) -> str:
        return f"kept + (({t} // {SEGMENT} - 1) * {len(self.states)} + {index}) * M"

    def _past(self, index: int) -> str:
        return f"past + ((t - begin) * {len(self.states)} + {index}) * M"

    def _put(self, indent: str, *lines: str) -> None:
        self.lines += [f"{indent}{line}" for line in lines]


def _load(name: str, place: str) -> str:
    return f"{name} = tl.load({place} + rows, mask=inside, other=0.0)"


def _names(name: str, indices: Iterable[int]) -> list[str]:
    return [f"{name}{index}" for index in indices]


def _number(literal: str) -> str:
    number = float.fromhex(literal)
    return repr(number) if abs(number) < float("inf") else f'float("{number}")'
