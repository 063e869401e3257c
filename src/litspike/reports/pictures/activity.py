"""Drawings of what the neurons do over time. Pure: arrays in, a figure out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from litspike.reports.pictures.style import (
    BLACK,
    BLUE,
    DASHES,
    LABEL,
    ORANGE,
    PALETTE,
    TICK,
    Array,
    heading,
    legend,
    limits,
    marks,
    of_all,
    panel,
    sheet,
    spread,
    whole_ticks,
)

ROWS, FEW_ROWS, COLUMNS = 100, 40, 500
"""The most neurons, those of a low panel, and the most ticks beside each other that a raster shows legibly."""
STEPS = 300
"""The most time steps of a trace of a membrane potential."""
OUTPUTS = 5
"""The most outputs in one panel."""


@dataclass(frozen=True)
class LayerTrace:
    """What one layer of neurons did with one sample.

    Args:
        name: what to call the layer.
        spikes: 0 or 1, [T, N].
        distance: membrane potential above threshold, [T, N]; None of a layer that can't say.
    """

    name: str
    spikes: Array
    distance: Array | None


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
    """The membrane potential of three neurons of each layer over time: the liveliest, the middle one, the quietest.

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
    columns = [_three(layer.spikes) for layer in shown]
    rows, wide = max(map(len, columns)), 7.2
    first = f", the first {STEPS} steps" if len(shown[0].spikes) > STEPS else ""
    figure = sheet(wide, 1.7 + 1.25 * rows, f"{title}\nliveliest, middle and quietest neuron of a layer{first}")
    each = (wide - 0.75 - 0.15) / len(shown)
    for column, (layer, neurons) in enumerate(zip(shown, columns, strict=True)):
        for row, neuron in enumerate(neurons):
            left, top = 0.75 + column * each, 1.2 + row * 1.25
            right, bottom = wide - left - each + 0.45 * (len(shown) > 1), 1.7 + 1.25 * rows - top - 0.9
            axes = panel(figure, left, bottom, right, top)
            assert layer.distance is not None
            _trace(axes, layer.distance[:STEPS, neuron], layer.spikes[:STEPS, neuron])
            first_line = f"{layer.name}\n" if row == 0 else ""
            spikes = int(np.nan_to_num(layer.spikes[:, neuron]).sum())
            heading(axes, f"{first_line}neuron {neuron}, {spikes} spike{'s' * (spikes != 1)}", TICK)
            if row < len(neurons) - 1:
                axes.tick_params(labelbottom=False)
    figure.supxlabel("time step", fontsize=LABEL, y=0.34 / figure.get_size_inches()[1])
    figure.supylabel("potential − threshold (unit of the threshold)", fontsize=LABEL, x=0.1 / wide)
    handles, names = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="lower center", ncol=3, fontsize=TICK, frameon=False, borderaxespad=0.1)
    return figure


