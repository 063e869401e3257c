"""How figures are written, wherever people read them. It needs nothing, so that what is quick stays so."""

from __future__ import annotations


def written(value: float) -> str:
    """A figure with four decimals, or with four significant digits where these would leave less than three."""
    return f"{value:#.4g}" if 0 < abs(value) < 0.01 else f"{value:.4f}"


def interval(low: float, high: float) -> str:
    """The ends of an interval, as :func:`written` has them."""
    return f"{written(low)} to {written(high)}"
