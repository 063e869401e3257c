"""The confidence interval of a mean."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

MANY = 500
"""Degrees of freedom from which on Student's quantile is expanded about the normal one."""


def mean_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """Student's interval of the mean of independent normal values.

    Equation: ``m ± t · s / √n`` with the mean m and standard deviation s of n values, and t the quantile
    ``(1 + level) / 2`` of Student's distribution with n − 1 degrees of freedom.

    Args:
        values: two or more numbers.
        level: share of such intervals that hold the true mean.

    Returns:
        The interval's lower and upper end.

    Raises:
        statistics.StatisticsError: if there are fewer than two values.

    Source: Student 1908, "The probable error of a mean".
    """
    return interval_of(statistics.fmean(values), statistics.stdev(values), len(values), level)


def interval_of(mean: float, deviation: float, samples: int, level: float = 0.95) -> tuple[float, float]:
    """The interval of :func:`mean_interval` from the mean, the standard deviation and the number of the values."""
    half = student_quantile((1 + level) / 2, samples - 1) * deviation / math.sqrt(samples)
    return mean - half, mean + half


def student_quantile(p: float, freedom: int) -> float:
    """The value that Student's t stays below with probability ``p`` in [0.5, 1).

    By bisection; from 500 degrees of freedom on, where that takes long, by the expansion about the normal quantile
    (Abramowitz and Stegun 26.7.5), which is right to 9 digits there.
    """
    if freedom >= MANY:
        z = statistics.NormalDist().inv_cdf(p)
        first, second = (z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96
        return z + first / freedom + second / freedom**2
    low, high = 0.0, 1.0
    while _cumulative(high, freedom) < p:
        low, high = high, high * 2
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if _cumulative(middle, freedom) < p else (low, middle)
    return (low + high) / 2


def _cumulative(t: float, freedom: int) -> float:
    """Student's distribution function for t ≥ 0, by its finite series (Abramowitz and Stegun 26.7.3 and 26.7.4)."""
    angle = math.atan2(t, math.sqrt(freedom))
    cosine, sine = math.cos(angle), math.sin(angle)
    odd = freedom % 2
    term, total = (cosine if odd else 1.0), 0.0
    for k in range(3 if odd else 2, freedom + 1, 2):
        total += term
        term *= cosine * cosine * (k - 1) / k
    area = (angle + sine * total) * 2 / math.pi if odd else sine * total
    return 0.5 + area / 2
