"""The Mackey–Glass equation, integrated by another method in much smaller steps."""

from __future__ import annotations

import math
from collections.abc import Callable


def mackey_glass(
    history: Callable[[float], float],
    units: int,
    tau: float = 17.0,
    beta: float = 0.2,
    gamma: float = 0.1,
    n: float = 10.0,
    per_unit: int = 200,
) -> list[float]:
    """The series at 0, 1, … ``units`` by Heun's method, for a history given at times from −tau to 0."""
    lag = round(tau * per_unit)
    x = [history(-tau + i / per_unit) for i in range(lag + 1)]
    h = 1 / per_unit

    def production(value: float) -> float:
        return beta * value / (1 + math.pow(value, n))

    for i in range(units * per_unit):
        slope = production(x[i]) - gamma * x[-1]
        ahead = production(x[i + 1]) - gamma * (x[-1] + h * slope)
        x.append(x[-1] + h / 2 * (slope + ahead))
    return x[lag::per_unit]
