"""What kernels have in common when they are written with LLVM's builder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from llvmlite import ir

INTEGER, POINTER = ir.IntType(64), ir.PointerType()
BYTES = 64
"""Of a vector: one register of AVX-512, and a few of other processors."""


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


class Vectors:
    """Writes instructions on vectors of 64 bytes.

    Args:
        module: that what is written belongs to.
        dtype: float32 or float64.
    """

    def __init__(self, module: Any, dtype: torch.dtype, builder: Any = None) -> None:
        self.module, self.dtype, self.builder = module, dtype, builder
        self.lanes = BYTES // dtype.itemsize
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
        place.align, place.type = BYTES, POINTER
        return place

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
    kind = ir.IntType(32)
    return ir.Constant(ir.VectorType(kind, many), [kind(first + step * number) for number in range(many)])
