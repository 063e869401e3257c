"""Writes the products of a recurrent layer with its weight, step by step, for a tile of samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir

from litspike.engine.cpu.builder import INTEGER, Vectors, loop
from litspike.engine.events.sampled import SampledWriter

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
            place = self.slot(INTEGER, INTEGER(0))
            self.list_nonzero(source, base, size, (events, ir.IntType(32)), place)
            many = b.load(place, typ=INTEGER)
            with loop(b, INTEGER(0), self._slabs(), "slab") as slab:
                first = b.mul(slab, self.width)
                weight = b.mul(first, size)
                start = [self.load(self.values["bias"], b.add(first, offset)) for offset in self.offsets(SLAB)]
                sums = self.accumulated(start, INTEGER(0), many, lambda event, sums: self._event(
                    event, sums, source, base, events, weight
                ))  # fmt: skip
                self.store_row(sums, target, b.add(base, first), b.sub(size, first), room)

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

    def backward_at(self, places: Any, source: Any, target: Any) -> None:
        """The same where a bit is set, and 0 elsewhere, with the transposed weight as it is, [inputs, outputs].

        Args:
            places: of the byte where the step's bits begin, in the array ``bits``.
            source: pointer to the step's numbers, those of all M neurons.
            target: a place for each neuron of the tile.
        """
        b, size = self.builder, self.values["N"]
        with b.goto_entry_block():
            columns = b.alloca(INTEGER, size)
        zero = INTEGER(0)
        given = {
            "places": self.pointer(self.values["bits"], places, ir.IntType(8)),
            "stride": zero,
            "per_step": b.udiv(self.values["M"], size),
            "inputs": size,
            "outputs": size,
            "columns": columns,
            "weight": self.values["weight"],
            "grad": source,
            "dx": self.pointer(target, b.sub(zero, self.values["m0"])),
        }
        first = b.udiv(self.values["m0"], size)
        SampledWriter.inside(self, given).rows(first, b.add(first, b.udiv(self.values["n"], size)), zero)

    def _samples(self, sample: Any, many: int, slab: Any, source: Callable[[Any], Any], target: Any, room: Any) -> None:
        """A slab of the gradient of some samples, which lie one after another."""
        b, size = self.builder, self.values["N"]
        first = b.mul(slab, self.width)
        weight = b.mul(first, size)
        bases = [b.mul(b.add(sample, INTEGER(number)), size) for number in range(many)]

        def add(o: Any, sums: Sequence[Any]) -> list[Any]:
            place = b.add(weight, b.mul(o, self.width))
            row = [self.load(self.values["weight"], b.add(place, offset)) for offset in self.offsets(SLAB)]
            result = []
            for number, base in enumerate(bases):
                value = self.spread(b.load(source(b.add(base, o)), typ=self.real))
                mine = sums[number * SLAB : (number + 1) * SLAB]
                result += [self.fma(value, w, total) for w, total in zip(row, mine, strict=True)]
            return result

        sums = self.accumulated([self.splat(0.0)] * (many * SLAB), INTEGER(0), size, add)
        for number, base in enumerate(bases):
            mine = sums[number * SLAB : (number + 1) * SLAB]
            self.store_row(mine, target, b.add(base, first), b.sub(size, first), room)

    def _event(self, event: Any, sums: Sequence[Any], source: Any, base: Any, events: Any, weight: Any) -> list[Any]:
        b, kind = self.builder, ir.IntType(32)
        j = b.zext(b.load(self.pointer(events, event, kind), typ=kind), INTEGER)
        value = self.spread(self.one(source, b.add(base, j)))
        place = b.add(weight, b.mul(j, self.width))
        pieces = [self.load(self.values["weight"], b.add(place, offset)) for offset in self.offsets(SLAB)]
        return [b.fadd(total, b.fmul(piece, value)) for total, piece in zip(sums, pieces, strict=True)]

    def _slabs(self) -> Any:
        size = self.values["N"]
        return self.builder.udiv(self.builder.add(size, self.builder.sub(self.width, INTEGER(1))), self.width)
