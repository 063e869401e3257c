"""What all drawings of a network share: colours, type sizes, marks, and how a figure becomes an image or a file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, ScalarFormatter
from numpy.typing import NDArray
from PIL import Image

Array = NDArray[np.floating]
Numbers = NDArray[np.floating] | NDArray[np.integer]

BLUE, ORANGE, BLACK = "#0072b2", "#d55e00", "#000000"
PALETTE = (BLUE, "#e69f00", "#009e73", "#56b4e9", BLACK, ORANGE, "#f0e442", "#cc79a7")
"""Colours that the colour-blind tell apart (Okabe and Ito 2008), neighbours of different lightness. Where one stands
for a thing, a marker or a dash does so too, so that nothing is lost in grey.
"""
COLOURS_OF_LINES = tuple(colour for colour in PALETTE if colour != "#f0e442")
"""Without yellow, in which a thin line on white can't be seen."""
MARKERS = "o^sDvPX*<>"
DASHES: tuple[str | tuple[int, tuple[int, ...]], ...] = ("-", "--", ":", "-.", (0, (8, 3)))

DPI, DPI_OF_FILES = 100, 130
"""Dots per inch of the images, which a fit waits for, and of the files."""
SECONDS_OF_ANIMATION, LAST_FRAME, COLOURS = 6.0, 3.0, 64
"""How long an animation takes, how long its last frame stays, in seconds, and the most colours of a frame."""
TITLE, LABEL, TICK = 12, 11, 9
"""Sizes of type, in points."""


def sheet(width: float, height: float, title: str) -> Figure:
    """An empty figure of a size in inches, with text above it. Panels are placed by hand: a layout engine is slow."""
    figure = Figure(figsize=(width, height), dpi=DPI)
    figure.suptitle(title, fontsize=fitting(title, TITLE, width - 0.3), y=1 - 0.08 / height)
    return figure


def panel(figure: Figure, left: float, bottom: float, right: float, top: float, sharex: Axes | None = None) -> Axes:
    """Axes whose edges are so many inches from those of the figure."""
    width, height = figure.get_size_inches()
    box = (left / width, bottom / height, 1 - (left + right) / width, 1 - (bottom + top) / height)
    axes: Axes = figure.add_axes(box, sharex=sharex)
    axes.ticklabel_format(scilimits=(-3, 4))  # longer numbers would push the axis's name out of the figure
    axes.yaxis.OFFSETTEXTPAD = -2  # the power of ten stands inside the panel: above it is the heading
    axes.yaxis.get_offset_text().set(va="top", x=0.01, fontsize=TICK)
    return axes


def fitting(text: str, size: float, width: float) -> float:
    """The size of type, at most ``size``, at which the longest line is no wider than so many inches."""
    longest = max(map(len, text.split("\n")))
    return min(size, width * 72 / (0.62 * max(longest, 1)))  # a letter is 0.6 as wide as it is high, or less


def heading(axes: Axes, text: str, size: float, where: Literal["left", "center"] = "center") -> None:
    """Text above a panel, right above it: to look for room, matplotlib would lay out every tick twice."""
    width = float(axes.get_window_extent().width) / DPI
    axes.set_title(text, fontsize=fitting(text, size, width + 0.4), loc=where, y=1.0, pad=3)


def whole_ticks(axes: Axes, x: bool = True, y: bool = True, most: int = 5) -> None:
    """Ticks at a few integers, and nowhere else."""
    for axis in [axes.xaxis] * x + [axes.yaxis] * y:
        axis.set_major_locator(MaxNLocator(most, integer=True))
        axis.set_major_formatter(ScalarFormatter(useOffset=False))
        axis.get_major_formatter().set_scientific(False)  # type: ignore[attr-defined]  # it is the one set above


