"""The product of a gradient with a weight at some places alone: those where it is not multiplied by zero afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir

from litspike.engine.cpu.builder import INTEGER, Vectors, least, loop
from litspike.engine.events.form import Form
from litspike.engine.events.writer import EventWriter

_TOGETHER = (4, 2, 1)
"""Rows that share one reading of the weight: as many as there are left."""
_SUMS = 2
"""Vectors of sums of one place, so that an addition needn't wait for the one before."""
_CHUNK = 32
"""Places whose bits are read together."""


class SampledWriter(EventWriter):
    """Writes ``dx = grad · weight`` at the places whose bit is set, 0 elsewhere; the weight is [inputs, outputs].

    The bits of a step of M numbers begin at a multiple of ``stride`` bytes, and hold ``per_step`` rows. A unit is up to
    64 rows, whose gradients stay in the second-level cache: their bits are turned, so that each input has its rows.
    """

    @classmethod
    def inside(cls, vectors: Vectors, given: dict[str, Any]) -> SampledWriter:
        """One that writes into a function that somebody else writes."""
        writer = cls(Form(vectors.dtype))
        writer.module, writer.builder, writer.given = vectors.module, vectors.builder, given
        return writer

    def sampled(self, unit: Any) -> None:
        """One unit."""
        b, given = self.builder, self.given
        first = b.mul(unit, given["per_unit"])
        stop = least(b, b.add(first, given["per_unit"]), given["rows"])
        self.rows(first, stop, b.mul(unit, given["inputs"]))

    def rows(self, first: Any, stop: Any, columns: Any) -> None:
        """Some rows, 64 at most; ``columns`` is the first of a place for each input."""
        b, given = self.builder, self.given
        with loop(b, INTEGER(0), given["inputs"], "clear") as j:
            b.store(INTEGER(0), self._at("columns", b.add(columns, j), INTEGER))
        with loop(b, first, stop, "row") as row:
            dx = b.mul(row, given["inputs"])
            with loop(b, INTEGER(0), given["inputs"], "zero") as j:
                b.store(ir.Constant(self.real, 0.0), self._at("dx", b.add(dx, j), self.real))
            self._turn(row, b.shl(INTEGER(1), b.sub(row, first)), columns)
        with loop(b, INTEGER(0), given["inputs"], "j") as j:
            left = self.slot(INTEGER, b.load(self._at("columns", b.add(columns, j), INTEGER), typ=INTEGER))
            count = b.ctpop(b.load(left, typ=INTEGER))
            for many in _TOGETHER:
                with loop(b, INTEGER(0), b.udiv(count, INTEGER(many)), f"by{many}"):
                    self._places([self._next(left, first) for _ in range(many)], j)
                count = b.urem(count, INTEGER(many))

    def _turn(self, row: Any, bit: Any, columns: Any) -> None:
        """Set a row's bit in the columns of all its places."""
        b, given = self.builder, self.given
        chunk = ir.IntType(_CHUNK)
        byte = ir.IntType(8)
        step, within = b.udiv(row, given["per_step"]), b.urem(row, given["per_step"])
        start = b.mul(within, given["inputs"])
        base = b.mul(step, given["stride"])

        def mark(j: Any) -> None:
            place = self._at("columns", b.add(columns, j), INTEGER)
            b.store(b.or_(b.load(place, typ=INTEGER), bit), place)

        chunks = b.udiv(b.add(given["inputs"], INTEGER(_CHUNK - 1)), INTEGER(_CHUNK))
        with loop(b, INTEGER(0), chunks, "chunk") as number:
            j = b.mul(number, INTEGER(_CHUNK))
            at = b.add(start, j)
            word = b.load(self._at("places", b.add(base, b.lshr(at, INTEGER(3))), byte), typ=INTEGER, align=1)
            bits = b.trunc(b.lshr(word, b.and_(at, INTEGER(7))), chunk)
            beyond = b.sub(INTEGER(_CHUNK), least(b, b.sub(given["inputs"], j), INTEGER(_CHUNK)))
            bits = b.and_(bits, b.lshr(chunk(-1), b.trunc(beyond, chunk)))
            with b.if_then(b.icmp_unsigned("!=", bits, chunk(0))):
                self.each_bit(bits, lambda bit: mark(b.add(j, bit)))

    def _next(self, left: Any, first: Any) -> Any:
        """The row of the lowest bit that is left, which goes."""
        b = self.builder
        bits = b.load(left, typ=INTEGER)
        b.store(b.and_(bits, b.sub(bits, INTEGER(1))), left)
        return b.add(first, b.cttz(bits, ir.Constant(ir.IntType(1), 1)))

    def _places(self, rows: Sequence[Any], j: Any) -> None:
        """The sums of an input in some rows, each of the same vectors in the same order whatever the other rows."""
        b, outputs = self.builder, self.given["outputs"]
        lanes, step = self.form.lanes, INTEGER(_SUMS * self.form.lanes)
        weight, grads = b.mul(j, outputs), [b.mul(row, outputs) for row in rows]

        def add(sums: Sequence[Any], read: Any, o: Any) -> list[Any]:
            result = list(sums)
            for n in range(_SUMS):
                at = b.add(o, INTEGER(n * lanes))
                w = read(self.given["weight"], b.add(weight, at), at)
                for index, grad in enumerate(grads):
                    place = index * _SUMS + n
                    result[place] = self.fma(read(self.given["grad"], b.add(grad, at), at), w, result[place])
            return result

        def whole(number: Any, sums: Sequence[Any]) -> list[Any]:
            return add(sums, lambda array, place, at: self.load(array, place), b.mul(number, step))

        start = [self.splat(0.0)] * (len(rows) * _SUMS)
        many = b.udiv(outputs, step)
        sums = self.accumulated(start, INTEGER(0), many, whole)
        rest = b.mul(many, step)
        sums = add(sums, lambda array, place, at: self._load_inside(array, place, b.sub(outputs, at)), rest)
        for index, row in enumerate(rows):
            total = sums[index * _SUMS]
            for n in range(1, _SUMS):
                total = b.fadd(total, sums[index * _SUMS + n])
            place = b.add(b.mul(row, self.given["inputs"]), j)
            b.store(self.add_up(total), self._at("dx", place, self.real))

    def _load_inside(self, array: Any, place: Any, left: Any) -> Any:
        """A vector of which only the first numbers, those left, are read; zeros behind them."""
        b, lanes = self.builder, self.form.lanes
        numbers = ir.Constant(ir.VectorType(INTEGER, lanes), [INTEGER(n) for n in range(lanes)])
        undefined = ir.Constant(ir.VectorType(INTEGER, lanes), ir.Undefined)
        one = b.insert_element(undefined, left, ir.IntType(32)(0))
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), lanes), [ir.IntType(32)(0)] * lanes)
        inside = b.icmp_signed("<", numbers, b.shuffle_vector(one, undefined, zeros))
        kind = ir.FunctionType(self.vector, [ir.PointerType(), ir.IntType(32), inside.type, self.vector])
        function_name = f"llvm.masked.load.v{lanes}f{8 * self.dtype.itemsize}.p0"
        known = self.module.globals.get(function_name) or ir.Function(self.module, kind, function_name)
        align = ir.IntType(32)(self.dtype.itemsize)
        return b.call(known, [self.pointer(array, place), align, inside, self.splat(0.0)])
