"""Wilson's interval against published values and the equation that defines it."""

from __future__ import annotations

import math

import pytest

from litspike.metrics import wilson_interval
from litspike.settings import SettingError


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_it_gives_the_intervals_of_newcombe_1998_table_1(successes: int, trials: int, low: float, high: float):
    assert wilson_interval(successes, trials) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(("successes", "trials"), [(10, 10), (3, 10), (997, 1000), (1, 1)])
def test_its_ends_are_where_the_score_test_rejects(successes: int, trials: int):
    z = 1.959963984540054
    for end in wilson_interval(successes, trials):
        if 1e-9 < end < 1 - 1e-9:
            deviation = abs(successes / trials - end) / math.sqrt(end * (1 - end) / trials)
            assert deviation == pytest.approx(z)


@pytest.mark.parametrize(("successes", "trials"), [(-1, 10), (11, 10), (0, 0)])
def test_impossible_counts_are_refused(successes: int, trials: int):
    with pytest.raises(SettingError):
        wilson_interval(successes, trials)
