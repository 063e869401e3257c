"""Drawings of what a network decides, and of what it has learned beside its weights. Pure: arrays in, a figure out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

from litspike.reports.pictures.style import (
    BLACK,
    BLUE,
    LABEL,
    MARKERS,
    ORANGE,
    PALETTE,
    TICK,
    Array,
    heading,
    limits,
    panel,
    sheet,
    spread,
)

NAMED = 20
"""The most classes whose cells have numbers in them."""
PANELS = 9
"""The most parameters in one figure."""


def decision_boundary(grid: Array, extent: float, points: Array, labels: Array, title: str) -> Figure:
    """The probability of class 1 over the plane, with labelled points on it.

    Args:
        grid: probabilities [R, R] on a square grid from −extent to extent, first dimension x1.
        extent: half the side of the square.
        points: [N, 2].
        labels: 0 or 1, [N].
        title: text above the picture.
    """
    figure, axes = _plane(extent, len(points), title)
    ticks = np.linspace(-extent, extent, len(grid))
    shades = axes.contourf(ticks, ticks, grid, levels=np.linspace(0, 1, 11), cmap="RdBu", alpha=0.55)
    boundary = axes.contour(ticks, ticks, grid, levels=[0.5], colors="black", linewidths=1.8)
    _points(axes, points, labels, ["o", "^"], [ORANGE, BLUE])
    handles, names = axes.get_legend_handles_labels()
    figure.legend(
        [*handles, *boundary.legend_elements()[0]], [*names, "decision boundary"], loc="lower center", ncol=3,
        fontsize=TICK, frameon=False, borderaxespad=0.2,
    )  # fmt: skip
    beside = panel(figure, 5.1, 0.85, 0.85, 0.75)
    figure.colorbar(shades, cax=beside, ticks=[0, 0.5, 1]).set_label("probability of class 1", fontsize=LABEL)
    return figure


def decision_regions(grid: NDArray[np.integer], extent: float, points: Array, labels: Array, title: str) -> Figure:
    """The class that the network gives each point of the plane, with labelled points on it.

    Args:
        grid: classes [R, R] on a square grid from −extent to extent, first dimension x1.
        extent: half the side of the square.
        points: [N, 2].
        labels: class of each point, [N].
        title: text above the picture.
    """
    figure, axes = _plane(extent, len(points), title)
    ticks = np.linspace(-extent, extent, len(grid))
    classes = int(max(grid.max(), labels.max(initial=0))) + 1
    colours = [PALETTE[index % len(PALETTE)] for index in range(classes)]
    axes.imshow(
        grid, origin="lower", extent=(-extent, extent, -extent, extent), cmap=ListedColormap(colours), vmin=-0.5,
        vmax=classes - 0.5, alpha=0.35, interpolation="nearest",
    )  # fmt: skip
    for index in np.unique(grid):
        if (grid != index).any():
            axes.contour(ticks, ticks, (grid == index).astype(float), levels=[0.5], colors="black", linewidths=1.0)
    _points(axes, points, labels, [MARKERS[index % len(MARKERS)] for index in range(classes)], colours)
    axes.legend(loc="upper left", bbox_to_anchor=(1.02, 1.0), fontsize=TICK, frameon=False)
    return figure


def _plane(extent: float, points: int, title: str) -> tuple[Figure, Axes]:
    figure = sheet(6.1, 5.65, f"{title}\nfrom rest, with {points} validation points")
    axes = panel(figure, 0.8, 0.85, 1.25, 0.75)
    axes.set(xlim=(-extent, extent), ylim=(-extent, extent), aspect="equal")
    axes.locator_params(nbins=6)
    axes.set_xlabel("input 0", fontsize=LABEL)
    axes.set_ylabel("input 1", fontsize=LABEL)
    return figure, axes


def _points(axes: Axes, points: Array, labels: Array, markers: Sequence[str], colours: Sequence[str]) -> None:
    for label in np.unique(labels).astype(int):
        chosen = points[labels == label]
        axes.scatter(
            chosen[:, 0], chosen[:, 1], s=24, marker=markers[label], c=colours[label], edgecolors="white",
            linewidths=0.5, label=f"class {label}",
        )  # fmt: skip


def confusion_matrix(counts: NDArray[np.integer], title: str) -> Figure:
    """How many samples of each class were taken for which: counts, and shares of the row.

    Args:
        counts: [C, C], first dimension the true class.
        title: text above the picture.
    """
    classes, total = len(counts), int(counts.sum())
    of_row = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    right = np.trace(counts) / max(total, 1)
    figure = sheet(6.4, 5.8, f"{title}\n{total} validation samples, {right:.1%} on the diagonal")
    axes = panel(figure, 0.7, 0.6, 1.3, 0.8)
    image = axes.imshow(of_row, cmap="Blues", vmin=0, vmax=1)
    names = spread(classes, NAMED)
    axes.set_xticks(names, [str(name) for name in names])
    axes.set_yticks(names, [str(name) for name in names])
    axes.set_xlabel("predicted class", fontsize=LABEL)
    axes.set_ylabel("true class", fontsize=LABEL)
    if classes <= NAMED:
        size = 11 if classes <= 4 else 8 if classes <= 12 else 5.5
        for row, column in np.argwhere(counts):
            share = of_row[row, column]
            axes.text(
                column, row, f"{counts[row, column]}\n{share:.0%}" if classes <= 12 else f"{counts[row, column]}",
                ha="center", va="center", fontsize=size, color="white" if share > 0.5 else BLACK,
            )  # fmt: skip
    beside = panel(figure, 5.3, 0.7, 0.9, 0.9)
    figure.colorbar(image, cax=beside, ticks=[0, 0.5, 1], format="{x:.0%}").set_label(
        "share of the true class", fontsize=LABEL
    )
    return figure


@dataclass(frozen=True)
class Learned:
    """A parameter of a layer that is learned.

    Args:
        layer: what to call the layer.
        name: the parameter's name.
        values: its values, one a neuron, or one for the layer, flat.
        initial: the value that training began with.
    """

    layer: str
    name: str
    values: Array
    initial: float


def learned_parameters(learned: Sequence[Learned], title: str) -> Figure:
    """A histogram of each parameter that is learned per neuron, and the value of each that is learned per layer."""
    shown = [learned[index] for index in spread(len(learned), PANELS)]
    columns = min(len(shown), 3)
    rows = -(-len(shown) // columns)
    some = f"\n{len(shown)} of {len(learned)} parameters, evenly spaced" if len(shown) < len(learned) else ""
    head, wide, high, each = 0.6 + 0.2 * bool(some), 7.2, 2.1, 7.0 / columns
    figure = sheet(wide, head + high * rows, f"{title}{some}")
    for index, parameter in enumerate(shown):
        row, column = divmod(index, columns)
        left, top = 0.65 + column * each, head + 0.4 + row * high
        _parameter(panel(figure, left, high * (rows - row) - 1.5, wide - left - each + 0.65, top), parameter)
    return figure


def _parameter(axes: Axes, parameter: Learned) -> None:
    values = parameter.values[np.isfinite(parameter.values)]
    low, high = limits(values, np.array([parameter.initial]))
    if parameter.initial >= 0 and (values >= 0).all():
        low = max(low, 0.0)  # a time constant is none below 0, and neither is its axis
    if len(parameter.values) > 1:
        bins = np.linspace(low, high, 25)
        axes.stairs(np.histogram(values, bins)[0], bins, fill=True, color=BLUE)
        axes.set_ylabel("neurons", fontsize=TICK)
        what = f"mean {values.mean():.4g}" if len(values) else "none finite"
    else:
        what = f"value {values[0]:.4g}" if len(values) else "not finite"
        for value in values:
            axes.axvline(value, color=BLUE, linewidth=3)
        axes.set_yticks([])
    axes.axvline(parameter.initial, color=ORANGE, linestyle="--", linewidth=1.5)
    axes.set_xlim(low, high)
    axes.locator_params(axis="x", nbins=3)
    axes.set_xlabel(f"{parameter.name}, dashed: {parameter.initial:.4g} at first", fontsize=TICK)
    heading(axes, f"{parameter.layer}\n{what}", TICK)
