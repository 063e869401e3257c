"""Drawings of a network, as matplotlib figures. Pure: arrays in, a figure out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from litspike.callbacks.anytime import Curve

Array = NDArray[np.floating]

BLUE, ORANGE = "#0072b2", "#d55e00"
"""Two colours that the colour-blind tell apart, and that differ in grey (Okabe and Ito 2008)."""


def decision_boundary(grid: Array, extent: float, points: Array, labels: Array, title: str) -> Figure:
    """The probability of class 1 over the plane, with labelled points on it.

    Args:
        grid: probabilities [R, R] on a square grid from −extent to extent, first dimension x1.
        extent: half the side of the square.
        points: [N, 2].
        labels: 0 or 1, [N].
        title: text above the picture.
    """
    figure = Figure(figsize=(5.2, 4.6), dpi=130)
    axes = figure.add_axes((0.13, 0.12, 0.66, 0.746), aspect="equal")  # placed by hand: a layout engine is slow
    ticks = np.linspace(-extent, extent, len(grid))
    shades = axes.contourf(ticks, ticks, grid, levels=np.linspace(0, 1, 11), cmap="RdBu", alpha=0.55)
    boundary = axes.contour(ticks, ticks, grid, levels=[0.5], colors="black", linewidths=1.8)
    for label, marker, colour in ((0, "o", ORANGE), (1, "^", BLUE)):
        chosen = points[labels == label]
        axes.scatter(
            chosen[:, 0], chosen[:, 1], s=22, marker=marker, c=colour, edgecolors="white", linewidths=0.5,
            label=f"label {label}",
        )  # fmt: skip
    handles, names = axes.get_legend_handles_labels()
    axes.legend([*handles, *boundary.legend_elements()[0]], [*names, "decision boundary"], loc="lower left", fontsize=9)
    axes.set(xlim=(-extent, extent), ylim=(-extent, extent))
    axes.set_xlabel("input $x_0$", fontsize=12)
    axes.set_ylabel("input $x_1$", fontsize=12)
    axes.set_title(f"decision boundary, from rest, with {len(points)} validation points\n{title}", fontsize=11)
    beside = figure.add_axes((0.82, 0.12, 0.035, 0.746))
    figure.colorbar(shades, cax=beside, ticks=[0, 0.5, 1]).set_label("probability of label 1", fontsize=12)
    return figure


def spike_rasters(spikes: Array, captions: Sequence[str], title: str) -> Figure:
    """The spikes of one layer over time, a panel for each sample.

    Args:
        spikes: 0 or 1, [T, B, N].
        captions: a text above each panel, B of them.
        title: text above the picture.
    """
    steps, samples, neurons = spikes.shape
    columns = min(samples, 2)
    rows = -(-samples // columns)
    height = 1.1 + 2.1 * rows
    figure = Figure(figsize=(5.6, height), dpi=130)
    figure.subplots_adjust(0.11, 0.55 / height, 0.98, 1 - 1.05 / height, wspace=0.08, hspace=0.42)
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for panel in panels.flat[samples:]:
        panel.set_axis_off()
    for sample, (panel, caption) in enumerate(zip(panels.flat, captions, strict=False)):
        step, neuron = np.nonzero(spikes[:, sample])
        panel.vlines(step + 1, neuron - 0.4, neuron + 0.4, linewidths=2.2, colors=BLUE)
        panel.set(xlim=(0.5, steps + 0.5), ylim=(-0.7, neurons - 0.3))
        panel.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        panel.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        panel.set_title(caption, fontsize=10)
        panel.grid(axis="x", alpha=0.3)
    figure.supxlabel("time step", fontsize=12)
    figure.supylabel("neuron", fontsize=12)
    figure.suptitle(title, fontsize=12)
    return figure


def anytime_curve(curve: Curve) -> Figure:
    """A score over the time steps, and over the synaptic operations a sample that were spent until then.

    Args:
        curve: of two steps or more; without operations there is one panel.
    """
    panels = [("time step", [float(step) for step in curve.steps])]
    if curve.macs:
        panels.append(("synaptic operations a sample", curve.operations))
    figure = Figure(figsize=(1.0 + 4.2 * len(panels), 4.0), dpi=130)
    figure.subplots_adjust(0.4 * 2 / figure.get_figwidth(), 0.15, 0.98, 0.84, wspace=0.08)
    earliest = curve.earliest()
    for axes, (label, x) in zip(figure.subplots(1, len(panels), sharey=True, squeeze=False)[0], panels, strict=True):
        if curve.intervals:
            low, high = zip(*curve.intervals, strict=True)
            axes.fill_between(x, low, high, color=BLUE, alpha=0.18, linewidth=0, label="95% interval")
        axes.plot(x, curve.values, color=BLUE, marker="o", markersize=4, label=curve.score)
        place = x[curve.steps.index(earliest)]
        axes.axvline(place, color=ORANGE, linestyle="--", label=f"99% of the final {curve.score}: step {earliest}")
        axes.set_xlabel(label, fontsize=12)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel(f"{curve.score} of the answer until then", fontsize=12)
    figure.axes[0].legend(fontsize=9, loc="lower right" if curve.rises else "upper right")
    figure.suptitle(f"anytime curve, {curve.steps[-1]} time steps", fontsize=12)
    return figure


def pixels(figure: Figure) -> NDArray[np.uint8]:
    """The figure as an image, [height, width, 3]."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]  # matplotlib leaves it untyped
    return np.asarray(canvas.buffer_rgba())[..., :3]  # type: ignore[no-untyped-call]  # and this
