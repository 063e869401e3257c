"""What the kernels of products with spikes are made for, and the arguments that they take."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from litspike.engine.cpu.memory import VECTOR

LINE = 16
"""Numbers that are counted together: those of a line of the cache, or of two."""


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

    @classmethod
    def fitting(
        cls, dtype: torch.dtype, outputs: int, slabs: int, indices: Tensor | None = None, values: Tensor | None = None
    ) -> Form:
        """Slabs of four vectors, or of fewer where the outputs would not make so many ``slabs``.

        Args:
            dtype: float32 or float64.
            outputs: of the weight.
            slabs: 2 for a product, 1 for a convolution, whose samples are work enough for threads.
            indices: of the events, if any are read.
            values: of the events, if some are not 1.
        """
        bits = 16 if indices is None else 8 * indices.itemsize
        return _fitted(cls(dtype, valued=values is not None, bits=bits), outputs, slabs)

    @property
    def lanes(self) -> int:
        """Numbers in a vector."""
        return VECTOR // self.dtype.itemsize

    @property
    def width(self) -> int:
        """Outputs of a slab."""
        return self.vectors * self.lanes


@cache
def _fitted(form: Form, outputs: int, slabs: int) -> Form:
    while form.vectors > 1 and form.width * slabs > outputs:
        form = form._replace(vectors=form.vectors // 2)
    return form


SIZES = (
    *("inputs", "high", "wide", "outputs", "high_out", "wide_out"),
    *("high_kernel", "wide_kernel", "high_stride", "wide_stride", "high_padding", "wide_padding"),
)
"""What a convolution is: channels, height and width of input and output, then those of its kernel."""
_CONVOLUTION = (*SIZES, "x", "indices", "firsts", "starts", "packed")
FIELDS = {
    "count": ("x", "stride", "found"),
    "lists": ("x", "rows", "inputs", "per_unit", "indices", "begins", "ends", "other"),
    "join": ("indices", "begins", "ends", "rows", "per_unit", "starts", "joined"),
    "pack": ("weight", "inputs", "outputs", "packed"),
    "unpack": ("weight", "inputs", "outputs", "packed"),
    "product": ("x", "rows", "inputs", "outputs", "per_unit", "indices", "begins", "ends", "packed", "bias", "y"),
    "outer": ("x", "rows", "inputs", "outputs", "per_unit", "indices", "begins", "ends", "packed", "grad", "parts"),
    "find": ("x", "inputs", "area", "indices", "starts", "ends", "other"),
    "convolve": (*_CONVOLUTION, "samples", "bias", "y"),
    "convolve_outer": (*_CONVOLUTION, "samples", "parts", "grad"),
    "row": ("x", "inputs", "outputs", "weight", "start", "indices", "y"),
    "sampled": (
        *("places", "stride", "per_step", "rows", "inputs", "outputs", "per_unit"),
        *("columns", "weight", "grad", "dx"),
    ),
}
"""The arguments of each kernel in order, of 8 bytes each; see :class:`~litspike.engine.events.codegen.Writer`."""
WHOLE = frozenset({"rows", "per_unit", "parts", "stride", "per_step", "area", "samples", *SIZES})
"""Those that are integers; the others are addresses."""
