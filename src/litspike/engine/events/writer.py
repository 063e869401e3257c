"""What the writers of kernels of products with spikes have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir

from litspike.engine.cpu.builder import INTEGER, POINTER, Vectors, loop
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
        self._function(name, FIELDS[name], getattr(self, name))
        return str(self.module)

    def _function(self, name: str, fields: Sequence[str], write: Callable[[Any], None]) -> None:
        kind = ir.FunctionType(ir.VoidType(), [POINTER, INTEGER, INTEGER])
        function = ir.Function(self.module, kind, name)
        function.attributes.add("nounwind")
        packed, first, last = function.args
        self.builder = builder = ir.IRBuilder(function.append_basic_block("entry"))
        for number, field in enumerate(fields):
            place = builder.gep(packed, [INTEGER(number)], source_etype=INTEGER)
            self.given[field] = builder.load(place, field, typ=INTEGER if field in WHOLE else POINTER)
        with loop(builder, first, last, "unit") as unit:
            write(unit)
        builder.ret_void()

    def _at(self, name: str, place: Any, kind: Any) -> Any:
        return self.pointer(self.given[name], place, kind)
