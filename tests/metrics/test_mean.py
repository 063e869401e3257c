"""Student's interval against the published table of quantiles and a known example."""

from __future__ import annotations

import statistics

import pytest

from litspike.metrics import mean_interval, student_quantile


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
