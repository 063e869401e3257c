"""How a kernel of products with spikes is found and run."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from struct import Struct
from typing import TYPE_CHECKING

from litspike.engine.cpu.openmp import Function, run_blocks
from litspike.engine.events.form import FIELDS, Form

if TYPE_CHECKING:
    from litspike.engine.events.writer import EventWriter

_PACK = {name: Struct("q" * len(fields)).pack for name, fields in FIELDS.items()}


@cache
def available() -> bool:
    """Whether what compiles them is installed."""
    return find_spec("llvmlite") is not None


def prepared(name: str, form: Form, *arguments: int) -> tuple[Function, bytes]:
    """A kernel and its arguments, to be called later."""
    return _function(name, form), _PACK[name](*arguments)


def run(name: str, form: Form, units: int, work: int, *arguments: int) -> None:
    """Run a kernel over all its units, on several threads where ``work`` additions are enough."""
    run_blocks(*prepared(name, form, *arguments), units, work)


def writer_of(name: str, form: Form) -> EventWriter:
    """What writes a kernel."""
    from litspike.engine.events.codegen import Writer  # llvmlite takes a while to import
    from litspike.engine.events.convolver import ConvolutionWriter
    from litspike.engine.events.sampled import SampledWriter

    writers = {"sampled": SampledWriter, **dict.fromkeys(("find", "convolve", "convolve_outer"), ConvolutionWriter)}
    return writers.get(name, Writer)(form)


@cache
def _function(name: str, form: Form) -> Function:
    from litspike.engine.cpu.jit import load

    return Function.at(load(writer_of(name, form).text(name), [name])[0])
