"""Student's interval against the published table of quantiles and a known example."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest

from litspike.metrics import mean_interval, most_of, student_quantile, wilson_interval


@pytest.mark.parametrize(
    ("freedom", "quantile"),
    [(1, 12.7062), (2, 4.3027), (3, 3.1824), (4, 2.7764), (5, 2.5706), (9, 2.2622), (10, 2.2281), (30, 2.0423)],
)
def test_quantiles_are_those_of_the_table(freedom: int, quantile: float):
    assert student_quantile(0.975, freedom) == pytest.approx(quantile, abs=5e-5)


def test_the_interval_of_an_example():
    # sleep gained, first drug (Student 1908): mean 0.75, standard deviation 1.79, n = 10
    gains = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
    assert mean_interval(gains) == pytest.approx((-0.5298, 2.0298), abs=5e-4)


def test_one_value_has_no_interval():
    with pytest.raises(statistics.StatisticsError):
        mean_interval([1.0])


@pytest.mark.parametrize("most", [1.0, math.inf])
def test_the_interval_of_bounded_values_stays_inside_and_holds_their_mean(most: float):
    draw = np.random.default_rng(0)
    for _ in range(500):
        values = draw.beta(draw.uniform(0.1, 50), draw.uniform(0.1, 5), draw.integers(2, 8)).tolist()
        low, high = mean_interval(values, most=most)
        assert 0 <= low <= statistics.fmean(values) <= high <= most


def test_it_is_the_set_of_its_equation():
    values = [0.98, 1.0, 0.99, 1.0, 0.96]
    mean, deviation = statistics.fmean(values), statistics.stdev(values)
    for most in (1.0, math.inf):
        for end in mean_interval(values, most=most):
            variance = deviation**2 / 5 * end * (1 - end / most) / (mean * (1 - mean / most))
            assert abs(mean - end) == pytest.approx(2.7764 * math.sqrt(variance), rel=1e-4)


def test_it_is_wilsons_of_as_many_trials_as_have_the_variance_of_the_values():
    values = [0.0] * 30 + [1.0] * 970  # their mean's variance is p (1 − p) / 999
    assert mean_interval(values, most=1.0) == pytest.approx(wilson_interval(970, 1000), abs=5e-5)


def test_it_is_students_far_from_the_bounds():
    values = [0.500, 0.501, 0.499, 0.5005]
    assert mean_interval(values, most=1.0) == pytest.approx(mean_interval(values), abs=1e-5)


@pytest.mark.parametrize(("first", "second"), [(20, 1), (200, 1), (2, 1), (50, 50)])
def test_it_holds_the_true_mean_as_often_as_it_says(first: float, second: float):
    draw = np.random.default_rng(1)
    held = {1.0: 0, None: 0}
    for _ in range(1500):
        values = draw.beta(first, second, 5).tolist()
        for most in held:
            low, high = mean_interval(values, most=most)
            held[most] += low <= first / (first + second) <= high
    assert held[1.0] >= 0.92 * 1500
    assert held[1.0] >= held[None]  # Student's holds it less often near a bound


def test_values_that_are_all_the_same_have_no_width():
    assert mean_interval([1.0, 1.0, 1.0], most=1.0) == (1.0, 1.0)
    assert mean_interval([0.0, 0.0], most=math.inf) == (0.0, 0.0)


def test_values_outside_the_bounds_have_students():
    percent = [95.0, 97.0, 99.0]
    assert mean_interval(percent, most=1.0) == mean_interval(percent)


def test_accuracies_and_errors_are_known_by_their_names():
    assert [most_of(name) for name in ("test/accuracy", "val/rmse", "loss", "learning_rate")] == [
        1.0, math.inf, math.inf, None,
    ]  # fmt: skip
