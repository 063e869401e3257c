"""The confidence interval of a proportion."""

from __future__ import annotations

import math

from litspike.settings import SettingError, integer


def wilson_interval(successes: int, trials: int, z: float = 1.959963984540054) -> tuple[float, float]:
    """Wilson's score interval of a proportion, well calibrated for small n and at 0 and 1.

    Equation: ``(p + z²/2n ± z √(p (1 − p)/n + z²/4n²)) / (1 + z²/n)`` with ``p = successes / n``.

    Args:
        successes: how many trials succeeded, from 0 to trials.
        trials: how many there were, n ≥ 1.
        z: quantile of the standard normal; the default gives 95%.

    Returns:
        The interval's lower and upper end, in [0, 1].

    Raises:
        SettingError: if the numbers are out of range.

    Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference".

    Example:
        >>> from litspike.metrics import wilson_interval
        >>> [round(end, 3) for end in wilson_interval(9, 10)]
        [0.596, 0.982]
    """
    integer("trials", trials)
    if integer("successes", successes, 0) > trials:
        raise SettingError("successes", successes, f"is above the {trials} trials")
    p, share = successes / trials, z * z / trials
    centre = p + share / 2
    half = z * math.sqrt((p * (1 - p) + share / 4) / trials)
    return max(0.0, (centre - half) / (1 + share)), min(1.0, (centre + half) / (1 + share))
