"""The confidence interval of a mean."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

MANY = 500
"""Degrees of freedom from which on Student's quantile is expanded about the normal one."""


MOST = {"accuracy": 1.0, "firing_rate": 1.0} | dict.fromkeys(("loss", "mae", "rmse", "nrmse"), math.inf)
"""Largest value of the metrics that are never below 0."""


def most_of(metric: str) -> float | None:
    """The largest value that a metric such as ``test/accuracy`` can have where 0 is the least, as accuracies and errors
    have; None of any other.
    """
    return MOST.get(metric.rsplit("/", 1)[-1])


def mean_interval(values: Sequence[float], level: float = 0.95, most: float | None = None) -> tuple[float, float]:
    """The interval of the mean of independent values; of values between 0 and ``most`` one that stays there.

    Equation, with the mean m and standard deviation s of n values, and t the quantile ``(1 + level) / 2`` of Student's
    distribution with n − 1 degrees of freedom: ``m ± t · s / √n``. Where the values have bounds, all μ with
    ``(m − μ)² ≤ t² · s²/n · μ (1 − μ/most) / (m (1 − m/most))``: Wilson's score interval, whose variance falls to 0 at
    the bounds, for as many trials as have the variance of the values. Away from the bounds the two are the same.

    Args:
        values: two or more numbers.
        level: share of such intervals that hold the true mean.
        most: the largest value that there can be, infinite too, where 0 is the least; None where there are no bounds.
            Where a value is outside, there are none.

    Returns:
        The interval's lower and upper end.

    Raises:
        statistics.StatisticsError: if there are fewer than two values.

    Source: Student 1908, "The probable error of a mean"; Franco, Little, Louis and Slud 2019, "Comparative study of
    confidence intervals for proportions in complex sample surveys", for the score interval of an effective number.

    Example:
        >>> from litspike.metrics import mean_interval
        >>> [round(end, 3) for end in mean_interval([0.91, 0.93, 0.95], most=1.0)]
        [0.863, 0.966]
    """
    inside = most is not None and all(0 <= value <= most for value in values)
    return interval_of(statistics.fmean(values), statistics.stdev(values), len(values), level, most if inside else None)


def interval_of(
    mean: float, deviation: float, samples: int, level: float = 0.95, most: float | None = None
) -> tuple[float, float]:
    """The interval of :func:`mean_interval` from the mean, the standard deviation and the number of the values."""
    half = student_quantile((1 + level) / 2, samples - 1) * deviation / math.sqrt(samples)
    if most is None:
        return mean - half, mean + half
    spread = mean * (1 - mean / most)  # the variance at the mean, in the unit of which it falls towards the bounds
    if spread <= 0 or half == 0:  # all values are the same
        return mean, mean
    share = half**2 / spread
    apart = math.sqrt(share * (share + 4 * spread))
    low, high = (2 * mean + share - apart) / 2, (2 * mean + share + apart) / 2
    return max(low / (1 + share / most), 0.0), min(high / (1 + share / most), most)


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
