"""LLVM's language, written line by line: what a kernel is made of, below its loops over time."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from litspike.engine.operations import OPERATIONS, Value
from litspike.engine.trace import Program

BLOCK = 512
"""Neurons that a kernel takes together, so that their states stay in the nearest cache while time runs."""

_TYPES = {
    torch.float32: {"t": "float", "s": "f32", "i": "i32", "bias": 127, "mantissa": 23, "magic": "12582912.0"},
    torch.float64: {"t": "double", "s": "f64", "i": "i64", "bias": 1023, "mantissa": 52, "magic": "6755399441055744.0"},
}


_PRIVATE = "define internal void @{name}_block({takes}, i64 %m0, i64 %n) noinline nounwind {{\nentry:"
_PUBLIC = """ret void
}}
define void @{name}(ptr %arguments, i64 %first, i64 %last) nounwind {{
entry:
{unpack}
br label %head
head:
%block = phi i64 [%first, %entry], [%next, %body]
%more = icmp slt i64 %block, %last
br i1 %more, label %body, label %exit
body:
%m0 = mul i64 %block, {size}
%left = sub i64 %M, %m0
%n = call i64 @llvm.smin.i64(i64 %left, i64 {size})
call void @{name}_block({gives}, i64 %m0, i64 %n)
%next = add i64 %block, 1
br label %head
exit:
ret void
}}"""


class Text:
    """Writes LLVM's language line by line; what a method returns is the name of a value."""

    def __init__(self, program: Program, kinds: str) -> None:
        self.program = program
        self.types = _TYPES[program.dtype]
        self.t = str(self.types["t"])
        self._kinds = kinds[1 : 1 + program.states], kinds[1 + program.states :]
        self.inputs = [("T", "i64"), ("M", "i64"), ("x", "ptr"), ("xs", "i64")]
        for name, letters in zip(("start", "constant"), self._kinds, strict=True):
            self.inputs += [
                (f"{name}{index}", "double" if kind == "n" else "ptr") for index, kind in enumerate(letters)
            ]
        self._fixed: dict[int, str] = {}
        self._entry: list[str] = []
        self._lines: list[str] = []
        self._block, self._count = "entry", 0

    def __str__(self) -> str:
        return "\n".join([*self._entry, *self._lines])

    @contextmanager
    def function(self, name: str, fields: Sequence[tuple[str, str]]) -> Iterator[None]:
        """The public function, which unpacks its arguments, and the private one for a block, to be filled."""
        takes = ", ".join(f"{kind} {'noalias ' if kind == 'ptr' else ''}%{field}" for field, kind in fields)
        gives = ", ".join(f"{kind} %{field}" for field, kind in fields)
        unpack = "\n".join(
            f"%{field}.p = getelementptr i64, ptr %arguments, i64 {index}\n%{field} = load {kind}, ptr %{field}.p"
            for index, (field, kind) in enumerate(fields)
        )
        self._entry.append(_PRIVATE.format(name=name, takes=takes))
        for index, kind in enumerate(self._kinds[1]):
            if kind in "sn":  # one value for all neurons is read once
                self._fixed[index] = self._source(f"constant{index}", kind, "0")
        yield
        self._lines.append(_PUBLIC.format(name=name, gives=gives, unpack=unpack, size=BLOCK))

    def emit(self, line: str) -> str:
        """Write an instruction and name its result."""
        self._count += 1
        self._lines.append(f"%v{self._count} = {line}")
        return f"%v{self._count}"

    def whole(self, operation: str, a: str, b: str | int) -> str:
        """Arithmetic or comparison of whole numbers."""
        return self.emit(f"{operation} i64 {a}, {b}")

    def least(self, a: str, b: int) -> str:
        """The smaller of two whole numbers."""
        return self.emit(f"call i64 @llvm.smin.i64(i64 {a}, i64 {b})")

    def buffer(self, size: int) -> str:
        """Memory of the block's own, for this many numbers."""
        self._count += 1
        self._entry.append(f"%v{self._count} = alloca [{size} x {self.t}], align 64")
        return f"%v{self._count}"

    def get(self, pointer: str, index: str) -> str:
        """Read an element of an array."""
        place = self.emit(f"getelementptr inbounds {self.t}, ptr {pointer}, i64 {index}")
        return self.emit(f"load {self.t}, ptr {place}")

    def put(self, value: str, pointer: str, index: str) -> None:
        """Write an element of an array."""
        place = self.emit(f"getelementptr inbounds {self.t}, ptr {pointer}, i64 {index}")
        self._lines.append(f"store {self.t} {value}, ptr {place}")

    def at(self, t: str, distance: str, m: str) -> str:
        """Index of neuron m of the block at step t in an array with this distance between steps."""
        return self.whole("add", self.whole("mul", t, distance), self.row(m))

    def row(self, m: str) -> str:
        """Index of neuron m of the block in an array that has no time."""
        return self.whole("add", "%m0", m)

    def kept(self, segment: str, state: int, m: str) -> str:
        """Index of a state before a segment in the array of those that are kept."""
        row = self.whole("mul", self.whole("sub", segment, 1), self.program.states)
        return self.at(self.whole("add", row, state), "%M", m)

    def _source(self, name: str, kind: str, m: str) -> str:
        if kind == "n":
            return f"%{name}" if self.t == "double" else self.emit(f"fptrunc double %{name} to {self.t}")
        return self.get(f"%{name}", self.row(m) if kind == "l" else "0")

    def start(self, index: int, m: str) -> str:
        """A state of neuron m before the first step."""
        return self._source(f"start{index}", self._kinds[0][index], m)

    def leaves(self, t: str, m: str, states: Sequence[str]) -> list[str]:
        """Values of input, states and constants for neuron m at step t."""
        constants = [
            self._fixed.get(index) or self._source(f"constant{index}", kind, m)
            for index, kind in enumerate(self._kinds[1])
        ]
        return [self.get("%x", self.at(t, "%xs", m)), *states, *constants]

    def compute(self, results: Sequence[Value], leaves: Sequence[str]) -> list[str]:
        """Write the operations that ``results`` need, once."""
        names: dict[Value, str] = dict(enumerate(leaves))
        for value in self.program.needed(results):
            node = self.program.nodes[value]
            if node.operation == "literal":
                names[value] = _literal(float.fromhex(node.literal))
            elif node.operation != "leaf":
                self._count += 1
                names[value] = f"%v{self._count}"
                operands = [names[operand] for operand in node.operands]
                self._lines.append(OPERATIONS[node.operation].llvm.format(*operands, r=names[value], **self.types))
        return [names[result] for result in results]

    def total(self, buffer: str, pointer: str) -> None:
        """Write the sum over the block, taken in double precision, to the block's place."""
        self._count += 1
        total = f"%v{self._count}"
        self._entry.append(f"{total} = alloca double\nstore double 0.0, ptr {total}")
        with self.loop("%n") as m:
            value = self.get(buffer, m)
            wide = value if self.t == "double" else self.emit(f"fpext float {value} to double")
            so_far = self.emit(f"load double, ptr {total}")
            self._lines.append(f"store double {self.emit(f'fadd double {so_far}, {wide}')}, ptr {total}")
        place = self.emit(f"getelementptr inbounds double, ptr {pointer}, i64 {self.whole('udiv', '%m0', BLOCK)}")
        self._lines.append(f"store double {self.emit(f'load double, ptr {total}')}, ptr {place}")

    def _label(self, name: str) -> None:
        self._lines.append(f"{name}:")
        self._block = name

    @contextmanager
    def loop(self, stop: str) -> Iterator[str]:
        """A loop from 0 up to, and without, ``stop``; gives the name of the running number."""
        self._count += 1
        name, before = f"l{self._count}", self._block
        self._lines.append(f"br label %{name}.head")
        phi = len(self._lines) + 1
        self._label(f"{name}.head")
        self._lines.append("")
        self._lines.append(f"%{name}.more = icmp slt i64 %{name}, {stop}")
        self._lines.append(f"br i1 %{name}.more, label %{name}.body, label %{name}.exit")
        self._label(f"{name}.body")
        yield f"%{name}"
        self._lines.append(f"%{name}.next = add nuw nsw i64 %{name}, 1\nbr label %{name}.head")
        self._lines[phi] = f"%{name} = phi i64 [0, %{before}], [%{name}.next, %{self._block}]"
        self._label(f"{name}.exit")

    @contextmanager
    def when(self, condition: str) -> Iterator[None]:
        """What is written inside happens if the condition holds."""
        self._count += 1
        name = f"w{self._count}"
        self._lines.append(f"br i1 {condition}, label %{name}.yes, label %{name}.no")
        self._label(f"{name}.yes")
        yield
        self._lines.append(f"br label %{name}.no")
        self._label(f"{name}.no")


def _literal(number: float) -> str:
    return f"0x{struct.pack('>d', number).hex().upper()}"
