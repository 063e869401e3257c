"""The anytime curve: score and operations by time step."""

from __future__ import annotations

import csv
import io
from typing import NamedTuple

import numpy as np

from litspike.metrics import EnergyModel

MOST_POINTS = 50
"""A longer sequence is evaluated after this many of its steps."""

SHARE = 0.99
"""Share of the final score at which a curve has reached it."""


class Curve(NamedTuple):
    """A score after each of some time steps, and the synaptic operations a sample that were spent until then."""

    score: str
    """What the score is called."""
    rises: bool
    """Whether a larger score is a better one."""
    steps: list[int]
    """Time steps, counted from 1; the last is T."""
    values: list[float]
    intervals: list[tuple[float, float]]
    """95% intervals of the values; empty where they are not known."""
    macs: list[float]
    """Multiply–accumulates a sample until then; empty where they were not counted."""
    acs: list[float]

    @property
    def operations(self) -> list[float]:
        """MACs and ACs together."""
        return [macs + acs for macs, acs in zip(self.macs, self.acs, strict=True)]

    def earliest(self) -> int:
        """The first of the steps at which 99% of the final score is there.

        Of a score that falls, an error, it is the first at which ``error ≤ final error / 0.99``.
        """
        final = self.values[-1]
        there = [value >= SHARE * final if self.rises else SHARE * value <= final for value in self.values]
        return self.steps[there.index(True)]

    def csv(self, energy: EnergyModel) -> str:
        """A line for each step: score, interval, operations and the energy of their arithmetic, for one sample."""
        text = io.StringIO()
        write = csv.writer(text, lineterminator="\n").writerow
        names = ["step", self.score]
        names += [f"{self.score}_low", f"{self.score}_high"] if self.intervals else []
        write([*names, *(["macs", "acs", "operations", "energy_nj"] if self.macs else [])])
        for index, (step, value) in enumerate(zip(self.steps, self.values, strict=True)):
            row: list[float] = [step, value, *(self.intervals[index] if self.intervals else ())]
            if self.macs:
                macs, acs = self.macs[index], self.acs[index]
                row += [macs, acs, macs + acs, energy.arithmetic(macs, acs)]
            write([f"{number:.10g}" for number in row])
        return text.getvalue()


def evaluated_steps(steps: int) -> list[int]:
    """The steps of a curve over ``steps`` time steps: all of them, or :data:`MOST_POINTS`, evenly spaced."""
    points = np.linspace(1, steps, min(steps, MOST_POINTS)).round().astype(int)
    return [int(point) for point in points]
