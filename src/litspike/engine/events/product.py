"""Products of spikes with a matrix that cost what the spikes are: time follows the events, and so does memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from litspike.engine.cpu.memory import address, fresh
from litspike.engine.events.form import Form
from litspike.engine.events.kernels import run

ROWS = 64
"""Rows that are listed together, and taken together in a product."""
PARTS = 4
"""Parts of the rows in the product of a gradient with spikes, where the outputs make few slabs."""


class Events(NamedTuple):
    """What is not zero in spikes [rows, inputs], as lists.

    Args:
        shape: rows and inputs.
        indices: of the inputs, those of a row after those of the row before, in ascending order; 16 or 32 bits each.
        starts: where each row's begin, and where the last row's end, [rows + 1].
        values: the spikes themselves where some of them have a value other than 1, else None.
    """

    shape: tuple[int, int]
    indices: Tensor
    starts: Tensor
    values: Tensor | None

    @property
    def total(self) -> int:
        """Number of events."""
        return len(self.indices)

    @property
    def places(self) -> tuple[int, ...]:
        """Addresses of the indices, and of where each row's begin and end."""
        starts = self.starts.data_ptr()
        return self.indices.data_ptr(), starts, starts + self.starts.element_size()


def events(spikes: Tensor) -> Events:
    """List what is not zero.

    Args:
        spikes: contiguous, [rows, inputs], float32 or float64, on the CPU.
    """
    rows, inputs = spikes.shape
    form = Form(spikes.dtype, bits=16 if inputs <= 1 << 16 else 32)
    whole = torch.empty(0, dtype=torch.int16 if form.bits == 16 else torch.int32)
    room = fresh(whole, rows * inputs)  # each unit begins at its first row's place and writes what it needs
    begins, ends = torch.empty(2, rows, dtype=torch.int64)
    units = -(-rows // ROWS)
    other = torch.empty(units, dtype=torch.int64)
    places = [tensor.data_ptr() for tensor in (room, begins, ends)]
    run("lists", form, units, rows * inputs, spikes.data_ptr(), rows, inputs, ROWS, *places, other.data_ptr())
    starts, indices = joined(room, begins, ends, ROWS, form)
    return Events((rows, inputs), indices, starts, spikes if bool(other.any()) else None)


def dense(spikes: Events, dtype: torch.dtype) -> Tensor:
    """The spikes [rows, inputs] of which the events are."""
    if spikes.values is not None:
        return spikes.values
    rows, _ = spikes.shape
    indices = spikes.indices.to(torch.int64) & ((1 << 8 * spikes.indices.element_size()) - 1)
    result = torch.zeros(spikes.shape, dtype=dtype)
    result[torch.arange(rows).repeat_interleave(spikes.starts.diff()), indices] = 1
    return result


def joined(room: Tensor, begins: Tensor, ends: Tensor, per_unit: int, form: Form) -> tuple[Tensor, Tensor]:
    """Where the indices of each row begin, and where the last row's end, and these one after another.

    Args:
        room: where the indices are, those of ``per_unit`` rows together.
        begins: where those of each row begin there.
        ends: where they end.
        per_unit: rows that are copied together.
        form: of the kernels.
    """
    rows = len(begins)
    starts = torch.zeros(rows + 1, dtype=torch.int64)
    torch.cumsum(ends - begins, 0, out=starts[1:])
    total = int(starts[-1])
    result = room.new_empty(total)
    places = [tensor.data_ptr() for tensor in (room, begins, ends)]
    units = -(-rows // per_unit)
    run("join", form, units, total, *places, rows, per_unit, starts.data_ptr(), result.data_ptr())
    return starts, result


def packed(weight: Tensor, vectors: int | None = None) -> Tensor:
    """A contiguous weight [outputs, inputs] as the products read it: [slabs, inputs, width].

    Args:
        weight: float32 or float64.
        vectors: of a slab; what suits the number of outputs where None.
    """
    outputs, inputs = weight.shape
    form = Form.fitting(weight.dtype, outputs, 2) if vectors is None else Form(weight.dtype, vectors)
    slabs = -(-outputs // form.width)
    room = fresh(weight, slabs, inputs, form.width)
    run("pack", form, slabs, weight.numel(), weight.data_ptr(), inputs, outputs, room.data_ptr())
    return room


def product(
    spikes: Events, weight: Tensor, outputs: int, bias: Tensor | None = None, before: Sequence[int] | None = None
) -> Tensor:
    """spikes · weightᵀ + bias, [rows, outputs]: each output is the bias plus its events in the order of their index.

    Args:
        spikes: [rows, inputs].
        weight: as :func:`packed` makes it.
        outputs: of the weight before it was packed.
        bias: [outputs]; zeros where None.
        before: the dimensions that stand for the rows in the result; [rows] where None.
    """
    rows, inputs = spikes.shape
    start = padded(bias, weight)
    y = fresh(weight, *([rows] if before is None else before), outputs)
    form = Form.fitting(weight.dtype, outputs, 2, spikes.indices, spikes.values)
    places = (*spikes.places, weight.data_ptr(), start.data_ptr(), y.data_ptr())
    units = len(weight) * -(-rows // ROWS)
    run("product", form, units, spikes.total * outputs, address(spikes.values), rows, inputs, outputs, ROWS, *places)
    return y


def padded(bias: Tensor | None, packed_weight: Tensor) -> Tensor:
    """A bias with zeros behind it up to the end of the last slab of a weight."""
    start = packed_weight.new_zeros(packed_weight.shape[0] * packed_weight.shape[-1])
    if bias is not None:
        start[: len(bias)] = bias
    return start


def weight_gradient(spikes: Events, grad: Tensor) -> Tensor:
    """gradᵀ · spikes, [outputs, inputs], for a contiguous gradient [rows, outputs].

    Each entry is summed over the rows in order, in parts whose number follows from the sizes alone.
    """
    rows, inputs = spikes.shape
    outputs = grad.shape[1]
    form = Form.fitting(grad.dtype, outputs, 2, spikes.indices, spikes.values)
    room = room_for_parts(grad, rows // ROWS, outputs, inputs, form)
    parts, slabs, *_ = room.shape
    each = max(-(-rows // parts), 1)
    places = (*spikes.places, room.data_ptr(), grad.data_ptr(), parts)
    work = spikes.total * outputs
    run("outer", form, slabs * parts, work, address(spikes.values), rows, inputs, outputs, each, *places)
    return unpacked(room, outputs)


def room_for_parts(like: Tensor, most: int, outputs: int, inputs: int, form: Form) -> Tensor:
    """Room for the gradient of a weight in slabs, once for each part of what it is summed over, ``most`` at most."""
    slabs = -(-outputs // form.width)
    return fresh(like, min(PARTS if slabs < PARTS else 1, max(most, 1)), slabs, inputs, form.width)


def unpacked(parts: Tensor, outputs: int) -> Tensor:
    """The matrix [outputs, inputs] whose parts [parts, slabs, inputs, width] are laid out as :func:`packed` does."""
    slabs = parts.sum(0) if len(parts) > 1 else parts[0]
    many, inputs, width = slabs.shape
    result = fresh(slabs, outputs, inputs)
    form = Form(slabs.dtype)
    form = form._replace(vectors=width // form.lanes)
    run("unpack", form, many, result.numel(), result.data_ptr(), inputs, outputs, slabs.data_ptr())
    return result
