"""The drawing of the anytime curve: numbers in, a figure out."""

from __future__ import annotations

from matplotlib.figure import Figure

from litspike.reports.anytime import Curve
from litspike.reports.pictures.style import LABEL, ORANGE, TICK, band, curve, panel, sheet, whole_ticks


def anytime_curve(found: Curve) -> Figure:
    """A score over the time steps, and over the synaptic operations a sample that were spent until then.

    Args:
        found: of two steps or more; without operations there is one panel.
    """
    panels = [("time step", [float(step) for step in found.steps])]
    if found.macs:
        panels.append(("synaptic operations a sample", found.operations))
    each, earliest = 4.2, found.earliest()
    figure = sheet(1.0 + each * len(panels), 4.0, f"anytime curve, {found.steps[-1]} time steps")
    first = None
    for number, (label, x) in enumerate(panels):
        axes = panel(figure, 0.8 + each * number, 0.65, 0.3 + each * (len(panels) - 1 - number), 0.5)
        if found.intervals:
            low, high = zip(*found.intervals, strict=True)
            band(axes, x, low, high, curve(axes, x, found.values, 0, f"{found.score} and its 95% interval"))
        else:
            curve(axes, x, found.values, 0, found.score)
        place = x[found.steps.index(earliest)]
        axes.axvline(place, color=ORANGE, linestyle="--", label=f"99% of the final {found.score}: step {earliest}")
        axes.set_xlabel(label, fontsize=LABEL)
        whole_ticks(axes, y=False)
        if first is None:
            axes.set_ylabel(f"{found.score} after so many steps", fontsize=LABEL)
            axes.legend(fontsize=TICK, loc="lower right" if found.rises else "upper right")
        else:
            axes.sharey(first)
            axes.tick_params(labelleft=False)
        first = first or axes
    return figure
