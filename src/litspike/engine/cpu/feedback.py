"""Writes the products of a recurrent layer with its weight, step by step, for a tile of samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir

from litspike.engine.cpu.builder import INTEGER, Vectors, least, loop

SLAB = 4
"""Vectors of a slab of the packed weight."""
_TOGETHER = 4
"""Samples that go through a slab together on the way back."""


class FeedbackWriter(Vectors):
    """Writes into a function that has a tile of ``n`` neurons, with N to a sample.

    Args:
        vectors: what writes into the function.
        values: its arguments, among them n, N and the packed weight.
    """

    def __init__(self, vectors: Vectors, values: dict[str, Any]) -> None:
        super().__init__(vectors.module, vectors.dtype, vectors.builder)
        self.values = values
        self.width = INTEGER(SLAB * self.lanes)

    def forward(self, source: Any, target: Any) -> None:
        """target ← bias + weight · source, for each sample; the events of a sample in the order of their index."""
        b, size = self.builder, self.values["N"]
        with b.goto_entry_block():
            events = b.alloca(ir.IntType(32), size)
        room = self.room(SLAB * self.lanes)
        with loop(b, INTEGER(0), b.udiv(self.values["n"], size), "sample") as sample:
            base = b.mul(sample, size)
            many = self._list(source, base, events)
            with loop(b, INTEGER(0), self._slabs(), "slab") as slab:
                first = b.mul(slab, self.width)
                weight = b.mul(first, size)
                start = [self._at("bias", b.add(first, offset)) for offset in self._offsets()]
                sums = self.accumulated(start, INTEGER(0), many, lambda event, sums: self._event(
                    event, sums, source, base, events, weight
                ))  # fmt: skip
                self._write(sums, target, b.add(base, first), b.sub(size, first), room)

    def backward(self, source: Callable[[Any], Any], target: Any) -> None:
        """target ← weightᵀ · source for each sample, ``source`` giving the pointer to an index's number."""
        b, size = self.builder, self.values["N"]
        room = self.room(SLAB * self.lanes)
        samples = b.udiv(self.values["n"], size)
        groups = b.udiv(samples, INTEGER(_TOGETHER))
        with loop(b, INTEGER(0), self._slabs(), "slab") as slab:
            with loop(b, INTEGER(0), groups, "group") as group:
                self._samples(b.mul(group, INTEGER(_TOGETHER)), _TOGETHER, slab, source, target, room)
            with loop(b, b.mul(groups, INTEGER(_TOGETHER)), samples, "sample") as sample:
                self._samples(sample, 1, slab, source, target, room)

    def _samples(self, sample: Any, many: int, slab: Any, source: Callable[[Any], Any], target: Any, room: Any) -> None:
        """A slab of the gradient of some samples, which lie one after another."""
        b, size = self.builder, self.values["N"]
        first = b.mul(slab, self.width)
        weight = b.mul(first, size)
        bases = [b.mul(b.add(sample, INTEGER(number)), size) for number in range(many)]

        def add(o: Any, sums: Sequence[Any]) -> list[Any]:
            place = b.add(weight, b.mul(o, self.width))
            row = [self._at("weight", b.add(place, offset)) for offset in self._offsets()]
            result = []
            for number, base in enumerate(bases):
                value = self.spread(b.load(source(b.add(base, o)), typ=self.real))
                mine = sums[number * SLAB : (number + 1) * SLAB]
                result += [self.fma(value, w, total) for w, total in zip(row, mine, strict=True)]
            return result

        sums = self.accumulated([self.splat(0.0)] * (many * SLAB), INTEGER(0), size, add)
        for number, base in enumerate(bases):
            mine = sums[number * SLAB : (number + 1) * SLAB]
            self._write(mine, target, b.add(base, first), b.sub(size, first), room)

    def _list(self, source: Any, base: Any, events: Any) -> Any:
        """Write the indices of what is not zero in a sample; gives their number."""
        b, size, lanes = self.builder, self.values["N"], INTEGER(self.lanes)
        bits, kind = ir.IntType(self.lanes), ir.IntType(32)
        place = self.slot(INTEGER, INTEGER(0))

        def append(j: Any) -> None:
            now = b.load(place, typ=INTEGER)
            b.store(b.trunc(j, kind), b.gep(events, [now], inbounds=True, source_etype=kind))
            b.store(b.add(now, INTEGER(1)), place)

        groups = b.udiv(size, lanes)
        with loop(b, INTEGER(0), groups, "group") as group:
            j = b.mul(group, lanes)
            values = b.load(self._pointer(source, b.add(base, j)), typ=self.vector, align=self.dtype.itemsize)
            mask = b.bitcast(b.fcmp_unordered("!=", values, self.splat(0.0)), bits)
            with b.if_then(b.icmp_unsigned("!=", mask, bits(0))):
                self.each_bit(mask, lambda bit: append(b.add(j, bit)))
        with loop(b, b.mul(groups, lanes), size, "j") as j:
            value = b.load(self._pointer(source, b.add(base, j)), typ=self.real)
            with b.if_then(b.fcmp_unordered("!=", value, ir.Constant(self.real, 0.0))):
                append(j)
        return b.load(place, typ=INTEGER)

    def _event(self, event: Any, sums: Sequence[Any], source: Any, base: Any, events: Any, weight: Any) -> list[Any]:
        b, kind = self.builder, ir.IntType(32)
        j = b.zext(b.load(b.gep(events, [event], inbounds=True, source_etype=kind), typ=kind), INTEGER)
        value = self.spread(b.load(self._pointer(source, b.add(base, j)), typ=self.real))
        place = b.add(weight, b.mul(j, self.width))
        pieces = [self._at("weight", b.add(place, offset)) for offset in self._offsets()]
        return [b.fadd(total, b.fmul(piece, value)) for total, piece in zip(sums, pieces, strict=True)]

    def _write(self, sums: Sequence[Any], target: Any, place: Any, left: Any, room: Any) -> None:
        """Write a slab's row, of which only what is left belongs to the sample."""
        b, itemsize = self.builder, self.dtype.itemsize
        with b.if_else(b.icmp_signed(">=", left, self.width)) as (then, otherwise):
            with then:
                for offset, total in zip(self._offsets(), sums, strict=True):
                    b.store(total, self._pointer(target, b.add(place, offset)), align=itemsize)
            with otherwise:
                for offset, total in zip(self._offsets(), sums, strict=True):
                    b.store(total, self._pointer(room, offset), align=itemsize)
                with loop(b, INTEGER(0), least(b, left, self.width), "some") as o:
                    value = b.load(self._pointer(room, o), typ=self.real)
                    b.store(value, self._pointer(target, b.add(place, o)))

    def _slabs(self) -> Any:
        size = self.values["N"]
        return self.builder.udiv(self.builder.add(size, self.builder.sub(self.width, INTEGER(1))), self.width)

    def _offsets(self) -> list[Any]:
        return [INTEGER(number * self.lanes) for number in range(SLAB)]

    def _pointer(self, array: Any, index: Any) -> Any:
        return self.builder.gep(array, [index], inbounds=True, source_etype=self.real)

    def _at(self, name: str, place: Any) -> Any:
        pointer = self._pointer(self.values[name], place)
        return self.builder.load(pointer, typ=self.vector, align=self.dtype.itemsize)
