"""Drawings of what the neurons do over time: arrays in, a figure out."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from litspike.reports.pictures.style import (
    BLACK,
    BLUE,
    LABEL,
    ORANGE,
    TICK,
    Array,
    heading,
    limits,
    marks,
    of_all,
    panel,
    sheet,
    spread,
    whole_ticks,
)
from litspike.reports.pictures.summarise import LayerTrace

COLUMNS = 500
"""The most marks beside each other that a raster shows legibly."""
STEPS = 300
"""The most time steps of a trace of a membrane potential."""


def spike_raster(
    spikes: Array, neurons: NDArray[np.intp], size: int, rate: float, classes: Sequence[int] | None, title: str
) -> Figure:
    """The spikes of one layer over time, sample beside sample, with each neuron's firing rate along the side.

    Args:
        spikes: 0 or 1, [T, B, N], of the neurons to be shown.
        neurons: their numbers in the layer, ascending, [N].
        size: number of neurons of the layer.
        rate: mean firing rate of the whole layer on these samples, in spikes per neuron and step.
        classes: class of each sample, ascending, B of them; None where there are none.
        title: text above the picture.
    """
    fired = np.nan_to_num(spikes) > 0
    steps, samples, _ = fired.shape
    figure = sheet(7.2, 4.8, f"{title}\n{of_all(len(neurons), size, 'neurons')}")
    axes, beside = panel(figure, 0.75, 0.6, 1.6, 0.95), panel(figure, 5.75, 0.6, 0.25, 0.95)
    gap = (size - 1) / max(len(neurons) - 1, 1) or 1.0
    bottom, top = -0.6 * gap, size - 1 + 0.6 * gap
    axes.set(xlim=(0, steps * samples), ylim=(bottom, top))
    step, sample, row = np.nonzero(fired)
    block = -(-steps * samples // COLUMNS)  # steps that share a tick
    times = ((step // block + 0.5) * block).clip(max=steps - 0.5) + sample * steps if block > 1 else (
        step + 0.5 + sample * steps
    )  # fmt: skip
    size_of_mark = marks(axes, times, neurons[row], steps * samples / block, gap, top - bottom)
    axes.set_ylabel("neuron", fontsize=LABEL)
    whole_ticks(axes, x=False)
    _name_samples(axes, steps, samples, classes, block)
    rates = fired.mean((0, 1))
    beside.hlines(neurons, 0, rates, linewidth=size_of_mark, color=BLUE)
    beside.axvline(rate, color=BLACK, linestyle="--", linewidth=1.2)
    beside.set(ylim=(bottom, top), xlim=(0, max(float(rates.max()), rate, 1e-3) * 1.05), yticks=[])
    beside.set_xlabel("spikes per step", fontsize=LABEL)
    heading(beside, f"firing rate\nlayer's mean {rate:.3f}", TICK)
    beside.locator_params(axis="x", nbins=3)
    return figure


def _name_samples(axes: Axes, steps: int, samples: int, classes: Sequence[int] | None, block: int) -> None:
    """Messages between samples, and what each is, below the axis."""
    ticks = f", a mark holds {block}" if block > 1 else ""
    if samples == 1:
        whole_ticks(axes, y=False)
        of = "" if classes is None else f", one sample of class {classes[0]}"
        axes.set_xlabel(f"time step{of}{ticks}", fontsize=LABEL)
        return
    borders = [] if classes is None else [i for i in range(1, samples) if classes[i] != classes[i - 1]]
    for border in range(1, samples):
        bold = border in borders
        axes.axvline(border * steps, color="0.25" if bold else "0.7", linewidth=1.2 if bold else 0.6, zorder=0)
    edges = [0, *borders, samples] if classes is not None else list(range(samples + 1))
    centres = [(one + other) / 2 * steps for one, other in pairwise(edges)]
    names = [str(classes[edge]) for edge in edges[:-1]] if classes is not None else [str(i + 1) for i in range(samples)]
    axes.set_xticks(centres, names)
    axes.tick_params(axis="x", length=0)
    what = "sample" if classes is None else "class"
    axes.set_xlabel(f"{what} (a block: one sample, {steps} time steps{ticks})", fontsize=LABEL)


def membrane_traces(layers: Sequence[LayerTrace], title: str) -> Figure | None:
    """The membrane potential of three neurons of each layer over time.

    They are the most active neuron, the middle one of those that fire, and of those that don't the one that comes
    nearest to its threshold.

    Args:
        layers: where there are more than two, the first and the last of them are drawn.
        title: text above the picture.

    Returns:
        None where no layer says how far it is from its threshold.
    """
    able = [layer for layer in layers if layer.distance is not None]
    if not able:
        return None
    shown = [able[index] for index in spread(len(able), 2)]
    columns = [_three(layer) for layer in shown]
    rows, wide = max(map(len, columns)), 7.2
    first = f", the first {STEPS} steps" if len(shown[0].spikes) > STEPS else ""
    figure = sheet(wide, 1.5 + 1.25 * rows, f"{title}{first}")
    each = (wide - 0.75 - 0.15 + 0.45 * (len(shown) > 1)) / len(shown)
    for column, (layer, neurons) in enumerate(zip(shown, columns, strict=True)):
        distance, spikes = (_flat(values) for values in (layer.distance, layer.spikes))
        for row, (neuron, why) in enumerate(neurons):
            left, top = 0.75 + column * each, 1.0 + row * 1.25
            right, bottom = wide - left - each + 0.45 * (len(shown) > 1), 1.5 + 1.25 * rows - top - 0.9
            axes = panel(figure, left, bottom, right, top)
            _trace(axes, distance[:STEPS, neuron], spikes[:STEPS, neuron])
            first_line = f"{layer.name}\n" if row == 0 else ""
            count = int(np.nan_to_num(spikes[:, neuron]).sum())
            heading(axes, f"{first_line}neuron {neuron}, {why}: {count} spike{'s' * (count != 1)}", TICK)
            if row < len(neurons) - 1:
                axes.tick_params(labelbottom=False)
    figure.supxlabel("time step", fontsize=LABEL, y=0.34 / figure.get_size_inches()[1])
    figure.supylabel("potential − threshold", fontsize=LABEL, x=0.1 / wide)
    handles, names = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="lower center", ncol=3, fontsize=TICK, frameon=False, borderaxespad=0.1)
    return figure


def _flat(values: Array | None) -> Array:
    assert values is not None
    return values.reshape(len(values), -1)


def _three(layer: LayerTrace) -> list[tuple[int, str]]:
    """The neurons of a layer that are drawn, each with what it was chosen for; more than one of a kind if need be."""
    fired = np.nan_to_num(_flat(layer.spikes)) > 0
    rates, changes = fired.mean(0), (fired[1:] != fired[:-1]).sum(0)
    active = np.lexsort((-rates, -changes))
    active = active[rates[active] > 0]
    nearest = np.argsort(-np.nan_to_num(_flat(layer.distance), nan=-np.inf).max(0), kind="stable")
    silent = nearest[rates[nearest] == 0]
    several = len(active) > 2
    chosen = [(int(neuron), "most active") for neuron in active[:1]]
    chosen += [(int(neuron), "median of the active") for neuron in active[len(active) // 2 :][:several]]
    chosen += [(int(neuron), "nearest to firing") for neuron in silent[: 3 - len(chosen)]]
    others = [int(neuron) for neuron in active[::-1] if neuron not in dict(chosen)]
    return chosen + [(neuron, "least active") for neuron in others[: 3 - len(chosen)]]


def _trace(axes: Axes, distance: Array, spikes: Array) -> None:
    time = np.arange(1, len(distance) + 1)
    axes.axhline(0, color=ORANGE, linestyle="--", linewidth=1.2, label="threshold")
    few = len(distance) <= 50
    axes.plot(time, distance, color=BLUE, linewidth=1.3, marker="." if few else "", label="membrane potential")
    fired = time[np.nan_to_num(spikes) > 0]
    low, high = limits(distance, np.zeros(1))
    above = high + 0.12 * (high - low)
    axes.plot(fired, np.full(len(fired), above), "v" if few else "|", color=BLACK, markersize=5, label="spike")
    axes.set(xlim=(0.5, len(distance) + 0.5), ylim=(low, above + 0.14 * (high - low)))
    whole_ticks(axes, y=False, most=4)
    axes.locator_params(axis="y", nbins=3)