def _three(spikes: Array) -> list[int]:
    """The neuron that begins and ends firing most often, the middle one of those that fire, and the quietest."""
    fired = np.nan_to_num(spikes) > 0
    rates, changes = fired.mean(0), (fired[1:] != fired[:-1]).sum(0)
    order = np.lexsort((-rates, -changes))
    firing = max(int((rates > 0).sum()), 1)
    return [int(neuron) for neuron in dict.fromkeys((order[0], order[firing // 2], order[-1]))]


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


@dataclass(frozen=True)
class OneSample:
    """One sample on its way through the network.

    Args:
        current: what goes into the network, [T, N].
        layers: what the layers of neurons did.
        outputs: what the readout makes of the steps until then, or of every step, [K, D].
        names: what each output is, D of them.
        target: what should have come out at every step, [T, D], or after the last, [1, D]; None for a class.
        answer: what the readout made of the outputs after the last step, [1, D]; None where they say it themselves.
        places: the time steps of the outputs, from 1; all where None.
        what: what to call the outputs.
    """

    current: Array
    layers: Sequence[LayerTrace]
    outputs: Array
    names: Sequence[str]
    target: Array | None = None
    answer: Array | None = None
    places: Sequence[int] | None = None
    what: str = "output"


def one_sample(sample: OneSample, title: str) -> Figure:
    """Input, spikes of the hidden layers (three at most, evenly spaced) and output of one sample over time."""
    hidden = [sample.layers[index] for index in spread(len(sample.layers), 3)]
    heights = [1.0, *[1.25] * len(hidden), 1.5]
    tall = 1.15 + sum(heights) + 0.32 * len(heights)
    figure = sheet(7.2, tall, title)
    steps, top, first = len(sample.current), 0.85, None
    for row, height in enumerate(heights):
        axes = panel(figure, 0.75, tall - top - height, 1.45, top, sharex=first)
        if row == 0:
            first = axes
            axes.set_xlim(0.5, steps + 0.5)
            _input(axes, sample.current)
        elif row <= len(hidden):
            _layer(axes, hidden[row - 1])
        else:
            _output(axes, sample)
        if row < len(heights) - 1:
            axes.tick_params(labelbottom=False)
        top += height + 0.32
    axes.set_xlabel("time step", fontsize=LABEL)
    whole_ticks(axes, y=False, most=8)
    return figure


def _input(axes: Axes, current: Array) -> None:
    steps, inputs = current.shape
    time = np.arange(1, steps + 1)
    if inputs <= len(DASHES):
        for index in range(inputs):
            axes.plot(time, current[:, index], color=PALETTE[index], linestyle=DASHES[index], label=f"input {index}")
        axes.set_ylim(*limits(current))
        axes.locator_params(axis="y", nbins=3)
        heading(axes, "input current", LABEL, "left")
        legend(axes, (1.02, 1.0))
        return
    shown = spread(inputs, FEW_ROWS)
    finite = current[np.isfinite(current)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    axes.imshow(
        current[:, shown].T, aspect="auto", origin="lower", cmap="Greys", interpolation="nearest", vmin=low,
        vmax=high if high > low else low + 1, extent=(0.5, steps + 0.5, -0.5, inputs - 0.5),
    )  # fmt: skip
    axes.set_ylabel("input", fontsize=LABEL)
    whole_ticks(axes, x=False, most=3)
    heading(axes, f"current into {of_all(len(shown), inputs, 'inputs')}", LABEL, "left")
    axes.text(1.02, 0.5, f"white {low:.3g}\nblack {high:.3g}", transform=axes.transAxes, fontsize=TICK, va="center")


def _layer(axes: Axes, layer: LayerTrace) -> None:
    steps, size = layer.spikes.shape
    shown = spread(size, FEW_ROWS)
    gap = (size - 1) / max(len(shown) - 1, 1) or 1.0
    axes.set_ylim(-0.6 * gap, size - 1 + 0.6 * gap)
    step, row = np.nonzero(np.nan_to_num(layer.spikes[:, shown]) > 0)
    marks(axes, step + 1, shown[row], min(steps, 2 * COLUMNS), gap, size - 1 + 1.2 * gap)
    axes.set_ylabel("neuron", fontsize=LABEL)
    whole_ticks(axes, x=False, most=3)
    part = "" if len(shown) == size else f": {len(shown)} neurons, evenly spaced"
    heading(axes, f"spikes of {layer.name}{part}", LABEL, "left")
    rate = np.nan_to_num(layer.spikes).mean()
    axes.text(
        1.02, 0.5, f"{rate:.3f} spikes\nper neuron\nand step", transform=axes.transAxes, fontsize=TICK, va="center"
    )


def _output(axes: Axes, sample: OneSample) -> None:
    steps, outputs = sample.outputs.shape
    time = np.arange(1, steps + 1) if sample.places is None else np.asarray(sample.places)
    highest = np.argsort(-np.nan_to_num(sample.outputs).mean(0), kind="stable")[:OUTPUTS]
    for place, index in enumerate(highest):
        colour = PALETTE[place]
        axes.plot(
            time, sample.outputs[:, index], color=colour, linestyle=DASHES[place], label=sample.names[index],
            marker="." if len(time) == 1 else "",
        )  # fmt: skip
        for values, name, marker in ((sample.answer, "answer", "o"), (sample.target, "target", "x")):
            if values is None:
                continue
            style = {"marker": marker} if len(values) == 1 else {"linestyle": (0, (1, 2)), "linewidth": 2.0}
            axes.plot(
                time[-len(values) :], values[:, index], color=BLACK, markersize=8, markerfacecolor="none",
                clip_on=False, zorder=5, label=name if place == 0 else None, **style,
            )  # fmt: skip
    beside = [values[:, highest] for values in (sample.target, sample.answer) if values is not None]
    axes.set_ylim(*limits(sample.outputs[:, highest], *beside))
    axes.axhline(0, color="0.8", linewidth=0.8, zorder=0)
    axes.locator_params(axis="y", nbins=4)
    some = f", the highest {len(highest)} of {outputs}" if outputs > len(highest) else ""
    heading(axes, f"{sample.what}{some}", LABEL, "left")
    legend(axes, (1.02, 1.0))
