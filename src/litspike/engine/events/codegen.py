"""Kernels of products with spikes, written with LLVM's builder for vectors of 64 bytes.

The outputs of a product are cut into slabs of a few vectors. A weight is packed by slabs, [slabs, N, width], so that
a slab stays in the second-level cache while the rows go by, and an event adds one short row of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from llvmlite import ir

from litspike.engine.cpu.builder import INTEGER, POINTER, Vectors, least, loop
from litspike.engine.events.kernels import BYTES, FIELDS, Form

_TILE = 16


def module_text(name: str, form: Form) -> str:
    """A module of LLVM's with the function ``NAME(arguments, first, last)``, which does units from first to last."""
    writer = Writer(form)
    writer.function(name, FIELDS[name], getattr(writer, name))
    return str(writer.module)


class Writer(Vectors):
    """Writes one kernel. In all of them x [rows, inputs] is what the spikes are in, and the events of a row are the
    indices from its begin to its end.
    """

    def __init__(self, form: Form) -> None:
        super().__init__(ir.Module("events"), form.dtype)
        self.form = form
        self.index = ir.IntType(form.bits)
        self.given: dict[str, Any] = {}

    def function(self, name: str, fields: Sequence[str], write: Callable[[Any], None]) -> None:
        """The function, whose ``write`` gets the number of a unit."""
        kind = ir.FunctionType(ir.VoidType(), [POINTER, INTEGER, INTEGER])
        function = ir.Function(self.module, kind, name)
        function.attributes.add("nounwind")
        packed, first, last = function.args
        self.builder = builder = ir.IRBuilder(function.append_basic_block("entry"))
        for number, field in enumerate(fields):
            place = builder.gep(packed, [INTEGER(number)], source_etype=INTEGER)
            whole = field in ("rows", "inputs", "outputs", "per_unit", "parts")
            self.given[field] = builder.load(place, field, typ=INTEGER if whole else POINTER)
        with loop(builder, first, last, "unit") as unit:
            write(unit)
        builder.ret_void()

    # The kernels ------------------------------------------------------------------------------------------------

    def lists(self, unit: Any) -> None:
        """Write the indices of what is not zero, row after row; ``other[unit]`` counts values that are not 1."""
        b, given = self.builder, self.given
        inputs, lanes = given["inputs"], INTEGER(self.form.lanes)
        whole = b.mul(b.udiv(inputs, lanes), lanes)
        bits = ir.IntType(self.form.lanes)
        start = b.mul(unit, given["per_unit"])
        place = self.slot(INTEGER, b.mul(start, inputs))
        other = self.slot(INTEGER, INTEGER(0))
        zeros, ones = self.splat(0.0), self.splat(1.0)
        with self._rows(unit) as row:
            b.store(b.load(place, typ=INTEGER), self._at("begins", row, INTEGER))
            x = b.mul(row, inputs)
            with loop(b, INTEGER(0), b.udiv(whole, lanes), "group") as group:
                j = b.mul(group, lanes)
                values = self._load("x", b.add(x, j), self.vector)
                mask = b.bitcast(b.fcmp_unordered("!=", values, zeros), bits)
                with b.if_then(b.icmp_unsigned("!=", mask, bits(0))):
                    strange = b.and_(mask, b.bitcast(b.fcmp_unordered("!=", values, ones), bits))
                    count = b.zext(b.ctpop(strange), INTEGER)
                    b.store(b.add(b.load(other, typ=INTEGER), count), other)
                    self.each_bit(mask, lambda bit: self._append_one(b.add(j, bit), place))
            with loop(b, whole, inputs, "j") as j:
                value = self._load("x", b.add(x, j), self.real)
                with b.if_then(b.fcmp_unordered("!=", value, ir.Constant(self.real, 0.0))):
                    strange = b.zext(b.fcmp_unordered("!=", value, ir.Constant(self.real, 1.0)), INTEGER)
                    b.store(b.add(b.load(other, typ=INTEGER), strange), other)
                    self._append_one(j, place)
            b.store(b.load(place, typ=INTEGER), self._at("ends", row, INTEGER))
        b.store(b.load(other, typ=INTEGER), self._at("other", unit, INTEGER))

    def pack(self, unit: Any) -> None:
        """A slab of the weight [outputs, inputs], transposed; what is beyond the last output is 0."""
        b = self.builder
        with self._tiles(unit) as (slab, weight, inside):
            value = self.slot(self.real, ir.Constant(self.real, 0.0))
            with b.if_then(inside):
                b.store(self._load("weight", weight, self.real), value)
            b.store(b.load(value, typ=self.real), self._at("packed", slab, self.real))

    def unpack(self, unit: Any) -> None:
        """The way back from :meth:`pack`."""
        b = self.builder
        with self._tiles(unit) as (slab, weight, inside), b.if_then(inside):
            b.store(self._load("packed", slab, self.real), self._at("weight", weight, self.real))

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
        b, given = self.builder, self.given
        slab, part = self._slab_and_part(unit)
        first = b.mul(slab, INTEGER(self.form.width))
        weight = b.mul(first, given["inputs"])
        begin = [self._load("bias", b.add(first, offset), self.vector) for offset in self._offsets()]
        left = b.sub(given["outputs"], first)
        whole = b.icmp_signed(">=", left, INTEGER(self.form.width))
        with self._rows(part) as row:
            sums = self._over_events(row, weight, begin)
            y = b.add(b.mul(row, given["outputs"]), first)
            with b.if_else(whole) as (then, otherwise):
                with then:
                    for offset, total in zip(self._offsets(), sums, strict=True):
                        self._store(total, "y", b.add(y, offset))
                with otherwise:
                    self._store_some(sums, "y", y, left)

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
        with loop(b, INTEGER(0), b.udiv(size, INTEGER(form.lanes)), "clear") as number:
            self._store(self.splat(0.0), "packed", b.add(here, b.mul(number, INTEGER(form.lanes))))
        left = b.sub(given["outputs"], first)
        whole = b.icmp_signed(">=", left, INTEGER(form.width))
        room = self.room(form.width)
        with self._rows(part) as row:
            grad = b.add(b.mul(row, given["outputs"]), first)
            with b.if_else(whole) as (then, otherwise):
                with then:
                    for number, offset in enumerate(self._offsets()):
                        value = self._load("grad", b.add(grad, offset), self.vector)
                        b.store(value, self._in(room, number), align=BYTES)
                with otherwise:
                    self._load_some("grad", grad, left, room)
            pieces = [b.load(self._in(room, n), typ=self.vector, align=BYTES) for n in range(form.vectors)]
            with self._events(row) as j:
                scaled = pieces
                if form.valued:
                    value = self.spread(self._load("x", b.add(b.mul(row, given["inputs"]), j), self.real))
                    scaled = [b.fmul(piece, value) for piece in pieces]
                place = b.add(here, b.mul(j, INTEGER(form.width)))
                for offset, piece in zip(self._offsets(), scaled, strict=True):
                    old = self._load("packed", b.add(place, offset), self.vector)
                    self._store(b.fadd(old, piece), "packed", b.add(place, offset))

    def sampled(self, unit: Any) -> None:
        """dx = grad · weight where there is an event, 0 elsewhere; the weight is transposed, [inputs, outputs]."""
        b, given, form = self.builder, self.given, self.form
        step = INTEGER(form.width)
        whole = b.mul(b.udiv(given["outputs"], step), step)
        with self._rows(unit) as row:
            dx, grad = b.mul(row, given["inputs"]), b.mul(row, given["outputs"])
            with loop(b, INTEGER(0), given["inputs"], "clear") as j:
                b.store(ir.Constant(self.real, 0.0), self._at("dx", b.add(dx, j), self.real))
            with self._events(row) as j:
                weight = b.mul(j, given["outputs"])
                sums = [self.slot(self.vector, self.splat(0.0)) for _ in range(form.vectors)]
                with loop(b, INTEGER(0), b.udiv(whole, step), "o") as number:
                    o = b.mul(number, step)
                    for offset, total in zip(self._offsets(), sums, strict=True):
                        g = self._load("grad", b.add(b.add(grad, o), offset), self.vector)
                        w = self._load("weight", b.add(b.add(weight, o), offset), self.vector)
                        b.store(self.fma(g, w, b.load(total, typ=self.vector)), total)
                together = b.load(sums[0], typ=self.vector)
                for total in sums[1:]:
                    together = b.fadd(together, b.load(total, typ=self.vector))
                one = self.slot(self.real, self.add_up(together))
                with loop(b, whole, given["outputs"], "rest") as o:
                    g = self._load("grad", b.add(grad, o), self.real)
                    w = self._load("weight", b.add(weight, o), self.real)
                    b.store(b.fadd(b.load(one, typ=self.real), b.fmul(g, w)), one)
                b.store(b.load(one, typ=self.real), self._at("dx", b.add(dx, j), self.real))

    # What they are made of --------------------------------------------------------------------------------------

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

    @contextmanager
    def _events(self, row: Any) -> Iterator[Any]:
        b = self.builder
        begin, end = (b.load(self._at(name, row, INTEGER), typ=INTEGER) for name in ("begins", "ends"))
        with loop(b, begin, end, "event") as event:
            yield b.zext(b.load(self._at("indices", event, self.index), typ=self.index), INTEGER)

    def _over_events(self, row: Any, weight: Any, begin: Sequence[Any]) -> list[Any]:
        """The sums of a slab's row of the weight over the events of a row."""
        b = self.builder

        def add(event: Any, sums: Sequence[Any]) -> list[Any]:
            j = b.zext(b.load(self._at("indices", event, self.index), typ=self.index), INTEGER)
            place = b.add(weight, b.mul(j, INTEGER(self.form.width)))
            pieces = [self._load("packed", b.add(place, offset), self.vector) for offset in self._offsets()]
            if self.form.valued:
                value = self.spread(self._load("x", b.add(b.mul(row, self.given["inputs"]), j), self.real))
                pieces = [b.fmul(piece, value) for piece in pieces]
            return [b.fadd(total, piece) for total, piece in zip(sums, pieces, strict=True)]

        first, stop = (b.load(self._at(name, row, INTEGER), typ=INTEGER) for name in ("begins", "ends"))
        return self.accumulated(begin, first, stop, add)

    def _append_one(self, j: Any, place: Any) -> None:
        b = self.builder
        now = b.load(place, typ=INTEGER)
        b.store(b.trunc(j, self.index), self._at("indices", now, self.index))
        b.store(b.add(now, INTEGER(1)), place)

    def _offsets(self) -> list[Any]:
        return [INTEGER(number * self.form.lanes) for number in range(self.form.vectors)]

    def _at(self, name: str, place: Any, kind: Any) -> Any:
        return self.builder.gep(self.given[name], [place], inbounds=True, source_etype=kind)

    def _load(self, name: str, place: Any, kind: Any) -> Any:
        return self.builder.load(self._at(name, place, self.real), typ=kind, align=self.form.dtype.itemsize)

    def _store(self, value: Any, name: str, place: Any) -> None:
        self.builder.store(value, self._at(name, place, self.real), align=self.form.dtype.itemsize)

    def _in(self, room: Any, number: int) -> Any:
        return self.builder.gep(room, [INTEGER(number * self.form.lanes)], inbounds=True, source_etype=self.real)

    def _store_some(self, values: Sequence[Any], name: str, place: Any, many: Any) -> None:
        """Store the first ``many`` numbers of a slab's row."""
        b = self.builder
        room = self.room(self.form.width)
        for number, value in enumerate(values):
            b.store(value, self._in(room, number), align=BYTES)
        with loop(b, INTEGER(0), many, "some") as o:
            value = b.load(b.gep(room, [o], inbounds=True, source_etype=self.real), typ=self.real)
            b.store(value, self._at(name, b.add(place, o), self.real))

    def _load_some(self, name: str, place: Any, many: Any, room: Any) -> None:
        """Load the first ``many`` numbers of a slab's row, with zeros behind them."""
        b = self.builder
        for number in range(self.form.vectors):
            b.store(self.splat(0.0), self._in(room, number), align=BYTES)
        with loop(b, INTEGER(0), many, "some") as o:
            value = self._load(name, b.add(place, o), self.real)
            b.store(value, b.gep(room, [o], inbounds=True, source_etype=self.real))
