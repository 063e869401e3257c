"""Prints a loop nest in Triton's language, for a GPU: a program instance runs a block of neurons, one to a thread."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from litspike.engine.ir.nest import (
    Element,
    Evaluate,
    Given,
    If,
    Lanes,
    Nest,
    Over,
    Put,
    Read,
    Slot,
    Source,
    Statement,
    Sum,
    Target,
    Total,
    Whole,
)
from litspike.engine.ir.operations import Value
from litspike.engine.ir.trace import Program

# Triton's default float32 division is approximate.
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
OPERATIONS = {
    "add": "{0} + {1}",
    "sub": "{0} - {1}",
    "mul": "{0} * {1}",
    "div": "{divide}({0}, {1})",
    "neg": "{0} * -1.0",  # Triton's own minus is a subtraction from 0, which gives no −0
    "abs": "tl.abs({0})",
    "floor": "tl.where(({0} < 0) & ({0} > -1), -1.0, tl.floor({0}))",  # Triton's takes subnormals for 0
    "max": "tl.maximum({0}, {1}, propagate_nan=tl.PropagateNan.ALL)",
    "min": "tl.minimum({0}, {1}, propagate_nan=tl.PropagateNan.ALL)",
    "power_of_two": "((({0} + {magic}).to({i}, bitcast=True) + {bias}) << {mantissa}).to({t}, bitcast=True)",
    "lt": "{0} < {1}",
    "le": "{0} <= {1}",
    "gt": "{0} > {1}",
    "ge": "{0} >= {1}",
    "eq": "{0} == {1}",
    "ne": "{0} != {1}",
    "and": "{0} & {1}",
    "or": "{0} | {1}",
    "not": "~{0}",
    "float": "{0}.to({t})",
    "select": "tl.where({0}, {1}, {2})",
}
"""How each operation is written; ``{t}`` is the type of reals, ``{i}`` the integer of the same size."""


def module_text(nests: Sequence[Nest], program: Program) -> str:
    """A module with a function for each nest, of its name.

    Its arguments are the nest's, with None for what is missing; then ``room`` for locals of several slots, one row of M
    numbers for each slot of each, and the size of a block.
    """
    lines = ["import triton", "import triton.language as tl"]
    for nest in nests:
        lines += _Function(nest, program).lines
    return "\n".join([*lines, ""])


class _Function:
    def __init__(self, nest: Nest, program: Program) -> None:
        self.program, self.types = program, _TYPES[program.dtype]
        self.lines: list[str] = []
        self.indent = 0
        self.count = 0
        roomy = [local for local in nest.locals if local.slots > 1]
        self.rooms = {local: index for index, local in enumerate(roomy)}
        annotations = {"integer": ': "i64"', "number": ': "fp64"'}
        fields = [f"{name}{annotations.get(kind, '')}" for name, kind in nest.arguments] + ["room"] * bool(roomy)
        # One compiled kernel for all sizes: a thread reads single numbers, so that alignment is worth nothing.
        names = [field.split(":")[0] for field in fields]
        options = f"do_not_specialize={names}, do_not_specialize_on_alignment={names}"
        self._put("", "", f"@triton.jit({options})", f"def {nest.name}({', '.join(fields)}, BLOCK: tl.constexpr):")
        self.indent += 1
        self._put("M = tl.cast(M, tl.int64)")
        self._put("rows = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)", "inside = rows < M")
        # One value is made a block: Triton's interpreter mistakes single truth values.
        ones = {"number": "{}", "shared": "tl.load({})"}
        self.fixed = {
            name: self._named(f"tl.full((BLOCK,), {ones[kind].format(name)}, {self.types['t']})")
            for name, kind in nest.arguments
            if kind in ones
        }
        self._write(nest.body)

    def _put(self, *lines: str) -> None:
        self.lines += [f"{'    ' * self.indent}{line}" for line in lines]

    def _write(self, body: Sequence[Statement]) -> None:
        for statement in body:
            match statement:
                case Over():
                    self._put(f"for {statement.name}_ in range({self._whole(statement.count)}):")
                    self._nested(statement.body, f"{statement.name} = tl.cast({statement.name}_, tl.int64)")
                case If():
                    self._put(f"if {' & '.join(f'({self._whole(condition)})' for condition in statement.conditions)}:")
                    self._nested(statement.body)
                case Given():
                    self._put(f"if {statement.argument} is not None:")
                    self._nested(statement.body)
                case Lanes():
                    for line in statement.body:
                        self._lane(line)
                case Total():
                    total = f"tl.sum(tl.where(inside, {statement.local.name}, 0.0).to(tl.float64), 0)"
                    self._put(f"tl.store({statement.array} + tl.program_id(0), {total})")

    def _nested(self, body: Sequence[Statement], *lines: str) -> None:
        self.indent += 1
        self._put(*lines)
        self._write(body)
        if not lines and not body:
            self._put("pass")
        self.indent -= 1

    def _whole(self, number: Whole) -> str:
        if number.operation in ("name", "number"):
            return str(number.operands[0])
        a, b = (self._whole(operand) for operand in number.operands if isinstance(operand, Whole))
        return f"tl.minimum({a}, {b})" if number.operation == "min" else f"({a} {number.operation} {b})"

    def _lane(self, line: Put | Evaluate) -> None:
        if isinstance(line, Put):
            self._assign(line.target, self._read(line.value))
        else:
            values = self._evaluate(line.results, [self._read(leaf) for leaf in line.leaves])
            for target, value in zip(line.targets, values, strict=True):
                self._assign(target, value)
        targets = [line.target] if isinstance(line, Put) else line.targets
        if any(isinstance(target, Slot) and target.local in self.rooms for target in targets):
            self._put("tl.debug_barrier()")  # no thread reads the room before it is written

    def _read(self, source: Read) -> str:
        if isinstance(source, Slot) and source.local not in self.rooms:
            return source.local.name
        if isinstance(source, float):
            return f"tl.full((BLOCK,), {source}, {self.types['t']})"
        if isinstance(source, Source) and source.name in self.fixed:
            return self.fixed[source.name]
        place = f"{source.name} + rows" if isinstance(source, Source) else self._place(source)
        return self._named(f"tl.load({place}, mask=inside, other=0.0)")

    def _assign(self, target: Target, value: str) -> None:
        if isinstance(target, Sum):
            self._put(f"{target.local.name} += {value}")
        elif isinstance(target, Slot) and target.local not in self.rooms:
            self._put(f"{target.local.name} = {value}")
        else:
            self._put(f"tl.store({self._place(target)}, {value}, mask=inside)")

    def _place(self, place: Slot | Element) -> str:
        if isinstance(place, Slot):
            row = f"({self._whole(place.at)} * {len(self.rooms)} + {self.rooms[place.local]}) * M"
            return f"room + {row} + rows"
        return (
            f"{place.array} + rows" if place.offset is None else f"{place.array} + {self._whole(place.offset)} + rows"
        )

    def _named(self, text: str) -> str:
        self.count += 1
        self._put(f"v{self.count} = {text}")
        return f"v{self.count}"

    def _evaluate(self, results: Sequence[Value], leaves: Sequence[str]) -> list[str]:
        """Write the operations that the results need, once, and give the results' names."""
        names: dict[Value, str] = dict(enumerate(leaves))
        for value in self.program.needed(results):
            node = self.program.nodes[value]
            operands = [names[operand] for operand in node.operands]
            if node.operation == "literal":  # a bare number would be rounded by Triton's rules instead of torch's
                names[value] = self._named(f"tl.full((BLOCK,), {_number(node.literal)}, {self.types['t']})")
            elif node.operation != "leaf":
                names[value] = self._named(OPERATIONS[node.operation].format(*operands, **self.types))
        # A state may be given back as it is, so what is new goes by a name that is not the old one's.
        return [self._named(names[result]) for result in results]


def _number(literal: str) -> str:
    number = float.fromhex(literal)
    return repr(number) if abs(number) < float("inf") else f'float("{number}")'
