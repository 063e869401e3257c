"""What the writers of kernels of products with spikes have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir

from litspike.engine.cpu.builder import INTEGER, POINTER, Vectors, each_unit, loop
from litspike.engine.events.form import FIELDS, WHOLE, Form


class EventWriter(Vectors):
    """Writes one kernel, whose arguments are ``given`` by their names."""

    def __init__(self, form: Form) -> None:
        super().__init__(ir.Module("events"), form.dtype)
        self.form = form
        self.index = ir.IntType(form.bits)
        self.given: dict[str, Any] = {}

    def text(self, name: str) -> str:
        """A module of LLVM's with the function ``NAME(arguments, first, last)``, which does units from first to last.

        What one unit does is written by the method of that name.
        """
        kinds = {field: INTEGER if field in WHOLE else POINTER for field in FIELDS[name]}
        with each_unit(self.module, name, kinds) as (self.builder, self.given, unit):
            getattr(self, name)(unit)
        return str(self.module)

    def _at(self, name: str, place: Any, kind: Any) -> Any:
        return self.pointer(self.given[name], place, kind)

    def _integer(self, name: str, place: Any, kind: Any = INTEGER) -> Any:
        """An element of an array of integers, in 64 bits."""
        value = self.builder.load(self._at(name, place, kind), typ=kind)
        return value if kind is INTEGER else self.builder.zext(value, INTEGER)

    def _clear(self, place: Any, size: Any) -> None:
        """Zeros in so many numbers of the packed array."""
        b, lanes = self.builder, INTEGER(self.form.lanes)
        with loop(b, INTEGER(0), b.udiv(size, lanes), "clear") as number:
            self.store(self.splat(0.0), self.given["packed"], b.add(place, b.mul(number, lanes)))

    def _packed(self, place: Any, value: Any) -> list[Any]:
        """The row of the packed array that begins at a place, times a value if there is one."""
        offsets = self.offsets(self.form.vectors)
        return self._times([self.load(self.given["packed"], self.builder.add(place, o)) for o in offsets], value)

    def _times(self, pieces: Sequence[Any], value: Any) -> list[Any]:
        return [piece if value is None else self.builder.fmul(piece, value) for piece in pieces]

    def _sums(self, sums: Sequence[Any], pieces: Sequence[Any]) -> list[Any]:
        return [self.builder.fadd(total, piece) for total, piece in zip(sums, pieces, strict=True)]

    def _add_to_packed(self, place: Any, pieces: Sequence[Any], value: Any) -> None:
        """Add vectors, times a value if there is one, to the row of the packed array that begins at a place."""
        b = self.builder
        for offset, piece in zip(self.offsets(self.form.vectors), self._times(pieces, value), strict=True):
            at = b.add(place, offset)
            self.store(b.fadd(self.load(self.given["packed"], at), piece), self.given["packed"], at)
