"""Text in pictures can be read: none is cut off by the figure's edge, none lies upon another."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from litspike.reports.anytime import Curve
from litspike.reports.compare import curves
from litspike.reports.pictures import style
from litspike.reports.pictures.activity import membrane_traces, spike_raster
from litspike.reports.pictures.results import (
    Learned,
    confusion_matrix,
    decision_boundary,
    decision_regions,
    learned_parameters,
)
from litspike.reports.pictures.sample import OneSample, one_sample
from litspike.reports.pictures.summarise import LayerTrace
from litspike.reports.receipt.curve import anytime_curve
from tests.grids import thorough

LONG = "layer 12 (Recurrent AdaptiveExponential, 128×16×16), epoch 12345, validation accuracy 0.123, and " * 2


def visible(figure: Figure) -> list[Text]:
    """The texts that are drawn: a tick beyond its axis is not."""
    hidden: set[Text] = set()
    for axes in figure.findobj(Axes):
        for axis, (low, high) in ((axes.xaxis, sorted(axes.get_xlim())), (axes.yaxis, sorted(axes.get_ylim()))):
            for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]:
                if not low <= tick.get_loc() <= high:
                    hidden |= {tick.label1, tick.label2}
        if not axes.axison:
            hidden |= {*axes.xaxis.findobj(Text), *axes.yaxis.findobj(Text)}
    texts = figure.findobj(Text)
    return [text for text in texts if text.get_text().strip() and text.get_visible() and text not in hidden]


def figures(title: str) -> dict[str, Figure | None]:
    spikes = np.zeros((6, 3))
    spikes[:, 2], spikes[0, 0] = 1, 1
    trace = LayerTrace(title[:60], spikes, np.where(spikes > 0, 0.5, -0.25))
    many = LayerTrace(title[:60], np.ones((6, 20_000)), np.linspace(-4e5, 1e5, 120_000).reshape(6, -1))
    maps = LayerTrace(title[:60], np.ones((6, 64, 4, 4)), None)
    names, answers = [f"class {index}" for index in range(10)], np.linspace(-1.25, 1, 60).reshape(6, 10)
    learned = [Learned(title[:60], "decay", np.linspace(0.1, 0.9, 30), 0.8)] * 3
    plane = np.zeros((2, 2)), np.array([0, 1])
    reading, chances = "readout (LeakyIntegratorReadout) of the steps until then", np.full((6, 10), 0.1)
    about = {"reading": reading, "probabilities": chances, "true": 3, "outputs": answers}
    panels = [
        curves.Panel("optimizer step", f"validation/{name}", [[([1e5, 2e5], [1e-3, 5e-4])]] * 3) for name in "abc"
    ]
    steps, scores = [1, 2, 3, 4], [0.5, 0.98, 0.995, 1.0]
    return {
        "traces": membrane_traces([trace, trace], title),
        "traces of many": membrane_traces([many, many], title),
        "sample": one_sample(OneSample(np.ones((6, 60)), [trace], np.ones((6, 1)), ["output"]), title),
        "sample of large values": one_sample(
            OneSample(np.ones((6, 2)) * 1e-7, [many], np.full((6, 1), -123456.7), ["output"], target=np.ones((1, 1))),
            title,
        ),
        "sample of classes": one_sample(OneSample(np.ones((6, 60)), [trace] * 3, answers, names, **about), title),
        "image": one_sample(
            OneSample(np.ones((6, 3, 9, 9)), [maps, maps], answers, names, image=np.eye(9), **about), title
        ),
        "frame": one_sample(OneSample(np.ones((6, 2)), [trace], answers, names, **about), title, 3),
        "sequence": one_sample(
            OneSample(np.ones((6, 60)), [trace], answers, names, sequence=np.ones((6, 3)), **about), title
        ),
        "raster": spike_raster(np.ones((4, 2, 3)), np.arange(3), 3, 0.5, [0, 1], title),
        "raster of many": spike_raster(np.ones((4, 2, 100)), style.spread(20_000, 100), 20_000, 0.5, [0, 1], title),
        "raster of ten classes": spike_raster(np.ones((16, 10, 9)), np.arange(9), 9, 0.5, list(range(10)), title),
        "boundary": decision_boundary(np.eye(9), 1.0, *plane, title),
        "wide boundary": decision_boundary(np.eye(9), 12345.0, *plane, title),
        "regions": decision_regions(np.eye(9, dtype=int), 1.0, *plane, title),
        "confusion": confusion_matrix(np.eye(3, dtype=int) * 12345, title),
        "confusion of ten": confusion_matrix(np.full((10, 10), 1234), title),
        "confusion of twenty": confusion_matrix(np.full((20, 20), 123), title),
        "learned": learned_parameters(learned, title),
        "much learned": learned_parameters(learned * 4, title),
        "anytime": anytime_curve(
            Curve("accuracy", True, steps, scores, [(0.4, 0.6)] * 4, [2e6] * 4, [0.0, 5e6, 8e6, 9e6])
        ),
        "comparison": curves.draw(panels, [f"run {number}" for number in range(3)]),
    }


@pytest.mark.slow
@pytest.mark.parametrize("title", [thorough("short"), LONG], ids=["short", "long"])
def test_no_text_is_cut_off_and_none_lies_upon_another(title: str):
    for name, figure in figures(title).items():
        assert figure is not None
        style.pixels(figure)
        width, height = figure.canvas.get_width_height()
        boxes = [(text.get_text(), text.get_window_extent()) for text in visible(figure)]
        for text, box in boxes:
            assert box.x0 >= 0, (name, text)
            assert box.y0 >= 0, (name, text)
            assert box.x1 <= width, (name, text)
            assert box.y1 <= height, (name, text)
        for (one, box), (other, another) in combinations(boxes, 2):
            across = min(box.x1, another.x1) - max(box.x0, another.x0)
            along = min(box.y1, another.y1) - max(box.y0, another.y0)
            assert min(across, along) <= 1, (name, one, other)
