"""Whether a product runs on events or dense: one place, with constants that were measured (benchmarks/density.py)."""

from __future__ import annotations

LEAST_WORK = 1 << 22
"""Multiplications of the dense product below which no look is taken: it takes some 50 µs."""
LEAST_OUTPUTS = 32
"""Outputs below which an event adds too little at once."""
CROSSOVER = 0.35
"""Density from which on a dense product is as fast."""


def worth_a_look(rows: int, inputs: int, outputs: int) -> bool:
    """Whether the events of spikes [rows, inputs] could pay in a product with [outputs, inputs]."""
    return outputs >= LEAST_OUTPUTS and rows * inputs * outputs >= LEAST_WORK


def pays(rows: int, inputs: int, outputs: int, density: float) -> bool:
    """Whether the product on events is faster than the dense one.

    Args:
        rows: of the spikes.
        inputs: numbers in a row.
        outputs: of the weight.
        density: share of the spikes that are not zero.
    """
    return worth_a_look(rows, inputs, outputs) and density < CROSSOVER
