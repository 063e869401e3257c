"""How figures are written, wherever people read them. It needs nothing, so that what is quick stays so."""

from __future__ import annotations


def written(value: float) -> str:
    """A figure with four decimals; a small or large one with as many significant digits as are read."""
    if abs(value) >= 100_000:
        return f"{value:.6g}"
    return f"{value:#.4g}" if 0 < abs(value) < 0.01 else f"{value:.4f}"


def interval(low: float, high: float) -> str:
    """The ends of an interval, as :func:`written` has them."""
    return f"{written(low)} to {written(high)}"
