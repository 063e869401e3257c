"""Counting events in bins and coarser pixels."""

from __future__ import annotations

import numpy as np
import pytest

from litspike import SettingError, UserError
from litspike.data.events.binning import Binning, Events, Sensor

LINE = Sensor((7,), spatial=1)
CAMERA = Sensor((2, 5, 7), spatial=2)


def dense(binning: Binning, time: list[int], *place: list[int]) -> np.ndarray:
    events = Events(np.array(time, np.int64), tuple(np.array(axis, np.int64) for axis in place))
    cells = binning(events)
    assert np.all(np.diff(cells["index"].astype(np.int64)) > 0)
    x = np.zeros(binning.shape, int)
    x.reshape(-1)[cells["index"]] = cells["count"]
    return x


def test_bins_of_a_width_begin_at_their_lower_edge_and_the_rest_is_cut():
    x = dense(Binning(LINE, steps=3, bin=2.0, downsample=1), [0, 1999, 2000, 5999, 6000, 99_000], [1, 1, 1, 2, 3, 4])
    assert x.tolist() == [[0, 2, 0, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0, 0], [0, 0, 1, 0, 0, 0, 0]]


def test_short_recordings_are_padded_with_nothing():
    x = dense(Binning(LINE, steps=5, bin=1.0, downsample=1), [0, 1500], [6, 6])
    assert x.sum(1).tolist() == [1, 1, 0, 0, 0]


def test_bins_by_number_span_the_recording_and_keep_every_event():
    time = [0, 10, 49, 50, 98, 99]
    x = dense(Binning(LINE, steps=2, bin=None, downsample=1), time, [0] * 6)
    assert x[:, 0].tolist() == [3, 3]


def test_coarser_pixels_sum_what_they_cover_and_polarity_stays():
    rng = np.random.default_rng(0)
    polarity, row, column = (rng.integers(0, size, 500).tolist() for size in CAMERA.shape)
    fine = dense(Binning(CAMERA, 1, 10.0, 1), [0] * 500, polarity, row, column)
    coarse = dense(Binning(CAMERA, 1, 10.0, 3), [0] * 500, polarity, row, column)
    padded = np.pad(fine, ((0, 0), (0, 0), (0, 1), (0, 2)))
    assert np.array_equal(coarse, padded.reshape(1, 2, 2, 3, 3, 3).sum((3, 5)))


def test_a_recording_without_events_has_no_cells():
    assert dense(Binning(CAMERA, 4, None, 2), [], [], [], []).sum() == 0


@pytest.mark.parametrize(("time", "unit"), [(0, 7), (0, -1)])
def test_events_outside_the_sensor_are_refused(time: int, unit: int):
    with pytest.raises(UserError, match="outside the sensor's 0 to 6"):
        dense(Binning(LINE, 4, 1.0, 1), [time], [unit])


def test_events_before_the_start_are_refused():
    with pytest.raises(UserError, match="an event at -3 µs lies before the recording's start"):
        dense(Binning(LINE, 4, 1.0, 1), [-3], [0])


@pytest.mark.parametrize(
    ("setting", "value"),
    [("steps", 0), ("steps", 2**33), ("bin", 0.0), ("bin", float("nan")), ("bin", "1"), ("downsample", 0)],
)
def test_settings_out_of_range_are_refused_by_name(setting: str, value: object):
    settings = {"steps": 4, "bin": 1.0, "downsample": 1, setting: value}
    with pytest.raises(SettingError, match=setting):
        Binning(LINE, **settings)  # type: ignore[arg-type]
