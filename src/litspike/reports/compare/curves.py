"""The curves of a comparison: training and validation by epoch or step, the score by time step and by operations."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from litspike.reports.compare.collect import Subject
from litspike.settings import UserError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EPOCH, STEP = "epoch", "optimizer step"
"""What the axis of a run's metrics counts."""


class Panel(NamedTuple):
    """What one pair of axes shows."""

    x: str
    y: str
    lines: list[list[tuple[list[float], list[float]]]]
    """For each subject its curves, as x and y: one for each of its runs."""


class Curve(NamedTuple):
    """One metric of one run."""

    axis: str
    x: list[float]
    y: list[float]


def training(subjects: Sequence[Subject]) -> list[Panel]:
    """Every metric of training and validation, by epoch, and of runs that have it by optimizer step beside that."""
    read = [[_scalars(run.folder) for run in subject.runs] for subject in subjects]
    tags = {tag for several in read for scalars in several for tag in scalars}
    panels = []
    for tag in sorted(tags, key=lambda tag: (tag.split("/")[1], tag)):  # a metric's training beside its validation
        several = [[scalars[tag] for scalars in runs if tag in scalars] for runs in read]
        for axis in (EPOCH, STEP):
            lines = [[(curve.x, curve.y) for curve in curves if curve.axis == axis] for curves in several]
            if any(lines):
                panels.append(Panel(axis, tag, lines))
    return panels


def _scalars(folder: Path) -> dict[str, Curve]:
    """The metrics of training and validation in a run's events."""
    for path in folder.glob("*tfevents*"):
        if not path.is_file():
            raise UserError(f"compare: {path} can't be read (it is no file)")  # a pipe would be waited for
    from tensorboard.backend.event_processing import event_accumulator as events  # slow to import

    limits = {events.SCALARS: 0, events.IMAGES: 1, events.TENSORS: 1, events.HISTOGRAMS: 1}
    accumulator = events.EventAccumulator(str(folder), size_guidance=limits).Reload()
    tags = accumulator.Tags()[events.SCALARS]
    # where the axis counts steps, the epoch is logged beside each
    steps = {float(event.step) for event in accumulator.Scalars("epoch")} if "epoch" in tags else set()
    found = {}
    for tag in tags:
        if re.fullmatch("(train|val)/[^/]+", tag):
            # of an epoch that was done again after an interruption, the later one counts
            values = {float(event.step): float(event.value) for event in accumulator.Scalars(tag)}
            x = sorted(values)
            found[tag] = Curve(STEP if steps.issuperset(x) else EPOCH, x, [values[at] for at in x])
    return found


def anytime(subjects: Sequence[Subject]) -> list[Panel]:
    """The score that the answers until then have, by time step and by the synaptic operations spent."""
    known = [[receipt["anytime"] for receipt in subject.receipts() if "anytime" in receipt] for subject in subjects]
    panels = []
    for score in dict.fromkeys(curve["score"] for several in known for curve in several):
        for label, x in (("time step", "steps"), ("synaptic operations a sample", "operations")):
            lines = [
                [(curve[x], curve["values"]) for curve in several if curve["score"] == score and x in curve]
                for several in known
            ]
            if any(lines):
                panels.append(Panel(label, f"test/{score} until then", lines))
    return panels


def draw(panels: Sequence[Panel], names: Sequence[str]) -> Figure:
    """The panels, two in a row, and a legend above them.

    Several runs of a subject are drawn as their mean, in a band from the least to the greatest.

    Args:
        panels: one or more.
        names: of the subjects.
    """
    from litspike.reports.pictures.style import LABEL, band, curve, panel, sheet, whole_ticks  # matplotlib is slow

    wide, each, row = 10.0, 4.9, 3.0
    head = 0.3 + 0.25 * len(names)
    figure = sheet(wide, head + row * -(-len(panels) // 2), "")
    for place, shown in enumerate(panels):
        left, below = 0.85 + each * (place % 2), row * (-(-len(panels) // 2) - 1 - place // 2)
        axes = panel(figure, left, below + 0.55, wide - left - each + 0.95, head + row * (place // 2) + 0.1)
        for number, curves in enumerate(shown.lines):
            for x, low, mean, high in _together(curves):
                band(axes, x, low, high, curve(axes, x, mean, number, names[number]))
        axes.set_xlabel(shown.x, fontsize=LABEL)
        axes.set_ylabel(shown.y, fontsize=LABEL)
        whole_ticks(axes, y=False, most=6)
    lines = {label: line for axes in figure.axes for line, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    in_order = [name for name in names if name in lines]
    figure.legend([lines[name] for name in in_order], in_order, loc="upper center", fontsize=LABEL, frameon=False)
    return figure


Together = tuple[list[float], list[float], list[float], list[float]]


def _together(curves: list[tuple[list[float], list[float]]]) -> Iterator[Together]:
    """The curves of a subject as one: x, and the least, the mean and the greatest y there.

    By place, not by x: the seeds of an experiment have the same epochs and steps, each its own operations.
    """
    if curves:
        length = min(len(x) for x, _ in curves)
        x = [statistics.fmean(at) for at in zip(*(x[:length] for x, _ in curves), strict=True)]
        y = list(zip(*(y[:length] for _, y in curves), strict=True))
        yield x, [min(at) for at in y], [statistics.fmean(at) for at in y], [max(at) for at in y]
