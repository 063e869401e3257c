"""Kernels of products with spikes, written with LLVM's builder for vectors of 64 bytes.

The outputs of a product are cut into slabs of a few vectors. A weight is packed by slabs, [slabs, N, width], so that
a slab stays in the second-level cache while the rows go by, and an event adds one short row of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from llvmlite import ir

from litspike.engine.cpu.builder import INTEGER, least, loop
from litspike.engine.events.form import LINE
from litspike.engine.events.writer import EventWriter

_TILE = 16
_TOGETHER = 4
"""Rows of a weight that are read together."""


class Writer(EventWriter):
    """Writes one kernel. In all of them x [rows, inputs] is what the spikes are in, and the events of a row are the
    indices from its begin to its end.
    """

    def count(self, unit: Any) -> None:
        """Add how many numbers of a line are not zero; the lines begin at multiples of a ``stride``."""
        b, given = self.builder, self.given
        line = b.mul(unit, given["stride"])
        values = [self.load(given["x"], b.add(line, offset)) for offset in self.offsets(LINE // self.lanes)]
        more = b.ctpop(self._differ(values, 0.0))
        b.store(b.add(b.load(given["found"], typ=INTEGER), more), given["found"])

    def lists(self, unit: Any) -> None:
        """Write the indices of what is not zero, row after row; ``other[unit]`` counts values that are not 1."""
        b, given = self.builder, self.given
        start = b.mul(unit, given["per_unit"])
        place = self.slot(INTEGER, b.mul(start, given["inputs"]))
        other = self.slot(INTEGER, INTEGER(0))
        with self._rows(unit) as row:
            b.store(b.load(place, typ=INTEGER), self._at("begins", row, INTEGER))
            x = b.mul(row, given["inputs"])
            self.list_nonzero(given["x"], x, given["inputs"], (given["indices"], self.index), place, other)
            b.store(b.load(place, typ=INTEGER), self._at("ends", row, INTEGER))
        b.store(b.load(other, typ=INTEGER), self._at("other", unit, INTEGER))

    def join(self, unit: Any) -> None:
        """Copy the indices of some rows to where they begin when those of all rows lie one after another."""
        b, given = self.builder, self.given
        first = b.mul(unit, given["per_unit"])
        last = b.sub(least(b, b.add(first, given["per_unit"]), given["rows"]), INTEGER(1))
        source, target = self._integer("begins", first), self._integer("starts", first)
        many = b.sub(self._integer("ends", last), source)
        with loop(b, INTEGER(0), many, "copy") as number:
            index = b.load(self._at("indices", b.add(source, number), self.index), typ=self.index)
            b.store(index, self._at("joined", b.add(target, number), self.index))

    def pack(self, unit: Any) -> None:
        """A slab of the weight [outputs, inputs], transposed; what is beyond the last output is 0."""
        b = self.builder
        with self._tiles(unit) as (slab, weight, inside):
            value = self.slot(self.real, ir.Constant(self.real, 0.0))
            with b.if_then(inside):
                b.store(self.one(self.given["weight"], weight), value)
            b.store(b.load(value, typ=self.real), self._at("packed", slab, self.real))

    def unpack(self, unit: Any) -> None:
        """The way back from :meth:`pack`."""
        b = self.builder
        with self._tiles(unit) as (slab, weight, inside), b.if_then(inside):
            b.store(self.one(self.given["packed"], slab), self._at("weight", weight, self.real))

    @contextmanager
    def _tiles(self, unit: Any) -> Iterator[tuple[Any, Any, Any]]:
        """Go over a slab in tiles that stay in the cache: place in the slab, place in the weight, whether it is one."""
        b, inputs, outputs = self.builder, self.given["inputs"], self.given["outputs"]
        width, tile = INTEGER(self.form.width), INTEGER(_TILE)
        first = b.mul(unit, width)
        slab = b.mul(first, inputs)
        with loop(b, INTEGER(0), b.udiv(b.add(inputs, INTEGER(_TILE - 1)), tile), "tile") as number:
            begin = b.mul(number, tile)
            end = least(b, b.add(begin, tile), inputs)
            with loop(b, INTEGER(0), width, "o") as o:
                output = b.add(first, o)
                inside = b.icmp_signed("<", output, outputs)
                with loop(b, begin, end, "j") as j:
                    place = b.add(slab, b.add(b.mul(j, width), o))
                    yield place, b.add(b.mul(output, inputs), j), inside

    def product(self, unit: Any) -> None:
        """y = x · weightᵀ + bias for some rows and a slab: each output sums its events in the order of their index."""
        b, given, form = self.builder, self.given, self.form
        slab, part = self._slab_and_part(unit)
        first = b.mul(slab, INTEGER(form.width))
        weight = b.mul(first, given["inputs"])
        begin = [self.load(given["bias"], b.add(first, offset)) for offset in self.offsets(form.vectors)]
        left = b.sub(given["outputs"], first)
        room = self.room(form.width)
        with self._rows(part) as row:
            first_event, stop = self._integer("begins", row), self._integer("ends", row)
            sums = self.accumulated(
                begin,
                first_event,
                stop,
                lambda event, sums: self._sums(sums, self._packed(*self._event(event, row, weight))),
            )
            self.store_row(sums, given["y"], b.add(b.mul(row, given["outputs"]), first), left, room)

    def row(self, unit: Any) -> None:
        """y = start + weightᵀ · x for the one row x: each output sums its events in the order of their index.

        The weight is [inputs, outputs] as it is: an event reads one long row of it, and some are read together.
        """
        b, given = self.builder, self.given
        place = self.slot(INTEGER, INTEGER(0))
        self.list_nonzero(given["x"], INTEGER(0), given["inputs"], (given["indices"], self.index), place)
        many = b.load(place, typ=INTEGER)
        self._add_rows([], INTEGER(0), given["start"])
        groups = b.udiv(many, INTEGER(_TOGETHER))
        with loop(b, INTEGER(0), groups, "group") as group:
            self._add_rows(range(_TOGETHER), b.mul(group, INTEGER(_TOGETHER)), given["y"])
        with loop(b, b.mul(groups, INTEGER(_TOGETHER)), many, "event") as event:
            self._add_rows([0], event, given["y"])

    def _add_rows(self, numbers: Sequence[int], first: Any, start: Any) -> None:
        """y = start plus the rows of the weight of some events from the ``first`` on, each times its value."""
        b, given, outputs = self.builder, self.given, self.given["outputs"]
        inputs = [self._integer("indices", b.add(first, INTEGER(n)), self.index) for n in numbers]
        values, rows = [self.one(given["x"], j) for j in inputs], [b.mul(j, outputs) for j in inputs]
        spread = [self.spread(value) for value in values]
        whole = b.udiv(outputs, INTEGER(self.lanes))
        with loop(b, INTEGER(0), whole, "outputs") as number:
            o = b.mul(number, INTEGER(self.lanes))
            total = self.load(start, o)
            for value, row in zip(spread, rows, strict=True):
                total = b.fadd(total, b.fmul(self.load(given["weight"], b.add(row, o)), value))
            self.store(total, given["y"], o)
        with loop(b, b.mul(whole, INTEGER(self.lanes)), outputs, "o") as o:
            total = self.one(start, o)
            for value, row in zip(values, rows, strict=True):
                total = b.fadd(total, b.fmul(self.one(given["weight"], b.add(row, o)), value))
            b.store(total, self.pointer(given["y"], o))

    def outer(self, unit: Any) -> None:
        """A slab of gradᵀ · x, [inputs, width]: each event adds its row's piece of the gradient [rows, outputs].

        The rows are cut into ``parts``, each with slabs of its own, which are added up afterwards.
        """
        b, given, form = self.builder, self.given, self.form
        slab, part = self._slab_and_part(unit, given["parts"])
        first = b.mul(slab, INTEGER(form.width))
        slabs = b.udiv(b.add(given["outputs"], INTEGER(form.width - 1)), INTEGER(form.width))
        size = b.mul(given["inputs"], INTEGER(form.width))
        here = b.mul(b.add(b.mul(part, slabs), slab), size)
        self._clear(here, size)
        left = b.sub(given["outputs"], first)
        room = self.room(form.width)
        with self._rows(part) as row:
            grad = b.add(b.mul(row, given["outputs"]), first)
            pieces = self.load_row(form.vectors, given["grad"], grad, left, room)
            begin, end = self._integer("begins", row), self._integer("ends", row)
            with loop(b, begin, end, "event") as event:
                place, value = self._event(event, row, here)
                self._add_to_packed(place, pieces, value)

    @contextmanager
    def _rows(self, unit: Any) -> Iterator[Any]:
        b, many = self.builder, self.given["per_unit"]
        first = b.mul(unit, many)
        with loop(b, first, least(b, b.add(first, many), self.given["rows"]), "row") as row:
            yield row

    def _slab_and_part(self, unit: Any, parts: Any = None) -> tuple[Any, Any]:
        """The slab and the part of the rows that a unit is of."""
        b = self.builder
        if parts is None:
            rows, many = self.given["rows"], self.given["per_unit"]
            parts = b.udiv(b.add(rows, b.sub(many, INTEGER(1))), many)
        return b.udiv(unit, parts), b.urem(unit, parts)

    def _event(self, event: Any, row: Any, begin: Any) -> tuple[Any, Any]:
        """Where an event's row is in a slab of the packed array, and its value where that may be other than 1."""
        b, given = self.builder, self.given
        j = self._integer("indices", event, self.index)
        place = b.add(begin, b.mul(j, INTEGER(self.form.width)))
        if not self.form.valued:
            return place, None
        return place, self.spread(self.one(given["x"], b.add(b.mul(row, given["inputs"]), j)))
