"""Drawings have in them what the arrays say, at awkward sizes too."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from litspike.reports.pictures import activity as plots_activity
from litspike.reports.pictures import results as plots_results
from litspike.reports.pictures import style as plots
from litspike.reports.pictures.results import Learned
from litspike.reports.pictures.summarise import Activity, LayerTrace, most_active_sample


def ticks(axes: Axes) -> list[tuple[float, float]]:
    """Place of each spike in a raster."""
    (line,) = (line for line in axes.lines if line.get_marker() == "|")
    return list(zip(*map(np.ndarray.tolist, line.get_data()), strict=True))


def lines(axes: Axes) -> dict[str, np.ndarray]:
    """The curves with a name, as [points, 2]."""
    return {
        str(line.get_label()): line.get_xydata() for line in axes.lines if not str(line.get_label()).startswith("_")
    }


def raster(spikes: np.ndarray, classes: list[int] | None = None, size: int | None = None) -> Figure:
    neurons = plots.spread(size or spikes.shape[2], spikes.shape[2])
    return plots_activity.spike_raster(
        spikes, neurons, size or spikes.shape[2], float(spikes.mean()), classes, "layer 1"
    )


def words(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(Text))


def test_a_raster_has_a_tick_where_a_neuron_fired_and_its_rate_beside_it():
    spikes = np.zeros((4, 2, 3))
    spikes[[0, 2], 0, 1] = 1
    spikes[3, 1, 2] = 1
    figure = raster(spikes, [0, 1])
    axes, beside = figure.axes
    assert sorted(ticks(axes)) == [(0.5, 1), (2.5, 1), (7.5, 2)]  # the second sample stands right of the first
    (bars,) = beside.collections
    assert [bar[:, 0].tolist() for bar in bars.get_segments()] == [[0, 0], [0, 0.25], [0, 0.125]]
    assert axes.get_ylabel() == "neuron"
    assert "4 time steps" in axes.get_xlabel()
    assert beside.get_xlabel() == "spikes per step"
    assert "mean 0.125" in beside.get_title()


def test_a_raster_names_each_class_once_below_its_samples():
    figure = raster(np.ones((4, 5, 3)), [0, 0, 2, 2, 7])
    axes = figure.axes[0]
    assert axes.get_xticks().tolist() == [4, 12, 18]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "2", "7"]
    assert axes.get_xlabel().startswith("class")


def test_a_raster_without_classes_numbers_the_samples():
    axes = raster(np.ones((4, 3, 2))).axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "2", "3"]
    assert axes.get_xlabel().startswith("sample")


def test_a_raster_of_many_steps_says_how_many_a_mark_holds_and_loses_no_spike():
    spikes = np.zeros((1000, 2, 1))
    spikes[[0, 1, 2, 3, 999], 1, 0] = 1
    axes = raster(spikes).axes[0]
    assert "a mark holds 4" in axes.get_xlabel()
    assert set(ticks(axes)) == {(1002, 0), (1998, 0)}


def test_a_raster_of_some_neurons_says_of_how_many_and_which_they_are():
    spikes = np.ones((2, 1, 100))
    figure = raster(spikes, [0], size=2048)
    assert "100 of 2048 neurons, evenly spaced" in words(figure)
    assert {row for _, row in ticks(figure.axes[0])} == set(plots.spread(2048, 100))
    assert plots.spread(2048, 100)[[0, -1]].tolist() == [0, 2047]


def test_a_silent_raster_says_so():
    assert "no spikes" in words(raster(np.zeros((3, 2, 4))))


@pytest.mark.parametrize(("steps", "samples", "neurons"), [*product((1, 16), (1, 3), (1, 5))])
def test_every_size_of_raster_can_be_drawn(steps: int, samples: int, neurons: int, tmp_path: Path):
    figure = raster(np.ones((steps, samples, neurons)), [0] * samples)
    plots.save(figure, tmp_path / "raster.png", "png")
    assert Image.open(tmp_path / "raster.png").width >= 900
    image = plots.pixels(figure)
    assert image.shape[1] >= 700
    assert image.std() > 10


def three_neurons(steps: int = 6) -> LayerTrace:
    spikes = np.zeros((steps, 3))
    spikes[:, 2], spikes[0, 0] = 1, 1
    distance = np.where(spikes > 0, 0.5, -0.25)
    return LayerTrace("layer 1", spikes, distance)


def test_traces_are_of_the_most_active_the_middle_and_the_silent_neuron_that_comes_nearest_to_firing():
    spikes, distance = np.zeros((8, 6)), np.full((8, 6), -1.0)
    spikes[::2, 4], spikes[0, 0], spikes[:, 2] = 1, 1, 1
    distance[3, 5] = -0.1
    figure = plots_activity.membrane_traces([LayerTrace("layer 1", spikes, distance)], "membranes")
    assert figure is not None
    assert [axes.get_title().splitlines()[-1] for axes in figure.axes] == [
        "neuron 4, most active: 4 spikes", "neuron 0, median of the active: 1 spike",
        "neuron 5, nearest to firing: 0 spikes",
    ]  # fmt: skip


def test_traces_of_a_silent_layer_are_those_that_come_nearest_to_firing():
    distance = np.array([[-5.0, -1.0, -3.0, -2.0, np.nan]])
    figure = plots_activity.membrane_traces([LayerTrace("layer 1", np.zeros((1, 5)), distance)], "membranes")
    assert figure is not None
    assert [axes.get_title().split(",")[0].split()[-1] for axes in figure.axes] == ["1", "3", "2"]


def test_a_trace_shows_potential_threshold_and_spikes():
    figure = plots_activity.membrane_traces([three_neurons()], "membranes")
    assert figure is not None
    titles = [axes.get_title().splitlines()[-1] for axes in figure.axes]
    assert titles == [
        "neuron 0, most active: 1 spike", "neuron 1, nearest to firing: 0 spikes", "neuron 2, least active: 6 spikes",
    ]  # fmt: skip
    middle = lines(figure.axes[0])
    assert middle["membrane potential"].tolist() == [[1, 0.5], *([step, -0.25] for step in range(2, 7))]
    assert set(middle["threshold"][:, 1]) == {0}
    assert middle["spike"][:, 0].tolist() == [1]
    assert figure.get_supxlabel() == "time step"
    assert "threshold" in figure.get_supylabel()
    (legend,) = figure.legends
    assert len(legend.get_texts()) == 3


def test_traces_of_no_layer_that_knows_its_distance_are_none():
    assert plots_activity.membrane_traces([LayerTrace("layer 1", np.ones((4, 2)), None)], "membranes") is None


def test_traces_of_many_layers_and_steps_show_first_and_last_layer_and_say_how_many_steps():
    traces = [LayerTrace(f"layer {number}", np.ones((1000, 2)), np.ones((1000, 2))) for number in range(1, 6)]
    figure = plots_activity.membrane_traces(traces, "membranes")
    assert figure is not None
    assert [axes.get_title().splitlines()[0] for axes in figure.axes if "layer" in axes.get_title()] == [
        "layer 1", "layer 5",
    ]  # fmt: skip
    assert f"the first {plots_activity.STEPS} steps" in words(figure)
    assert len(lines(figure.axes[0])["membrane potential"]) == plots_activity.STEPS


@pytest.mark.parametrize("distance", [np.full((1, 1), np.nan), np.full((5, 2), np.inf), np.zeros((1, 1))])
def test_a_trace_of_nothing_finite_or_of_one_step_can_be_drawn(distance: np.ndarray):
    figure = plots_activity.membrane_traces(
        [LayerTrace("layer 1", np.full(distance.shape, np.nan), distance)], "membranes"
    )
    assert figure is not None
    assert plots.pixels(figure).std() > 5
    assert all(np.isfinite(axes.get_ylim()).all() for axes in figure.axes)


def test_a_legend_covers_no_point_of_the_plane():
    figure = plots_results.decision_boundary(np.eye(9), 1.0, np.zeros((2, 2)), np.array([0, 1]), "epoch 3")
    plots.pixels(figure)
    (legend,) = figure.legends
    assert figure.axes[0].get_legend() is None
    assert not legend.get_window_extent().overlaps(figure.axes[0].get_window_extent())


def test_the_axis_of_what_is_never_below_0_does_not_begin_below_it():
    figure = plots_results.learned_parameters([Learned("layer 1", "tau", np.array([0.01, 20.0, 90.0]), 10.0)], "t")
    assert figure.axes[0].get_xlim()[0] >= 0


def test_the_sample_in_which_most_happens_is_the_one_that_is_shown():
    spikes = np.zeros((6, 3, 4))
    spikes[:, 0], spikes[::2, 1], spikes[3, 2] = 1, 1, 1  # always, every other step, once
    layer = Activity("layer 1", "layer 1 (LIF, 4)", spikes, np.arange(4), 4, 0.5)
    assert most_active_sample([layer]) == 1
    assert most_active_sample([]) == 0
    assert most_active_sample([replace(layer, spikes=spikes[:1])]) == 0


def test_the_boundary_is_drawn_where_the_probability_is_one_half():
    places = np.linspace(-2, 2, 41)
    grid = 1 / (1 + np.exp(-4 * (places[None, :] - 0.5)))  # one half at input 0 = 0.5
    points = np.array([[1.0, 0.0], [-1.0, 0.5]])
    figure = plots_results.decision_boundary(np.broadcast_to(grid, (41, 41)), 2.0, points, np.array([1, 0]), "epoch 3")
    axes = figure.axes[0]
    drawn = [path.vertices for one in axes.collections if hasattr(one, "levels") for path in one.get_paths()]
    vertical = [line for line in drawn if len(line) and np.ptp(line[:, 0]) < 1e-9]
    assert any(abs(line[0, 0] - 0.5) < 1e-2 for line in vertical)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("input 0", "input 1")
    assert "2 validation points" in words(figure)
    assert "epoch 3" in words(figure)


def test_regions_have_the_class_of_each_place_and_each_points_class_its_own_marker():
    grid = np.repeat([[0, 1, 2]], 3, axis=0)
    points = np.array([[-1.0, 0], [0, 0], [1, 0]])
    figure = plots_results.decision_regions(grid, 2.0, points, np.array([0, 1, 1]), "epoch 3")
    (axes,) = figure.axes
    assert axes.images[0].get_array().tolist() == grid.tolist()
    classes = {str(one.get_label()): one for one in axes.collections if "class" in str(one.get_label())}
    assert [len(one.get_offsets()) for one in classes.values()] == [1, 2]
    shapes = [one.get_paths()[0].vertices.tolist() for one in classes.values()]
    assert shapes[0] != shapes[1]


def test_a_confusion_matrix_has_counts_and_shares_of_the_row():
    figure = plots_results.confusion_matrix(np.array([[3, 1], [0, 0]]), "epoch 3")
    axes = figure.axes[0]
    assert {(*text.get_position(), text.get_text()) for text in axes.texts} == {(0, 0, "3\n75%"), (1, 0, "1\n25%")}
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted class", "true class")
    assert axes.images[0].get_array().tolist() == [[0.75, 0.25], [0, 0]]
    assert "4 validation samples, 75.0% on the diagonal" in words(figure)


def test_a_confusion_matrix_of_many_classes_has_colours_alone():
    axes = plots_results.confusion_matrix(np.eye(101, dtype=int), "epoch 3").axes[0]
    assert not axes.texts
    assert len(axes.get_xticks()) <= plots_results.NAMED


def test_what_is_learned_per_neuron_is_a_histogram_and_per_layer_a_value():
    values = np.array([0.5] * 7 + [0.9] * 3)
    figure = plots_results.learned_parameters(
        [Learned("layer 1", "decay", values, 0.8), Learned("layer 2", "threshold", np.array([1.25]), 1.0)], "epoch 3"
    )
    per_neuron, per_layer = figure.axes
    counts = per_neuron.patches[0].get_data().values
    assert sorted(counts[counts > 0]) == [3, 7]
    assert per_neuron.get_ylabel() == "neurons"
    assert "decay, dashed: 0.8 at first" in per_neuron.get_xlabel()
    assert "value 1.25" in per_layer.get_title()
    assert 1.25 in [line.get_xdata()[0] for line in per_layer.lines]


@pytest.mark.parametrize("values", [[np.nan], [np.nan, np.nan], [1.0, np.inf]])
def test_learned_values_that_are_not_finite_can_be_drawn(values: list[float]):
    figure = plots_results.learned_parameters([Learned("layer 1", "decay", np.array(values), 0.8)] * 12, "epoch 3")
    assert plots.pixels(figure).std() > 5
    assert "9 of 12 parameters" in words(figure)


def test_neighbours_in_the_palette_differ_in_grey():
    grey = [np.dot(to_rgb(colour), (0.299, 0.587, 0.114)) for colour in plots.PALETTE]
    assert np.abs(np.diff(grey)).min() > 0.08


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_the_same_figure_is_a_file_of_its_kind(kind: str, tmp_path: Path):
    plots.save(raster(np.ones((4, 2, 3))), tmp_path / "file", kind)
    assert {"png": b"\x89PNG", "svg": b"<svg"}[kind] in (tmp_path / "file").read_bytes()
