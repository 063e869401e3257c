"""From events to counts: which step and which pixel each event falls into."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from litspike.settings import SettingError, UserError, integer, number

CELL = np.dtype([("index", "<u4"), ("count", "<u4")])
"""What is stored of a recording: the flat index into [T, *] of each cell that holds events, and how many it holds."""

Cells = np.ndarray[Any, np.dtype[np.void]]


class Events(NamedTuple):
    """The events of one recording, M of them.

    Args:
        time: [M], whole µs since the recording's start.
        place: one array [M] for each dimension of the sensor, such as polarity, row and column.
    """

    time: NDArray[np.int64]
    place: tuple[NDArray[np.int64], ...]


@dataclass(frozen=True)
class Sensor:
    """Where events come from: its shape, of which the last ``spatial`` dimensions may be seen more coarsely."""

    shape: tuple[int, ...]
    spatial: int

    def coarser(self, factor: int) -> tuple[int, ...]:
        """The shape after down-sampling; a border narrower than ``factor`` keeps a pixel of its own."""
        fixed = len(self.shape) - self.spatial
        return (*self.shape[:fixed], *(-(-size // factor) for size in self.shape[fixed:]))


class Binning:
    """Counts events in T steps and in coarser pixels: ``x[k, …, i] = #{events: k-th bin, pixel // downsample = i}``.

    Args:
        sensor: what recorded the events.
        steps: T. A longer recording is cut after T bins, a shorter one padded with bins that hold nothing.
        bin: width of a bin in ms, rounded to whole µs; None: T equal bins that span the recording, whatever its length.
        downsample: side of the square of pixels (for one row of units: number of neighbours) that are summed.

    Raises:
        SettingError: if ``steps`` or ``downsample`` is below 1, ``bin`` below 0.001 ms, or x too large to be indexed.
    """

    def __init__(self, sensor: Sensor, steps: int, bin: float | None, downsample: int) -> None:
        self.sensor, self.steps = sensor, integer("steps", steps)
        self.downsample = integer("downsample", downsample)
        self.width = None if bin is None else round(number("bin", bin, "[0.001, inf)") * 1000)
        self.shape = (self.steps, *sensor.coarser(self.downsample))
        if math.prod(self.shape) > 2**32:
            raise SettingError(
                "steps", steps, f"makes samples of {math.prod(self.shape)} numbers; at most 2³² are allowed"
            )

    def __call__(self, events: Events) -> Cells:
        """The cells of one recording that hold events, by rising index.

        Raises:
            UserError: if an event lies before the start or outside the sensor.
        """
        if len(events.time) == 0:
            return np.empty(0, CELL)
        for size, place in zip(self.sensor.shape, events.place, strict=True):
            if place.min() < 0 or place.max() >= size:
                raise UserError(f"an event at {place.min()} or {place.max()} lies outside the sensor's 0 to {size - 1}")
        if events.time.min() < 0:
            raise UserError(f"an event at {events.time.min()} µs lies before the recording's start")
        step = self._steps(events.time)
        inside = step < self.steps
        fixed = len(self.sensor.shape) - self.sensor.spatial
        coarse = [axis if i < fixed else axis // self.downsample for i, axis in enumerate(events.place)]
        flat = np.ravel_multi_index([step[inside], *(axis[inside] for axis in coarse)], self.shape)
        index, count = np.unique(flat, return_counts=True)
        cells = np.empty(len(index), CELL)
        cells["index"], cells["count"] = index, count
        return cells

    def _steps(self, time: NDArray[np.int64]) -> NDArray[np.int64]:
        if self.width is not None:
            return time // self.width
        return time * self.steps // (int(time.max()) + 1)

    def settings(self) -> dict[str, object]:
        """All that the cells depend on besides the events, for the name of the cache."""
        sensor = {"shape": self.sensor.shape, "spatial": self.sensor.spatial}
        return {"sensor": sensor, "steps": self.steps, "width": self.width, "downsample": self.downsample}
