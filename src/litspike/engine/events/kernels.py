"""The kernels of products with spikes: what they are made for, what they take, and how one is run."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from struct import Struct
from typing import NamedTuple

import torch

from litspike.engine.cpu.memory import VECTOR
from litspike.engine.cpu.openmp import Function, run_blocks


class Form(NamedTuple):
    """What a kernel is made for.

    Args:
        dtype: float32 or float64.
        vectors: of which a slab is made.
        valued: whether an event has a value other than 1, which is read from the row it stands in.
        bits: of an event's index.
    """

    dtype: torch.dtype
    vectors: int = 4
    valued: bool = False
    bits: int = 16

    @property
    def lanes(self) -> int:
        """Numbers in a vector."""
        return VECTOR // self.dtype.itemsize

    @property
    def width(self) -> int:
        """Outputs of a slab."""
        return self.vectors * self.lanes


FIELDS = {
    "lists": ("x", "rows", "inputs", "per_unit", "indices", "begins", "ends", "other"),
    "join": ("indices", "begins", "ends", "rows", "per_unit", "starts", "joined"),
    "pack": ("weight", "inputs", "outputs", "packed"),
    "unpack": ("weight", "inputs", "outputs", "packed"),
    "product": ("x", "rows", "inputs", "outputs", "per_unit", "indices", "begins", "ends", "packed", "bias", "y"),
    "outer": ("x", "rows", "inputs", "outputs", "per_unit", "indices", "begins", "ends", "packed", "grad", "parts"),
    "sampled": (
        *("places", "stride", "per_step", "rows", "inputs", "outputs", "per_unit"),
        *("columns", "weight", "grad", "dx"),
    ),
}
"""The arguments of each kernel in order, of 8 bytes each; see :class:`~litspike.engine.events.codegen.Writer`."""
WHOLE = frozenset({"rows", "inputs", "outputs", "per_unit", "parts", "stride", "per_step"})
"""Those that are integers; the others are addresses."""
_PACK = {name: Struct("q" * len(fields)).pack for name, fields in FIELDS.items()}


@cache
def available() -> bool:
    """Whether what compiles them is installed."""
    return find_spec("llvmlite") is not None


def run(name: str, form: Form, units: int, work: int, *arguments: int) -> None:
    """Run a kernel over all its units, on several threads where ``work`` additions are enough."""
    run_blocks(_function(name, form), _PACK[name](*arguments), units, work)


@cache
def _function(name: str, form: Form) -> Function:
    from litspike.engine.cpu.jit import load
    from litspike.engine.events.codegen import Writer  # llvmlite takes a while to import
    from litspike.engine.events.sampled import SampledWriter

    writer = SampledWriter(form) if name == "sampled" else Writer(form)
    return Function.at(load(writer.text(name), [name])[0])
