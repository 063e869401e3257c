"""The drawing of one sample on its way through the network, whole or step by step: arrays in, figures out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from litspike.reports.pictures.maps import draw_maps, is_map
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
    limits,
    marks,
    of_all,
    panel,
    sheet,
    spread,
    whole_ticks,
)
from litspike.reports.pictures.summarise import LayerTrace

NEURONS, CHANNELS, OUTPUTS = 40, 9, 5
"""The most neurons, channels of maps and outputs in one panel."""
WIDE, LEFT, BESIDE, RIGHT, GAP = 9.0, 0.75, 1.75, 0.25, 0.42
"""Width of the figure, its left margin, right column and right margin, and what lies between rows, in inches."""


@dataclass(frozen=True)
class OneSample:
    """One sample on its way through the network.

    Args:
        current: what goes into the network, [T, *].
        layers: what the layers of neurons did.
        answers: what the readout makes of the steps until then, or of every step, [K, D].
        names: what each output is, D of them.
        outputs: the network's own outputs, [T, D]; None where the answers say the same.
        places: the time steps of the answers, from 1; all where None.
        reading: what to call the answers.
        image: the sample, [H, W] or [H, W, 3]; None where it is no image.
        sequence: the sample over time, [T, F]; None where it is no sequence, or what goes into the network is the same.
        target: what should have come out at every step, [T, D], or after the last, [1, D]; None for a class.
        answer: what the readout made of the outputs after the last step, [1, D]; None where the answers say it.
        probabilities: of each class by each of the answers, [K, C]; None where there are no classes.
        true: the sample's class.
    """

    current: Array
    layers: Sequence[LayerTrace]
    answers: Array
    names: Sequence[str]
    outputs: Array | None = None
    places: Sequence[int] | None = None
    reading: str = "readout"
    image: Array | None = None
    sequence: Array | None = None
    target: Array | None = None
    answer: Array | None = None
    probabilities: Array | None = None
    true: int | None = None

    @property
    def steps(self) -> int:
        """Number T of time steps."""
        return len(self.current)

    @property
    def times(self) -> NDArray[np.integer]:
        """The time step of each answer, [K]."""
        return np.arange(1, len(self.answers) + 1) if self.places is None else np.asarray(self.places)

    @property
    def highest(self) -> NDArray[np.intp]:
        """The outputs that are drawn, the highest in the end first."""
        return np.argsort(-np.nan_to_num(self.answers[-1]), kind="stable")[:OUTPUTS]


def one_sample(sample: OneSample, title: str, until: int | None = None) -> Figure:
    """Input, spikes of the hidden layers (three at most, evenly spaced), output and readout of one sample.

    Each is drawn over time, and right of that what its steps come to: the sample, firing rates, probabilities.

    Args:
        sample: the sample.
        title: text above the picture.
        until: draw the first steps alone, on the axes of all of them; all steps where None.
    """
    until = sample.steps if until is None else until
    rows: list[tuple[float, Callable[[Axes, Axes], None]]] = []
    if sample.sequence is not None:
        rows.append((0.8, partial(_lines, values=sample.sequence, until=until, title="the sample", what="value")))
    rows.append((1.35 if is_map(sample.current) else 1.0, partial(_input, sample=sample, until=until)))
    for index in spread(len(sample.layers), 3):
        layer = sample.layers[index]
        rows.append((1.4 if is_map(layer.spikes) else 1.25, partial(_layer, layer=layer, until=until)))
    if sample.outputs is not None:
        rows.append((1.2, partial(_outputs, sample=sample, outputs=sample.outputs, until=until)))
    rows.append((1.45, partial(_answers, sample=sample, until=until)))
    tall = 1.15 + sum(height + GAP for height, _ in rows)
    figure, top = sheet(WIDE, tall, title), 0.85
    axes: Axes | None = None
    for height, draw in rows:
        bottom = tall - top - height
        axes = panel(figure, LEFT, bottom, RIGHT + BESIDE + 0.25, top, sharex=axes)
        axes.set_xlim(0.5, sample.steps + 0.5)
        axes.tick_params(labelbottom=False)
        draw(axes, panel(figure, WIDE - RIGHT - BESIDE, bottom, RIGHT, top))
        if until < sample.steps:
            axes.axvline(until + 0.5, color=ORANGE, linewidth=1.2)
        top += height + GAP
    assert axes is not None
    axes.tick_params(labelbottom=True)
    axes.set_xlabel("time step", fontsize=LABEL)
    whole_ticks(axes, y=False, most=8)
    return figure


def _flat(values: Any) -> Any:
    return values.reshape(len(values), -1)


def _input(axes: Axes, beside: Axes, sample: OneSample, until: int) -> None:
    current = sample.current
    flat, size = _flat(current), "×".join(map(str, current.shape[1:]))
    low, high = _range(flat)
    scale = f"white {low:.3g}, black {high:.3g}"
    if is_map(current):
        draw_maps(axes, current, spread(current.shape[1], CHANNELS), until, "Greys", (low, high))
        heading(axes, f"current into {size} inputs: {scale}", LABEL, "left")
    elif flat.shape[1] <= len(DASHES):
        _lines(axes, beside, flat, until, "current into the network", "input")
    else:
        shown = spread(flat.shape[1], NEURONS)
        axes.imshow(
            flat[:until, shown].T, aspect="auto", origin="lower", cmap="Greys", interpolation="nearest", vmin=low,
            vmax=high, extent=(0.5, until + 0.5, -0.5, flat.shape[1] - 0.5),
        )  # fmt: skip
        axes.set_xlim(0.5, sample.steps + 0.5)
        axes.set_ylabel("input", fontsize=LABEL)
        whole_ticks(axes, x=False, most=3)
        heading(axes, f"current into {of_all(len(shown), flat.shape[1], 'inputs')}: {scale}", LABEL, "left")
    beside.axis("off")
    if sample.image is not None:
        beside.imshow(sample.image, cmap="Greys", vmin=0, vmax=1)
        heading(beside, "the sample", TICK)


def _lines(axes: Axes, beside: Axes, values: Array, until: int, title: str, what: str) -> None:
    """Values [T, F] as lines, F being few."""
    names = [what] if values.shape[1] == 1 else [f"{what} {index}" for index in range(values.shape[1])]
    for index, name in enumerate(names):
        axes.plot(
            np.arange(1, until + 1), values[:until, index], color=PALETTE[index], linestyle=DASHES[index], label=name,
            marker="." if len(values) <= 20 else "",
        )  # fmt: skip
    axes.set_ylim(*limits(values))
    axes.locator_params(axis="y", nbins=3)
    heading(axes, title, LABEL, "left")
    beside.axis("off")
    beside.legend(*axes.get_legend_handles_labels(), loc="center left", fontsize=TICK, frameon=False)


def _range(values: Array) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    low = 0.0 if 0 < low < 1e-6 * high else low  # rounding of an encoder, which would fill the scale with digits
    return low, high if high > low else low + 1


def _layer(axes: Axes, beside: Axes, layer: LayerTrace, until: int) -> None:
    fired = np.nan_to_num(layer.spikes) > 0
    if is_map(fired):
        _layer_of_maps(axes, beside, fired, until, layer.name)
        return
    spikes = _flat(fired)
    size = spikes.shape[1]
    shown = spread(size, NEURONS)
    gap = (size - 1) / max(len(shown) - 1, 1) or 1.0
    bottom, top = -0.6 * gap, size - 1 + 0.6 * gap
    axes.set_ylim(bottom, top)
    step, row = np.nonzero(spikes[:until, shown])
    weight = marks(axes, step + 1, shown[row], len(spikes), gap, top - bottom, silent=not spikes.any())
    axes.set_ylabel("neuron", fontsize=LABEL)
    whole_ticks(axes, x=False, most=3)
    part = "" if len(shown) == size else f": {of_all(len(shown), size, 'neurons')}"
    heading(axes, f"spikes of {layer.name}{part}", LABEL, "left")
    rates = spikes[:until, shown].sum(0) / len(spikes)
    beside.hlines(shown, 0, rates, linewidth=min(weight, 8.0), color=BLUE)
    beside.set(ylim=(bottom, top), xlim=(0, max(float(spikes.mean(0).max()), 1e-3) * 1.05), yticks=[])
    beside.locator_params(axis="x", nbins=3)
    beside.tick_params(labelsize=TICK - 1)
    heading(beside, _rates(fired, until), TICK)


def _layer_of_maps(axes: Axes, beside: Axes, fired: NDArray[np.bool_], until: int, name: str) -> None:
    channels = fired.shape[1]
    busiest = np.argsort(-fired.sum((0, 2, 3)), kind="stable")[:CHANNELS]
    shown = np.sort(busiest)
    some = "" if len(shown) == channels else f": the {len(shown)} most active of {channels} channels"
    draw_maps(axes, fired.astype(float), shown, until, "Blues", (0.0, 1.0))
    heading(axes, f"spikes of {name}{some}", LABEL, "left")
    rates = fired[:until].sum(0) / len(fired)
    draw_maps(beside, rates[None], shown, 1, "Blues", (0.0, float(fired.mean(0).max()) or 1.0))
    beside.axis("off")
    heading(beside, _rates(fired, until), TICK)


def _rates(fired: NDArray[np.bool_], until: int) -> str:
    """What the firing rates are called: those of the first steps grow to those of all."""
    steps = len(fired)
    return (
        f"spikes per step, mean {fired.mean():.3f}" if until == steps else f"spikes until step {until} / {steps} steps"
    )


def _curves(axes: Axes, times: NDArray[np.integer], values: Array, sample: OneSample, until: int) -> None:
    """The outputs that are highest in the end, each with a colour and a dash of its own."""
    shown = times <= until
    for place, index in enumerate(sample.highest):
        axes.plot(
            times[shown], values[shown, index], color=PALETTE[place], linestyle=DASHES[place],
            label=sample.names[index], marker="." if len(times) <= 20 else "",
        )  # fmt: skip
    axes.axhline(0, color="0.8", linewidth=0.8, zorder=0)
    axes.locator_params(axis="y", nbins=4)


def _outputs(axes: Axes, beside: Axes, sample: OneSample, outputs: Array, until: int) -> None:
    _curves(axes, np.arange(1, len(outputs) + 1), outputs, sample, until)
    axes.set_ylim(*limits(outputs[:, sample.highest]))
    count, shown = outputs.shape[1], len(sample.highest)
    some = f", {shown} of {count}" if shown < count else ""
    heading(axes, f"output of the network at each step{some}", LABEL, "left")
    beside.axis("off")
    beside.legend(*axes.get_legend_handles_labels(), loc="center left", fontsize=TICK, frameon=False)


def _answers(axes: Axes, beside: Axes, sample: OneSample, until: int) -> None:
    _curves(axes, sample.times, sample.answers, sample, until)
    given = [(sample.answer, "answer", "o"), (sample.target, "target", "x")]
    for place, index in enumerate(sample.highest):
        for values, name, marker in given:
            if values is None or (len(values) == 1 and until < sample.steps):
                continue
            style = {"marker": marker} if len(values) == 1 else {"linestyle": (0, (1, 2)), "linewidth": 2.0}
            at = np.arange(1, sample.steps + 1)[-len(values) :][:until]
            axes.plot(
                at, values[: len(at), index], color=BLACK, markersize=8, markerfacecolor="none", clip_on=False,
                zorder=5, label=name if place == 0 else None, **style,
            )  # fmt: skip
    drawn = [values[:, sample.highest] for values, _, _ in given if values is not None]
    axes.set_ylim(*limits(sample.answers[:, sample.highest], *drawn))
    count, shown = sample.answers.shape[1], len(sample.highest)
    some = f", the highest {shown} of {count}" if shown < count else ""
    heading(axes, f"{sample.reading}{some}", LABEL, "left")
    if sample.probabilities is None:
        beside.axis("off")
        beside.legend(*axes.get_legend_handles_labels(), loc="center left", fontsize=TICK, frameon=False)
    else:
        _probabilities(beside, sample, sample.probabilities, until)


def _probabilities(axes: Axes, sample: OneSample, probabilities: Array, until: int) -> None:
    """A bar for each class that is likely in the end, and for the true one, as they are after so many steps."""
    classes = list(np.argsort(-np.nan_to_num(probabilities[-1]), kind="stable")[:OUTPUTS])
    if sample.true is not None and sample.true not in classes:
        classes[-1] = sample.true
    before = probabilities[sample.times <= until]
    colours = dict(zip(sample.highest.tolist(), PALETTE, strict=False)) if len(sample.names) > 1 else {1: BLUE}
    rows = range(len(classes))
    axes.set(xlim=(0, 1), ylim=(len(classes) - 0.4, -0.6), xticks=[0, 0.5, 1])
    if len(before):
        axes.barh(rows, before[-1][classes], color=[colours.get(int(index), "0.6") for index in classes], height=0.7)
    axes.set_yticks([])
    for row, index in zip(rows, classes, strict=True):
        true = ", the true one" if index == sample.true else ""
        axes.text(0.03, row, f"class {index}{true}", fontsize=TICK, va="center", bbox=_PLATE)
    axes.tick_params(labelsize=TICK - 1)
    heading(axes, f"probability after {'the last step' if until == sample.steps else f'step {until}'}", TICK)


_PLATE = {"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.8}
"""What lies below a text, so that it can be read upon a bar."""
