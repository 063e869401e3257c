"""The anytime curve: its points, the step that is early enough, its file and its picture."""

from __future__ import annotations

import csv
import io
from itertools import pairwise

import pytest

from litspike.metrics import EnergyModel
from litspike.reports.anytime import Curve, evaluated_steps
from litspike.reports.pictures import style
from litspike.reports.receipt.curve import anytime_curve

CURVE = Curve(
    "accuracy", True, [1, 2, 3, 4], [0.5, 0.98, 0.995, 1.0], [(0.4, 0.6)] * 4, [20.0] * 4, [0.0, 5.0, 8.0, 9.0]
)


def test_every_step_of_a_short_sequence_is_evaluated_and_fifty_of_a_long_one():
    assert evaluated_steps(1) == [1]
    assert evaluated_steps(16) == list(range(1, 17))
    long = evaluated_steps(1000)
    assert (len(long), long[0], long[-1]) == (50, 1, 1000)
    assert {b - a for a, b in pairwise(long)} <= {20, 21}


def test_the_earliest_step_has_99_percent_of_the_final_score():
    assert CURVE.earliest() == 3
    assert CURVE._replace(values=[0.5, 0.99, 0.98, 1.0]).earliest() == 2
    assert CURVE._replace(values=[0.0, 0.0, 0.0, 0.0]).earliest() == 1


def test_of_an_error_it_is_the_first_that_is_small_enough():
    falling = CURVE._replace(score="mae", rises=False, values=[1.0, 0.6, 0.505, 0.5])
    assert falling.earliest() == 3


def test_the_file_has_score_interval_operations_and_energy_of_each_step():
    rows = list(csv.DictReader(io.StringIO(CURVE.csv(EnergyModel()))))
    assert rows[1] == {
        **{"step": "2", "accuracy": "0.98", "accuracy_low": "0.4", "accuracy_high": "0.6"},
        **{"macs": "20", "acs": "5", "operations": "25", "energy_nj": "0.0965"},  # (20 · 4.6 + 5 · 0.9) pJ
    }
    bare = Curve("mae", False, [1, 2], [0.2, 0.1], [], [], [])
    assert bare.csv(EnergyModel()) == "step,mae\n1,0.2\n2,0.1\n"


def test_the_picture_shows_the_score_over_steps_and_over_operations():
    figure = anytime_curve(CURVE)
    by_step, by_operations = figure.axes
    assert by_step.get_lines()[0].get_xydata().tolist() == [[1, 0.5], [2, 0.98], [3, 0.995], [4, 1]]
    assert by_operations.get_lines()[0].get_xdata().tolist() == [20, 25, 28, 29]
    assert by_step.get_lines()[1].get_xdata()[0] == 3
    assert by_operations.get_lines()[1].get_xdata()[0] == 28
    assert (by_step.get_xlabel(), by_operations.get_xlabel()) == ("time step", "synaptic operations a sample")
    assert by_step.get_ylabel() == "accuracy after so many steps"
    height, width, _ = style.pixels(figure).shape
    assert (width >= 600, height >= 400) == (True, True)
    assert len(anytime_curve(CURVE._replace(macs=[], acs=[])).axes) == 1


@pytest.mark.parametrize("intervals", [[], [(0.4, 0.6)] * 4])
def test_a_band_is_drawn_where_there_are_intervals(intervals: list[tuple[float, float]]):
    axes = anytime_curve(CURVE._replace(intervals=intervals)).axes[0]
    assert len(axes.collections) == (1 if intervals else 0)
