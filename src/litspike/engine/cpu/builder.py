"""What kernels have in common when they are written with LLVM's builder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from llvmlite import ir

from litspike.engine.cpu.memory import VECTOR

INTEGER, POINTER = ir.IntType(64), ir.PointerType()
_GROUP = 64
"""Numbers of which an integer has a bit each."""


def least(builder: Any, a: Any, b: Any) -> Any:
    """The smaller of two integers."""
    kind = ir.FunctionType(INTEGER, [INTEGER, INTEGER])
    return builder.call(builder.module.declare_intrinsic("llvm.smin", [INTEGER], kind), [a, b])


@contextmanager
def loop(builder: Any, first: Any, stop: Any, name: str) -> Iterator[Any]:
    """A loop from ``first`` up to, and without, ``stop``; gives the running number."""
    before = builder.block
    head, body, after = (builder.append_basic_block(f"{name}.{part}") for part in ("head", "body", "exit"))
    builder.branch(head)
    builder.position_at_end(head)
    number = builder.phi(INTEGER, name)
    number.add_incoming(first, before)
    builder.cbranch(builder.icmp_signed("<", number, stop), body, after)
    builder.position_at_end(body)
    yield number
    number.add_incoming(builder.add(number, INTEGER(1), flags=("nuw", "nsw")), builder.block)
    builder.branch(head)
    builder.position_at_end(after)


@contextmanager
def each_unit(module: Any, name: str, kinds: Mapping[str, Any]) -> Iterator[tuple[Any, dict[str, Any], Any]]:
    """A function ``name(arguments, first, last)`` whose body is run for each unit from first to, and without, last.

    Gives its builder, its arguments by their names, and the unit. ``arguments`` points to 8 bytes for each.

    Args:
        module: that it belongs to.
        name: of the function.
        kinds: name and type of each argument, in order.
    """
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [POINTER, INTEGER, INTEGER]), name)
    function.attributes.add("nounwind")
    packed, first, last = function.args
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    given = {}
    for number, (argument, kind) in enumerate(kinds.items()):
        place = builder.gep(packed, [INTEGER(number)], source_etype=INTEGER)
        given[argument] = builder.load(place, argument, typ=kind)
    with loop(builder, first, last, "unit") as unit:
        yield builder, given, unit
    builder.ret_void()


class Vectors:
    """Writes instructions on vectors of 64 bytes.

    Args:
        module: that what is written belongs to.
        dtype: float32 or float64.
    """

    def __init__(self, module: Any, dtype: torch.dtype, builder: Any = None) -> None:
        self.module, self.dtype, self.builder = module, dtype, builder
        self.lanes = VECTOR // dtype.itemsize
        self.real: Any = ir.FloatType() if dtype == torch.float32 else ir.DoubleType()
        self.vector = ir.VectorType(self.real, self.lanes)

    def slot(self, kind: Any, value: Any) -> Any:
        """Memory of the function's own, which LLVM turns into a register."""
        with self.builder.goto_entry_block():
            place = self.builder.alloca(kind)
        place.type = POINTER  # llvmlite's alloca gives a pointer to one type
        self.builder.store(value, place)
        return place

    def room(self, count: int) -> Any:
        """Memory of the function's own for this many numbers."""
        with self.builder.goto_entry_block():
            place = self.builder.alloca(self.real, count)
        place.align, place.type = VECTOR, POINTER
        return place

    def pointer(self, array: Any, index: Any, kind: Any = None) -> Any:
        """The place of an array's element; of reals where no kind is given."""
        return self.builder.gep(array, [index], inbounds=True, source_etype=kind or self.real)

    def load(self, array: Any, index: Any) -> Any:
        """The vector that begins at an index."""
        return self.builder.load(self.pointer(array, index), typ=self.vector, align=self.dtype.itemsize)

    def one(self, array: Any, index: Any) -> Any:
        """The real number at an index."""
        return self.builder.load(self.pointer(array, index), typ=self.real)

    def store(self, vector: Any, array: Any, index: Any) -> None:
        """Write a vector that begins at an index."""
        self.builder.store(vector, self.pointer(array, index), align=self.dtype.itemsize)

    def offsets(self, vectors: int) -> list[Any]:
        """Where each of some vectors begins that lie one after another."""
        return [INTEGER(number * self.lanes) for number in range(vectors)]

    def store_row(self, vectors: Sequence[Any], array: Any, place: Any, left: Any, room: Any) -> None:
        """Write vectors one after another, of which only the first ``left`` numbers belong to the row."""
        b, offsets = self.builder, self.offsets(len(vectors))
        with b.if_else(b.icmp_signed(">=", left, INTEGER(len(vectors) * self.lanes))) as (then, otherwise):
            with then:
                for offset, vector in zip(offsets, vectors, strict=True):
                    self.store(vector, array, b.add(place, offset))
            with otherwise:
                for offset, vector in zip(offsets, vectors, strict=True):
                    self.store(vector, room, offset)
                with loop(b, INTEGER(0), left, "some") as o:
                    b.store(self.one(room, o), self.pointer(array, b.add(place, o)))

    def load_row(self, vectors: int, array: Any, place: Any, left: Any, room: Any) -> list[Any]:
        """Read vectors one after another, with zeros behind the first ``left`` numbers."""
        b, offsets = self.builder, self.offsets(vectors)
        with b.if_else(b.icmp_signed(">=", left, INTEGER(vectors * self.lanes))) as (then, otherwise):
            with then:
                for offset in offsets:
                    self.store(self.load(array, b.add(place, offset)), room, offset)
            with otherwise:
                for offset in offsets:
                    self.store(self.splat(0.0), room, offset)
                with loop(b, INTEGER(0), left, "some") as o:
                    b.store(self.one(array, b.add(place, o)), self.pointer(room, o))
        return [self.load(room, offset) for offset in offsets]

    def list_nonzero(self, array: Any, base: Any, count: Any, indices: Any, place: Any, other: Any = None) -> None:
        """Write the indices of what is not 0 in ``array[base : base + count]``, in ascending order.

        Args:
            array: of reals.
            base: index of the first of them.
            count: how many they are.
            indices: the array for the indices, and the type of one.
            place: the slot of the next free place in it.
            other: the slot of a number to which the number of values that are neither 0 nor 1 is added, if given.
        """
        b = self.builder
        target, kind = indices

        def append(j: Any) -> None:
            at = b.load(place, typ=INTEGER)
            b.store(b.trunc(j, kind), self.pointer(target, at, kind))
            b.store(b.add(at, INTEGER(1)), place)

        self.each_nonzero(array, base, count, append, other)

    def each_nonzero(self, array: Any, base: Any, count: Any, write: Callable[[Any], None], other: Any = None) -> None:
        """What ``write`` writes happens for the index of each number of ``array[base : base + count]`` but zeros."""
        begin = INTEGER(0)
        for vectors in (_GROUP // self.lanes, 1):
            begin = self._each_nonzero_of_groups(array, base, (begin, count), vectors, write, other)
        b = self.builder
        with loop(b, begin, count, "j") as j:
            value = self.one(array, b.add(base, j))
            with b.if_then(b.fcmp_unordered("!=", value, ir.Constant(self.real, 0.0))):
                if other is not None:
                    strange = b.fcmp_unordered("!=", value, ir.Constant(self.real, 1.0))
                    b.store(b.add(b.load(other, typ=INTEGER), b.zext(strange, INTEGER)), other)
                write(j)

    def _each_nonzero_of_groups(
        self, array: Any, base: Any, part: tuple[Any, Any], vectors: int, write: Callable[[Any], None], other: Any
    ) -> Any:
        """The same for the whole groups of so many vectors in a part; gives where they end."""
        b, (begin, end) = self.builder, part
        size = INTEGER(vectors * self.lanes)
        groups = b.udiv(b.sub(end, begin), size)
        with loop(b, INTEGER(0), groups, "group") as group:
            j = b.add(begin, b.mul(group, size))
            values = [self.load(array, b.add(b.add(base, j), offset)) for offset in self.offsets(vectors)]
            mask = self._differ(values, 0.0)
            with b.if_then(b.icmp_unsigned("!=", mask, INTEGER(0))):
                if other is not None:
                    strange = b.ctpop(b.and_(mask, self._differ(values, 1.0)))
                    b.store(b.add(b.load(other, typ=INTEGER), strange), other)
                self.each_bit(mask, lambda bit: write(b.add(j, bit)))
        return b.add(begin, b.mul(groups, size))

    def _differ(self, vectors: Sequence[Any], number: float) -> Any:
        """A bit for each number of some vectors, 64 at most: whether it isn't this one."""
        b, mask = self.builder, INTEGER(0)
        for offset, vector in zip(self.offsets(len(vectors)), vectors, strict=True):
            bits = b.bitcast(b.fcmp_unordered("!=", vector, self.splat(number)), ir.IntType(self.lanes))
            mask = b.or_(mask, b.shl(b.zext(bits, INTEGER), offset))
        return mask

    def store_bits(self, source: Any, many: Any, target: Any, first: Any) -> None:
        """Write a bit for each of ``many`` numbers, whether it is not 0, from the byte ``first`` on."""
        b, bits, lanes = self.builder, ir.IntType(self.lanes), INTEGER(self.lanes)
        with loop(b, INTEGER(0), b.udiv(b.add(many, INTEGER(self.lanes - 1)), lanes), "bits") as group:
            j = b.mul(group, lanes)
            beyond = b.sub(lanes, least(b, b.sub(many, j), lanes))
            inside = b.lshr(bits(-1), b.trunc(beyond, bits))
            found = b.bitcast(b.fcmp_unordered("!=", self.load(source, j), self.splat(0.0)), bits)
            byte = self.pointer(target, b.add(first, b.lshr(j, INTEGER(3))), ir.IntType(8))
            b.store(b.and_(found, inside), byte, align=1)

    def each_bit(self, mask: Any, write: Callable[[Any], None]) -> None:
        """What ``write`` writes happens for the number of each bit that is set in a mask, which is not 0."""
        b, before = self.builder, self.builder.block
        body, after = b.append_basic_block("bits"), b.append_basic_block("bits.exit")
        b.branch(body)
        b.position_at_end(body)
        left = b.phi(mask.type)
        left.add_incoming(mask, before)
        write(b.zext(b.cttz(left, ir.Constant(ir.IntType(1), 1)), INTEGER))
        rest = b.and_(left, b.sub(left, mask.type(1)))
        left.add_incoming(rest, b.block)
        b.cbranch(b.icmp_unsigned("!=", rest, mask.type(0)), body, after)
        b.position_at_end(after)

    def accumulated(
        self, start: Sequence[Any], first: Any, stop: Any, add: Callable[[Any, Sequence[Any]], list[Any]]
    ) -> list[Any]:
        """A loop from ``first`` to ``stop`` that keeps sums in registers."""
        b, before = self.builder, self.builder.block
        head, body, after = (b.append_basic_block(f"sum.{part}") for part in ("head", "body", "exit"))
        b.branch(head)
        b.position_at_end(head)
        number = b.phi(INTEGER)
        number.add_incoming(first, before)
        sums = [b.phi(self.vector) for _ in start]
        for total, value in zip(sums, start, strict=True):
            total.add_incoming(value, before)
        b.cbranch(b.icmp_signed("<", number, stop), body, after)
        b.position_at_end(body)
        for total, value in zip(sums, add(number, sums), strict=True):
            total.add_incoming(value, b.block)
        number.add_incoming(b.add(number, INTEGER(1)), b.block)
        b.branch(head)
        b.position_at_end(after)
        return sums

    def transposed(self, rows: Sequence[Any]) -> list[Any]:
        """A square of numbers, a vector a row, with rows and columns exchanged: blocks of 1, 2, 4, .. at a time."""
        b, rows, size = self.builder, list(rows), 1
        while size < self.lanes:
            low = [k if not k & size else self.lanes + k - size for k in range(self.lanes)]
            high = [k + size if not k & size else self.lanes + k for k in range(self.lanes)]
            for i in range(self.lanes):
                if not i & size:
                    pair = rows[i], rows[i + size]
                    rows[i], rows[i + size] = (b.shuffle_vector(*pair, _picks_of(picks)) for picks in (low, high))
            size *= 2
        return rows

    def splat(self, number: float) -> Any:
        """A constant vector of one number."""
        return ir.Constant(self.vector, [ir.Constant(self.real, number)] * self.lanes)

    def spread(self, value: Any) -> Any:
        """A vector of one value."""
        b, undefined = self.builder, ir.Constant(self.vector, ir.Undefined)
        one = b.insert_element(undefined, value, ir.IntType(32)(0))
        return b.shuffle_vector(one, undefined, _picks(0, self.lanes, 0))

    def fma(self, a: Any, b: Any, c: Any) -> Any:
        """a · b + c, rounded once."""
        name = f"llvm.fma.v{self.lanes}f{8 * self.dtype.itemsize}"
        known = self.module.globals.get(name)
        kind = ir.FunctionType(self.vector, [self.vector] * 3)
        return self.builder.call(known or ir.Function(self.module, kind, name), [a, b, c])

    def add_up(self, vector: Any) -> Any:
        """The sum over a vector, by halves."""
        b, many = self.builder, self.lanes
        while many > 1:
            many //= 2
            undefined = ir.Constant(vector.type, ir.Undefined)
            halves = [b.shuffle_vector(vector, undefined, _picks(first, many)) for first in (0, many)]
            vector = b.fadd(*halves)
        return b.extract_element(vector, ir.IntType(32)(0))


def _picks(first: int, many: int, step: int = 1) -> Any:
    """Which elements of a vector a shuffle takes."""
    return _picks_of([first + step * number for number in range(many)])


def _picks_of(elements: Sequence[int]) -> Any:
    kind = ir.IntType(32)
    return ir.Constant(ir.VectorType(kind, len(elements)), [kind(element) for element in elements])
