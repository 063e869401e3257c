"""Kernels of convolutions of spikes, written with LLVM's builder.

The events of a sample are listed pixel after pixel, and of a pixel channel after channel: the number of an event is
pixel · channels + channel. What an output pixel sees in one row of the input then lies together in the list, and its
place in the packed weight, [slab, (row, column, channel) of the kernel, width], is the number less that of the first
pixel which the output pixel could see there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from llvmlite import ir

from litspike.engine.cpu.builder import INTEGER, least, loop
from litspike.engine.events.writer import EventWriter

_START = ir.IntType(32)


class ConvolutionWriter(EventWriter):
    """Writes one kernel. In all of them x is what the spikes are in, [samples, inputs, high, wide]."""

    def find(self, unit: Any) -> None:
        """List a sample's events; ``other[unit]`` counts values that are not 1.

        Two places of ``starts`` are more than there are pixels. A pixel's events are counted two places behind its own,
        so that, summed up, the place behind its own says where its next one goes, and in the end where they end.
        """
        b, given, one = self.builder, self.given, _START(1)
        area = given["area"]
        starts = b.mul(unit, b.add(area, INTEGER(2)))
        begin, listed = (b.mul(b.mul(unit, given["inputs"]), area) for _ in range(2))
        other = self.slot(INTEGER, INTEGER(0))

        def place(p: Any) -> Any:
            return self._at("starts", b.add(starts, p), _START)

        def each(write: Callable[[Any, Any], None], other: Any) -> None:
            with loop(b, INTEGER(0), given["inputs"], "channel") as c:
                first = b.add(begin, b.mul(c, area))
                self.each_nonzero(given["x"], first, area, lambda p: write(p, c), other)

        def count(p: Any, c: Any) -> None:
            at = place(b.add(p, INTEGER(2)))
            b.store(b.add(b.load(at, typ=_START), one), at)

        def append(p: Any, c: Any) -> None:
            at = place(b.add(p, INTEGER(1)))
            free = b.load(at, typ=_START)
            number = b.trunc(b.add(b.mul(p, given["inputs"]), c), self.index)
            b.store(number, self._at("indices", b.add(listed, b.zext(free, INTEGER)), self.index))
            b.store(b.add(free, one), at)

        with loop(b, INTEGER(0), b.add(area, INTEGER(2)), "clear") as p:
            b.store(_START(0), place(p))
        each(count, other)
        with loop(b, INTEGER(0), area, "sum") as p:
            at = place(b.add(p, INTEGER(2)))
            b.store(b.add(b.load(at, typ=_START), b.load(place(b.add(p, INTEGER(1))), typ=_START)), at)
        each(append, None)
        last = b.zext(b.load(place(area), typ=_START), INTEGER)
        b.store(b.add(listed, last), self._at("ends", unit, INTEGER))
        b.store(b.load(other, typ=INTEGER), self._at("other", unit, INTEGER))

    def convolve(self, unit: Any) -> None:
        """A slab of the outputs of a sample: each sums its events in the order of kernel row, column and channel."""
        b, given, form = self.builder, self.given, self.form
        slab, sample = b.udiv(unit, given["samples"]), b.urem(unit, given["samples"])
        output = b.mul(slab, INTEGER(form.width))
        bias = [self.load(given["bias"], b.add(output, offset)) for offset in self.offsets(form.vectors)]
        square = self.room(form.lanes * form.width)
        with self._squares() as (first, left):
            with self._pixels(first, left) as (at, i, j):
                slots = [self.slot(self.vector, start) for start in bias]
                with self._seen(sample, slab, i, j) as (event, stop, shift):
                    before = [b.load(slot, typ=self.vector) for slot in slots]
                    sums = self.accumulated(before, event, stop, lambda event, sums: self._sums(
                        sums, self._packed(*self._event(event, sample, shift))
                    ))  # fmt: skip
                    for slot, total in zip(slots, sums, strict=True):
                        b.store(total, slot)
                for offset, slot in zip(self.offsets(form.vectors), slots, strict=True):
                    self.store(b.load(slot, typ=self.vector), square, b.add(at, offset))
            self._write_square(square, sample, slab, first, left)

    def convolve_outer(self, unit: Any) -> None:
        """A slab of the gradient of the weight over some of the samples, laid out as the packed weight is."""
        b, given, form = self.builder, self.given, self.form
        slab, part = b.udiv(unit, given["parts"]), b.urem(unit, given["parts"])
        size = b.mul(self._depth(), INTEGER(form.width))
        slabs = b.udiv(b.add(given["outputs"], INTEGER(form.width - 1)), INTEGER(form.width))
        here = b.add(b.mul(part, slabs), slab)
        self._clear(b.mul(here, size), size)
        each = b.udiv(b.add(given["samples"], b.sub(given["parts"], INTEGER(1))), given["parts"])
        start = b.mul(part, each)
        square = self.room(form.lanes * form.width)
        with (
            loop(b, start, least(b, b.add(start, each), given["samples"]), "sample") as sample,
            self._squares() as (pixel, left),
        ):
            self._read_square(square, sample, slab, pixel, left)
            with self._pixels(pixel, left) as (at, i, j):
                grads = [self.load(square, b.add(at, offset)) for offset in self.offsets(form.vectors)]
                with self._seen(sample, here, i, j) as (first, stop, shift), loop(b, first, stop, "event") as event:
                    place, value = self._event(event, sample, shift)
                    self._add_to_packed(place, grads, value)

    def _depth(self) -> Any:
        """Numbers of the kernel of one output: rows, columns and channels."""
        b, given = self.builder, self.given
        return b.mul(b.mul(given["high_kernel"], given["wide_kernel"]), given["inputs"])

    def _area(self) -> Any:
        return self.builder.mul(self.given["high_out"], self.given["wide_out"])

    @contextmanager
    def _squares(self) -> Iterator[tuple[Any, Any]]:
        """As many output pixels at a time as a vector has numbers: the first, and how many are left."""
        b, lanes, area = self.builder, INTEGER(self.form.lanes), self._area()
        with loop(b, INTEGER(0), b.udiv(b.add(area, b.sub(lanes, INTEGER(1))), lanes), "square") as number:
            first = b.mul(number, lanes)
            yield first, b.sub(area, first)

    @contextmanager
    def _pixels(self, first: Any, left: Any) -> Iterator[tuple[Any, Any, Any]]:
        """Each pixel of a square: where its outputs are in the square, its row and its column."""
        b, wide = self.builder, self.given["wide_out"]
        with loop(b, INTEGER(0), least(b, left, INTEGER(self.form.lanes)), "pixel") as k:
            pixel = b.add(first, k)
            yield b.mul(k, INTEGER(self.form.width)), b.udiv(pixel, wide), b.urem(pixel, wide)

    @contextmanager
    def _seen(self, sample: Any, slab: Any, i: Any, j: Any) -> Iterator[tuple[Any, Any, Any]]:
        """For each row that an output pixel sees: its first event, where they end, and what a number is less by."""
        b, given = self.builder, self.given
        listed = self._integer("firsts", sample)
        starts = b.mul(sample, b.add(b.mul(given["high"], given["wide"]), INTEGER(2)))
        left = b.sub(b.mul(j, given["wide_stride"]), given["wide_padding"])
        begin = b.select(b.icmp_signed("<", left, INTEGER(0)), INTEGER(0), left)
        end = least(b, b.add(left, given["wide_kernel"]), given["wide"])
        with loop(b, INTEGER(0), given["high_kernel"], "kernel_row") as k:
            row = b.add(b.sub(b.mul(i, given["high_stride"]), given["high_padding"]), k)
            inside = b.and_(b.icmp_signed(">=", row, INTEGER(0)), b.icmp_signed("<", row, given["high"]))
            with b.if_then(b.and_(inside, b.icmp_signed("<", begin, end))):
                pixel = b.mul(row, given["wide"])
                places = [b.add(b.add(starts, pixel), column) for column in (begin, end)]
                first, stop = (self._integer("starts", p, _START) for p in places)
                shift = b.mul(b.sub(b.add(pixel, left), b.mul(k, given["wide_kernel"])), given["inputs"])
                shift = b.sub(shift, b.mul(slab, self._depth()))
                yield b.add(listed, first), b.add(listed, stop), shift

    def _event(self, event: Any, sample: Any, shift: Any) -> tuple[Any, Any]:
        """Where an event's row of the packed weight begins, and its value where that may be other than 1."""
        b, given = self.builder, self.given
        number = self._integer("indices", event, self.index)
        place = b.mul(b.sub(number, shift), INTEGER(self.form.width))
        if not self.form.valued:
            return place, None
        area, channels = b.mul(given["high"], given["wide"]), given["inputs"]
        channel = b.add(b.mul(sample, channels), b.urem(number, channels))
        return place, self.spread(self.one(given["x"], b.add(b.mul(channel, area), b.udiv(number, channels))))

    def _write_square(self, square: Any, sample: Any, slab: Any, first: Any, left: Any) -> None:
        """Copy the outputs of some pixels, [pixels, width], to y, which has each channel's apart."""
        room = self.room(self.form.lanes)
        for pixels, channels in self._vectors(slab):
            turned = self.transposed([self.load(square, pixel) for pixel in pixels])
            for numbers, channel in zip(turned, channels, strict=True):
                with self._channel(channel, sample, first) as place:
                    self.store_row([numbers], self.given["y"], place, left, room)

    def _read_square(self, square: Any, sample: Any, slab: Any, first: Any, left: Any) -> None:
        """Copy the gradients of some pixels' outputs, with zeros for channels beyond the last."""
        b, room = self.builder, self.room(self.form.lanes)
        for pixels, channels in self._vectors(slab):
            found = [self.slot(self.vector, self.splat(0.0)) for _ in channels]
            for slot, channel in zip(found, channels, strict=True):
                with self._channel(channel, sample, first) as place:
                    b.store(self.load_row(1, self.given["grad"], place, left, room)[0], slot)
            turned = self.transposed([b.load(slot, typ=self.vector) for slot in found])
            for numbers, pixel in zip(turned, pixels, strict=True):
                self.store(numbers, square, pixel)

    def _vectors(self, slab: Any) -> Iterator[tuple[list[Any], list[Any]]]:
        """For each vector of a slab's outputs: where it is in a square for each pixel, and the channels of it."""
        b, form = self.builder, self.form
        for offset in self.offsets(form.vectors):
            channel = b.add(b.mul(slab, INTEGER(form.width)), offset)
            pixels = [b.add(INTEGER(k * form.width), offset) for k in range(form.lanes)]
            yield pixels, [b.add(channel, INTEGER(k)) for k in range(form.lanes)]

    @contextmanager
    def _channel(self, channel: Any, sample: Any, pixel: Any) -> Iterator[Any]:
        """What happens where there is such a channel: the place of its pixel."""
        b, outputs = self.builder, self.given["outputs"]
        with b.if_then(b.icmp_signed("<", channel, outputs)):
            yield b.add(b.mul(b.add(b.mul(sample, outputs), channel), self._area()), pixel)
