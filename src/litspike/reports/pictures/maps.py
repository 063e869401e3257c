"""Maps: images of several channels at their time steps, as input or as spikes of a layer."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from numpy.typing import NDArray

from litspike.reports.pictures.style import DPI, Array

WINDOWS = 8
"""The most maps beside each other; of a longer sequence each is the mean over some of its steps."""


def is_map(values: Array | NDArray[np.bool_]) -> bool:
    """Whether values [T, *] are images of some channels, [T, C, H, W]."""
    return values.ndim == 4 and min(values.shape[2:]) > 1


def draw_maps(
    axes: Axes, values: Array, channels: NDArray[np.intp], until: int, colours: str, ends: tuple[float, float]
) -> None:
    """Images [T, C, H, W] of some channels at their time steps, those of one step side by side.

    Args:
        axes: where; its left and right end become those of the steps.
        values: the images.
        channels: those that are drawn.
        until: the number of steps that are drawn.
        colours: name of the colour map.
        ends: the values at its ends.
    """
    steps = len(values)
    axes.set(xlim=(0.5, steps + 0.5), ylim=(0, 1), yticks=[])
    cmap = colormaps[colours].with_extremes(bad="0.8")
    box = axes.get_window_extent()
    wide, high = float(box.width) / DPI, float(box.height) / DPI
    edges = np.linspace(0, steps, min(steps, WINDOWS) + 1).round().astype(int)
    for begin, end in pairwise(edges):
        if begin >= until:
            break
        cell = 0.94 * wide * (end - begin) / steps
        tiles = _tiles(values[begin : min(end, until), channels].mean(0), cell / (0.94 * high))
        inch = min(cell / tiles.shape[1], 0.94 * high / tiles.shape[0])
        across, along = inch * tiles.shape[1] * steps / wide / 2, inch * tiles.shape[0] / high / 2
        middle = (begin + end + 1) / 2
        axes.imshow(
            tiles, aspect="auto", cmap=cmap, vmin=ends[0], vmax=ends[1], interpolation="nearest",
            extent=(middle - across, middle + across, 0.5 - along, 0.5 + along),
        )  # fmt: skip


def _tiles(images: Array, proportion: float) -> Array:
    """Images [C, H, W] in rows and columns with lines of NaN around them, for a box so many times as wide as high."""
    count, height, width = images.shape

    if count == 1:
        return images[0]  # type: ignore[no-any-return]  # NumPy types what an index gives as anything

    def scale(columns: int) -> Any:
        return min(proportion / (columns * (width + 1)), 1 / (count // columns * (height + 1)))

    columns = max((number for number in range(1, count + 1) if count % number == 0), key=scale)
    rows = count // columns
    tiles = np.full((rows * (height + 1) + 1, columns * (width + 1) + 1), np.nan)
    for index, image in enumerate(images):
        row, column = index // columns * (height + 1) + 1, index % columns * (width + 1) + 1
        tiles[row : row + height, column : column + width] = image
    return tiles
