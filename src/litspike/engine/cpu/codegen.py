"""Prints a loop nest for LLVM."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial, reduce
from typing import Any

import torch
from llvmlite import ir

from litspike.engine.cpu.builder import Vectors, each_unit, least, loop
from litspike.engine.cpu.feedback import FeedbackWriter
from litspike.engine.cpu.half import BITS, narrowed, widened
from litspike.engine.ir.nest import (
    Bits,
    Element,
    Evaluate,
    Feedback,
    FeedbackGradient,
    Given,
    If,
    Lanes,
    Local,
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
    whole,
)
from litspike.engine.ir.operations import Value
from litspike.engine.ir.program import Program

_INTEGER, _TRUTH, _POINTER, _DOUBLE = ir.IntType(64), ir.IntType(1), ir.PointerType(), ir.DoubleType()
_TYPES = {"integer": _INTEGER, "number": _DOUBLE}
_ARITHMETIC = {"+": "add", "-": "sub", "*": "mul", "//": "udiv", "%": "urem"}

_AS_COMPUTED: Mapping[str, torch.dtype] = {}

Emit = Callable[..., Any]


def _intrinsic(name: str, builder: Any, *operands: Any) -> Any:
    real = operands[0].type
    function = builder.module.declare_intrinsic(name, [real], ir.FunctionType(real, [real] * len(operands)))
    return builder.call(function, operands)


def _power_of_two(builder: Any, exponent: Any) -> Any:
    """2 to an integer power: 1.5 · 2^mantissa leaves the integer in the lowest bits, which move to the exponent."""
    wide = isinstance(exponent.type, ir.DoubleType)
    mantissa, bias, integer = (52, 1023, ir.IntType(64)) if wide else (23, 127, ir.IntType(32))
    magic = builder.fadd(exponent, ir.Constant(exponent.type, 1.5 * 2.0**mantissa))
    biased = builder.add(builder.bitcast(magic, integer), ir.Constant(integer, bias))
    return builder.bitcast(builder.shl(biased, ir.Constant(integer, mantissa)), exponent.type)


OPERATIONS: dict[str, Emit] = {
    **{name: partial(lambda method, builder, *v: getattr(builder, method)(*v), f"f{name}") for name in
       ("add", "sub", "mul", "div", "neg")},
    **{name: partial(_intrinsic, intrinsic) for name, intrinsic in
       (("abs", "llvm.fabs"), ("floor", "llvm.floor"), ("max", "llvm.maximum"), ("min", "llvm.minimum"))},
    **{name: partial(lambda sign, builder, a, b: builder.fcmp_ordered(sign, a, b), sign) for name, sign in
       (("lt", "<"), ("le", "<="), ("gt", ">"), ("ge", ">="), ("eq", "=="))},
    "ne": lambda builder, a, b: builder.fcmp_unordered("!=", a, b),
    "and": lambda builder, a, b: builder.and_(a, b),
    "or": lambda builder, a, b: builder.or_(a, b),
    "not": lambda builder, a: builder.not_(a),
    "select": lambda builder, *v: builder.select(*v),
    "power_of_two": _power_of_two,
}  # fmt: skip
"""How each operation on reals and truth values is written; ``float`` and literals need the type of the nest."""


def module_text(nest: Nest, program: Program, size: int, stored: Mapping[str, torch.dtype] = _AS_COMPUTED) -> str:
    """A module of LLVM's with the function ``NAME(arguments, first, last)``, which runs blocks from first to last.

    ``arguments`` points to 8 bytes for each argument of the nest: an address (0 where it is missing), an integer or a
    double.

    Args:
        nest: what is run on one block of neurons.
        program: the step and its adjoint.
        size: neurons of a block; the nest's own argument of this name where it is a tile.
        stored: the dtype of arrays whose numbers are not of the program's dtype.
    """
    module = ir.Module(nest.name)
    block = _Block(module, nest, program, size, stored)
    block.build()
    _over_blocks(module, nest, block.function, size)
    return str(module)


def _over_blocks(module: Any, nest: Nest, block: Any, neurons: int) -> None:
    """The public function, which unpacks its arguments and calls the private one for each block."""
    kinds = {argument.name: _TYPES.get(argument.type, _POINTER) for argument in nest.arguments}
    with each_unit(module, nest.name, kinds) as (builder, values, number):
        size = values["size"] if nest.tile else _INTEGER(neurons)
        m0 = builder.mul(number, size)
        n = least(builder, builder.sub(values["M"], m0), size)
        builder.call(block, [*values.values(), m0, n])


class _Block(Vectors):
    """The private function of one block of neurons, of which the first is number m0 and which has n."""

    def __init__(self, module: Any, nest: Nest, program: Program, size: int, stored: Mapping[str, torch.dtype]) -> None:
        super().__init__(module, program.dtype)
        self.nest, self.program = nest, program
        self.stored = {name: dtype for name, dtype in stored.items() if dtype is not program.dtype}
        types = [_TYPES.get(argument.type, _POINTER) for argument in nest.arguments]
        kind = ir.FunctionType(ir.VoidType(), [*types, _INTEGER, _INTEGER])
        self.function = ir.Function(module, kind, f"{nest.name}_block")
        self.function.linkage = "internal"
        self.function.attributes.add("noinline")
        self.function.attributes.add("nounwind")
        names = [*(argument.name for argument in nest.arguments), "m0", "n"]
        for argument, name in zip(self.function.args, names, strict=True):
            argument.name = name
            if isinstance(argument.type, ir.PointerType):
                argument.add_attribute("noalias")
        self.values: dict[str, Any] = dict(zip(names, self.function.args, strict=True))
        self.builder = ir.IRBuilder(self.function.append_basic_block("entry"))
        self.fixed: dict[str, Any] = {}
        if nest.tile:
            self.size = self.values["size"]
            self.buffers = self._places_in_room()
            self.feedback = FeedbackWriter(self, self.values)
        else:
            self.size = _INTEGER(size)
            self.buffers = {local: self.room(size * local.slots) for local in nest.locals}

    def build(self) -> None:
        for argument in self.nest.arguments:
            value = self.values[argument.name]
            if argument.type == "shared":  # one value for all neurons is read once
                self.fixed[argument.name] = self.one(value, _INTEGER(0))
            elif argument.type == "number":
                self.fixed[argument.name] = value if self.real == _DOUBLE else self.builder.fptrunc(value, self.real)
        self._write(self.nest.body)
        self.builder.ret_void()

    def _places_in_room(self) -> dict[Local, Any]:
        """A place for each local of this tile, in the room for those of all."""
        slots = sum(local.slots for local in self.nest.locals)
        place = self.builder.mul(self.values["m0"], _INTEGER(slots))
        buffers = {}
        for local in self.nest.locals:
            buffers[local] = self.pointer(self.values["room"], place)
            place = self.builder.add(place, self.builder.mul(self.size, _INTEGER(local.slots)))
        return buffers

    def _write(self, body: Sequence[Statement]) -> None:
        for statement in body:
            self._statement(statement)

    def _statement(self, statement: Statement) -> None:
        match statement:
            case Over():
                count = self._whole(statement.count)
                with loop(self.builder, _INTEGER(0), count, statement.name) as number:
                    last = self.builder.sub(count, _INTEGER(1)) if statement.down else None
                    self.values[statement.name] = self.builder.sub(last, number) if statement.down else number
                    self._write(statement.body)
            case If():
                truths = [self._whole(condition) for condition in statement.conditions]
                with self.builder.if_then(reduce(self.builder.and_, truths)):
                    self._write(statement.body)
            case Given():
                missing = ir.Constant(_POINTER, None)
                there = self.builder.icmp_unsigned("!=", self.values[statement.argument], missing)
                with self.builder.if_else(there) as (then, otherwise):
                    with then:
                        self._write(statement.body)
                    with otherwise:
                        self._write(statement.otherwise)
            case Lanes():
                with loop(self.builder, _INTEGER(0), self.values["n"], "m") as m:
                    for line in statement.body:
                        self._lane(line, m)
            case Total():
                self._total(statement)
            case Bits():
                block = self.builder.lshr(self.values["m0"], _INTEGER(3))
                byte = self.builder.add(self._whole(statement.offset), block)
                target = self.values[statement.array]
                self.store_bits(self.buffers[statement.local], self.values["n"], target, byte)
            case Feedback():
                self.feedback.forward(self.buffers[statement.source], self.buffers[statement.target])
            case FeedbackGradient():
                self._feedback_gradient(statement)

    def _feedback_gradient(self, statement: FeedbackGradient) -> None:
        target = self.buffers[statement.target]
        if statement.places is None:
            self.feedback.backward(lambda index: self.pointer(*self._place(statement.source, index)), target)
            return
        row, places = self._whole(statement.source.offset or whole(0)), self._whole(statement.places)
        self.feedback.backward_at(places, self.pointer(self.values[statement.source.array], row), target)

    def _whole(self, number: Whole) -> Any:
        operation, operands = number.operation, number.operands
        if operation == "name":
            return self.values[str(operands[0])]
        if operation == "number":
            return _INTEGER(operands[0])
        a, b = (self._whole(operand) for operand in operands if isinstance(operand, Whole))
        if operation == "min":
            return least(self.builder, a, b)
        if operation in _ARITHMETIC:
            return getattr(self.builder, _ARITHMETIC[operation])(a, b)
        return self.builder.icmp_signed(operation, a, b)

    def _lane(self, line: Put | Evaluate, m: Any) -> None:
        if isinstance(line, Put):
            self._put(line.target, self._read(line.value, m), m)
            return
        values = self._evaluate(line.results, [self._read(leaf, m) for leaf in line.leaves])
        for target, value in zip(line.targets, values, strict=True):
            self._put(target, value, m)

    def _read(self, source: Read, m: Any) -> Any:
        if isinstance(source, float):
            return self._literal(source)
        if isinstance(source, Source):
            if source.name in self.fixed:
                return self.fixed[source.name]
            return self.one(self.values[source.name], self.builder.add(self.values["m0"], m))
        if (dtype := self._half(source)) is not None:
            pointer = self.pointer(*self._place(source, m), BITS)
            return widened(self.builder, self.builder.load(pointer, typ=BITS), dtype)
        return self.one(*self._place(source, m))

    def _half(self, place: Target | Read) -> torch.dtype | None:
        """The dtype of the array that a place lies in, where it is not the program's."""
        return self.stored.get(place.array) if isinstance(place, Element) else None

    def _put(self, target: Target, value: Any, m: Any) -> None:
        if isinstance(target, Sum):
            target = Slot(target.local)
            value = self.builder.fadd(self._read(target, m), value)
        dtype = self._half(target)
        place = self.pointer(*self._place(target, m), None if dtype is None else BITS)
        self.builder.store(value if dtype is None else narrowed(self.builder, value, dtype), place)

    def _place(self, place: Slot | Element, m: Any) -> tuple[Any, Any]:
        if isinstance(place, Slot):
            start = self.builder.mul(self._whole(place.at), self.size)
            return self.buffers[place.local], self.builder.add(start, m)
        row = self.builder.add(self.values["m0"], m)
        if place.offset is not None:
            row = self.builder.add(self._whole(place.offset), row)
        return self.values[place.array], row

    def _literal(self, number: float) -> Any:
        return ir.Constant(self.real, number)

    def _evaluate(self, results: Sequence[Value], leaves: Sequence[Any]) -> list[Any]:
        """Write the operations that the results need, once."""
        values: dict[Value, Any] = dict(enumerate(leaves))
        for value in self.program.needed(results):
            node = self.program.nodes[value]
            operands = [values[operand] for operand in node.operands]
            if node.operation == "literal":
                values[value] = self._literal(float.fromhex(node.literal))
            elif node.operation == "float":
                values[value] = self.builder.uitofp(operands[0], self.real)
            elif node.operation != "leaf":
                values[value] = OPERATIONS[node.operation](self.builder, *operands)
        return [values[result] for result in results]

    def _total(self, total: Total) -> None:
        builder = self.builder
        place = self.slot(_DOUBLE, ir.Constant(_DOUBLE, 0.0))
        with loop(builder, _INTEGER(0), self.values["n"], "m") as m:
            value = self._read(Slot(total.local), m)
            wide = value if self.real == _DOUBLE else builder.fpext(value, _DOUBLE)
            builder.store(builder.fadd(builder.load(place, typ=_DOUBLE), wide), place)
        index = builder.udiv(self.values["m0"], self.size)
        builder.store(builder.load(place, typ=_DOUBLE), self.pointer(self.values[total.array], index, _DOUBLE))