def spread(count: int, most: int) -> NDArray[np.intp]:
    """Which of ``count`` things to show where only ``most`` are legible: all of them, or as many evenly spaced."""
    return np.linspace(0, count - 1, min(count, most)).round().astype(np.intp)


def of_all(shown: int, count: int, what: str) -> str:
    """How many of how many are shown, in words."""
    return f"{count} {what}" if shown == count else f"{shown} of {count} {what}, evenly spaced"


def marks(
    axes: Axes, times: Numbers, rows: Numbers, columns: float, gap: float, height: float, silent: bool | None = None
) -> float:
    """A tick for each spike, at ``times`` and in ``rows``; returns their height in points.

    Args:
        axes: where, its limits already set.
        times: place along x, [S].
        rows: place along y, [S].
        columns: number of ticks that stand beside each other at most.
        gap: distance from one row to the next.
        height: extent of y.
        silent: whether to say that there are no spikes; where None, if there are none.
    """
    box = axes.get_window_extent()  # in pixels; a point is 1/72 inch
    size = min(max(0.85 * float(box.height) * 72 / DPI * gap / height, 1.0), 14.0)
    weight = min(max(0.6 * float(box.width) * 72 / DPI / columns, 0.5), 12.0)
    axes.plot(times, rows, linestyle="none", marker="|", markersize=size, markeredgewidth=weight, color=BLUE)
    if len(times) == 0 if silent is None else silent:
        axes.text(0.5, 0.5, "no spikes", transform=axes.transAxes, ha="center", va="center", fontsize=LABEL)
    return size


def limits(*values: Array, margin: float = 0.08) -> tuple[float, float]:
    """Ends of an axis that has room for all finite values."""
    together = np.concatenate([np.ravel(value) for value in values])
    finite = together[np.isfinite(together)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    room = margin * (high - low) or 0.5
    return low - room, high + room


def curve(axes: Axes, x: Sequence[float], y: Sequence[float], number: int, label: str | None = None) -> str:
    """A curve in the colour and dash of its number, with a dot at each of a few points; returns its colour."""
    colour, dash = COLOURS_OF_LINES[number % len(COLOURS_OF_LINES)], DASHES[number % 4]
    marker = "o" if len(x) <= 20 else ""
    axes.plot(x, y, color=colour, linestyle=dash, linewidth=1.8, marker=marker, markersize=4, label=label)
    axes.grid(alpha=0.3)
    return colour


def band(axes: Axes, x: Sequence[float], low: Sequence[float], high: Sequence[float], colour: str) -> None:
    """What lies between two curves, pale."""
    axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)


def pixels(figure: Figure) -> NDArray[np.uint8]:
    """The figure as an image, [height, width, 3]."""
    canvas = FigureCanvasAgg(figure)
    with rc_context({"text.hinting": "none"}):  # which takes a tenth of the time
        canvas.draw()  # type: ignore[no-untyped-call]  # matplotlib leaves it untyped
    return np.asarray(canvas.buffer_rgba())[..., :3]  # type: ignore[no-untyped-call]  # and this


def save(figure: Figure, path: Path, kind: str) -> None:
    """Write the figure into a file, as ``png`` or ``svg``; without the date, so that the same picture is the same file.

    Raises:
        OSError: if the file can't be written.
    """
    figure.savefig(path, format=kind, dpi=DPI_OF_FILES, metadata={"Date": None} if kind == "svg" else None)


def save_frames(figures: Iterable[Figure], path: Path) -> None:
    """Write the figures into a GIF that shows the last one first, so that it is whole where nothing moves, and repeats.

    Raises:
        OSError: if the file can't be written.
    """
    *frames, last = (Image.fromarray(pixels(figure)).quantize(COLOURS) for figure in figures)
    waits = [LAST_FRAME] + [SECONDS_OF_ANIMATION / (len(frames) + 1)] * len(frames)
    last.save(path, "gif", save_all=True, append_images=frames, duration=[int(1000 * wait) for wait in waits], loop=0)
