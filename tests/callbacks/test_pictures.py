"""Pictures show what they say, and a picture that fails stops nothing."""

from __future__ import annotations

import matplotlib.collections
import numpy as np
import pytest

from litspike import SettingError
from litspike.callbacks import Pictures, plots
from tests.conftest import Cli

QUICK = "--trainer.max_epochs 1 --data.train_points 50 --pictures.every 1"


def test_a_raster_has_a_tick_where_a_neuron_fired():
    spikes = np.zeros((4, 2, 3))
    spikes[[0, 2], 0, 1] = 1
    spikes[3, 1, 2] = 1
    figure = plots.spike_rasters(spikes, ["one", "two"], "spikes")
    ticks = []
    for axes in figure.axes:
        (lines,) = (one for one in axes.collections if isinstance(one, matplotlib.collections.LineCollection))
        ticks.append([(line[0, 0], line[:, 1].mean().round(9)) for line in lines.get_segments()])
    assert ticks == [[(1, 1), (3, 1)], [(4, 2)]]
    assert [axes.get_title() for axes in figure.axes] == ["one", "two"]
    assert figure.get_supxlabel() == "time step"
    assert figure.get_supylabel() == "neuron"


def test_the_boundary_is_drawn_where_the_probability_is_one_half():
    ticks = np.linspace(-2, 2, 41)
    grid = 1 / (1 + np.exp(-4 * (ticks[None, :] - 0.5)))  # one half at x0 = 0.5
    points = np.array([[1.0, 0.0], [-1.0, 0.5]])
    figure = plots.decision_boundary(np.broadcast_to(grid, (41, 41)), 2.0, points, np.array([1, 0]), "epoch 3")
    axes = figure.axes[0]
    lines = [path.vertices for one in axes.collections if hasattr(one, "levels") for path in one.get_paths()]
    vertical = [line for line in lines if len(line) and np.ptp(line[:, 0]) < 1e-9]
    assert any(abs(line[0, 0] - 0.5) < 1e-2 for line in vertical)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("input $x_0$", "input $x_1$")
    assert "2 validation points" in axes.get_title()
    assert "epoch 3" in axes.get_title()


def test_an_image_is_wide_enough_to_be_read():
    image = plots.pixels(plots.spike_rasters(np.ones((16, 4, 10)), ["a", "b", "c", "d"], "spikes"))
    height, width, channels = image.shape
    assert width >= 600
    assert height >= 400
    assert channels == 3
    assert image.std() > 10


def test_a_picture_that_fails_warns_and_stops_nothing(cli: Cli, monkeypatch: pytest.MonkeyPatch):
    def broken(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(plots, "pixels", broken)
    with pytest.warns(UserWarning, match="no picture of epoch 1: no space left on device"):
        assert cli(f"fit {QUICK}").status == 0


@pytest.mark.parametrize(("settings", "message"), [({"every": -1}, "every: -1"), ({"samples": 0}, "samples: 0")])
def test_settings_out_of_range_are_refused(settings: dict[str, int], message: str):
    with pytest.raises(SettingError, match=message):
        Pictures(**settings)
