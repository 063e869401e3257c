"""The Mackey–Glass forecast: one stretch of the series to learn from, and what follows it to be predicted."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from litspike.arguments import typed
from litspike.data.labels import Values
from litspike.data.mackey_glass import PER_UNIT, solve
from litspike.data.tensors import TensorDataModule
from litspike.settings import SettingError, integer

_TAU = 17
_FIRST = 0.7206597  # of the constant history
_WASHOUT = 1000  # units of time
_LYAPUNOV = 197, 75  # units of time in a Lyapunov time, and points


class MackeyGlassForecast(TensorDataModule):
    """The closed-loop task of NeuroBench: 750 points of one chaotic series to learn from, the next 750 to be predicted.

    The series is that of :class:`~litspike.data.MackeyGlass` with τ = 17, β = 0.2, γ = 0.1 and n = 10, from a constant
    history, of which 1000 units of time are left out; 75 points are a Lyapunov time of 197 units, in which a small
    error grows by a factor e. Run k begins half a Lyapunov time, 37.5 points, after run k − 1. It is solved here anew:
    the points are not those of NeuroBench's file.

    Batches: in training one sequence x float32 [1, points − held_out − 1, 1] and the point after each of its steps, y
    of the same shape; in validation the points that were held out, each from the one before, [1, held_out, 1]. In the
    test the one sample x [1, points, 1] is all of the points to learn from, and y [1, points, 1] what follows, for a
    task that predicts it from its own output (``closed_loop`` of :class:`~litspike.tasks.Regression`).

    Args:
        run: k, from 0 to 29.
        points: number of points to learn from, and of points to be predicted.
        held_out: how many of the points to learn from, the last ones, are for validation.
        seed: seed of the order of the training batches, from 0 to 2³² − 1.

    Raises:
        SettingError: if a number is out of range, or there are too few points for a sample.

    Source: J. Yik et al. 2025, "The NeuroBench framework for benchmarking neuromorphic computing algorithms and
    systems", Nature Communications 16.
    """

    labels = Values()

    @typed
    def __init__(self, run: int = 0, points: int = 750, held_out: int = 75, seed: int = 0) -> None:
        super().__init__(1, 1, seed)
        self.run = integer("run", run, 0, 29)
        self.points = integer("points", points)
        self.held_out = integer("held_out", held_out)
        if self.points < self.held_out + 2:
            raise SettingError("points", points, f"leaves none to learn from: held_out is {held_out}")

    def part(self, name: str) -> tuple[Tensor, Tensor]:
        """One sequence and what follows each of its steps; of the test what follows the sequence."""
        first = int(self.run * _LYAPUNOV[1] / 2)
        series = torch.from_numpy(points_of(first + 2 * self.points)[first:]).float()[None, :, None]
        if name == "test":
            return series[:, : self.points], series[:, self.points :]
        border = self.points - self.held_out
        begin, end = (border - 1, self.points) if name == "val" else (0, border)
        return series[:, begin : end - 1].clone(), series[:, begin + 1 : end].clone()


def points_of(count: int) -> NDArray[np.float64]:
    """The first points of the series, 75 a Lyapunov time, between steps of 0.1 by cubic interpolation."""
    time = (_WASHOUT + np.arange(count) * _LYAPUNOV[0] / _LYAPUNOV[1]) * PER_UNIT
    series = solve(np.full((2 * _TAU * PER_UNIT + 1, 1), _FIRST), int(time[-1] / PER_UNIT) + 1, 0.2, 0.1, 10, every=1)
    step = time.astype(int)
    share = time - step
    ends = [series[step + offset, 0] for offset in (-1, 0, 1, 2)]
    weights = (
        -share * (share - 1) * (share - 2) / 6,
        (share + 1) * (share - 1) * (share - 2) / 2,
        -(share + 1) * share * (share - 2) / 2,
        (share + 1) * share * (share - 1) / 6,
    )
    points: NDArray[np.float64] = np.sum([weight * end for weight, end in zip(weights, ends, strict=True)], 0)
    return points
