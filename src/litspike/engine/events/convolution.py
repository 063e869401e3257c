"""Convolutions of spikes, and the gradient of their weight, that cost what the events are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from litspike.engine.cpu.memory import address, fresh
from litspike.engine.events.form import Form
from litspike.engine.events.kernels import run
from litspike.engine.events.product import Events, dense, joined, packed, padded, room_for_parts, unpacked


class PixelEvents(NamedTuple):
    """What is not zero in spikes [samples, channels, height, width], as lists.

    Args:
        shape: of the spikes.
        indices: pixel · channels + channel, sample after sample, in ascending order; 16 or 32 bits each.
        firsts: where each sample's begin, and where the last one's end, [samples + 1].
        starts: where each pixel's begin among those of its sample, [samples, pixels + 2].
        values: the spikes themselves where some of them have a value other than 1, else None.
    """

    shape: tuple[int, int, int, int]
    indices: Tensor
    firsts: Tensor
    starts: Tensor
    values: Tensor | None

    @property
    def places(self) -> tuple[int, ...]:
        """Addresses of values, indices, and of where each sample's and each pixel's begin."""
        return address(self.values), *(each.data_ptr() for each in (self.indices, self.firsts, self.starts))

    def dense(self, dtype: torch.dtype) -> Tensor:
        """The spikes of which the events are."""
        if self.values is not None:
            return self.values
        samples, channels, high, wide = self.shape
        rows = Events((samples, high * wide * channels), self.indices, self.firsts, None)
        return dense(rows, dtype).view(samples, high, wide, channels).permute(0, 3, 1, 2)


class Convolution(NamedTuple):
    """How a kernel goes over its input: strides and paddings, vertical and horizontal."""

    strides: tuple[int, int]
    paddings: tuple[int, int]

    def sizes(self, shape: Sequence[int], weight: Sequence[int]) -> tuple[int, ...]:
        """What the kernels take as ``SIZES``, for spikes and a weight of these shapes."""
        _, inputs, *area = shape
        outputs, _, *kernel = weight
        out = [
            (size + 2 * padding - extent) // stride + 1
            for size, padding, extent, stride in zip(area, self.paddings, kernel, self.strides, strict=True)
        ]
        return (inputs, *area, outputs, *out, *kernel, *self.strides, *self.paddings)


def pixel_events(spikes: Tensor) -> PixelEvents:
    """List what is not zero.

    Args:
        spikes: contiguous, [samples, channels, height, width], float32 or float64, on the CPU.
    """
    samples, channels, high, wide = spikes.shape
    area, size = high * wide, channels * high * wide
    form = Form(spikes.dtype, bits=16 if size <= 1 << 16 else 32)
    room = fresh(torch.empty(0, dtype=torch.int16 if form.bits == 16 else torch.int32), samples * size)
    starts = torch.empty(samples, area + 2, dtype=torch.int32)
    ends, other = torch.empty(2, samples, dtype=torch.int64)
    run(
        "find", form, samples, spikes.numel(), spikes.data_ptr(), channels, area, room.data_ptr(), starts.data_ptr(),
        ends.data_ptr(), other.data_ptr(),
    )  # fmt: skip
    firsts, indices = joined(room, torch.arange(samples) * size, ends, 1, form)
    shape = (samples, channels, high, wide)
    return PixelEvents(shape, indices, firsts, starts, spikes if bool(other.any()) else None)


def convolve(spikes: PixelEvents, weight: Tensor, bias: Tensor | None, how: Convolution) -> Tensor:
    """The convolution: each output is the bias plus its events in the order of kernel row, column and channel."""
    outputs, samples = len(weight), spikes.shape[0]
    flat = weight.permute(0, 2, 3, 1).reshape(outputs, -1).contiguous()
    form = Form.fitting(weight.dtype, outputs, 1, spikes.indices, spikes.values)
    slabs = packed(flat, form.vectors)
    start = padded(bias, slabs)
    sizes = how.sizes(spikes.shape, weight.shape)
    y = fresh(weight, samples, outputs, *sizes[4:6])
    places = (*sizes, *spikes.places, slabs.data_ptr(), samples, start.data_ptr(), y.data_ptr())
    run("convolve", form, len(slabs) * samples, y.numel() * 16, *places)
    return y


def convolved_weight_gradient(spikes: PixelEvents, grad: Tensor, weight: Sequence[int], how: Convolution) -> Tensor:
    """The gradient of a weight of this shape, from the contiguous gradient of the output.

    Each entry is summed over samples and pixels in order, in parts whose number follows from the sizes alone.
    """
    outputs, inputs, *kernel = weight
    samples, depth = spikes.shape[0], inputs * kernel[0] * kernel[1]
    form = Form.fitting(grad.dtype, outputs, 1, spikes.indices, spikes.values)
    room = room_for_parts(grad, samples, outputs, depth, form)
    parts, slabs, *_ = room.shape
    places = (*how.sizes(spikes.shape, weight), *spikes.places, room.data_ptr(), samples, parts, grad.data_ptr())
    run("convolve_outer", form, slabs * parts, grad.numel() * 16, *places)
    flat = unpacked(room, outputs)
    return flat.view(outputs, *kernel, inputs).permute(0, 3, 1, 2).contiguous()
