"""The Mackey–Glass equation: a chaotic series whose next values are to be predicted."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from litspike.arguments import typed
from litspike.data.drawn import DrawnDataModule
from litspike.data.labels import Values
from litspike.settings import SettingError, integer, number

PER_UNIT = 10
"""Runge–Kutta steps in a unit of time."""
_WASHOUT = 500  # units of time until a history is forgotten
_WAVES = 4  # frequencies in a random history


class MackeyGlass(DrawnDataModule):
    """Prediction of the Mackey–Glass series, ``horizon`` units of time ahead.

        dx/dt = beta · x(t − tau) / (1 + x(t − tau)^n) − gamma · x(t)

    With the standard parameters the series is chaotic and stays in (0.2, 1.4). Each sample has a random history of
    its own, of which 500 units of time are left out, so that no two samples, and no two parts, share a stretch of one
    series. The series is sampled once a unit of time.

    Batches: x float32 [B, steps, 1], the series as it is; y float32, the series ``horizon`` units of time after the
    last step, [B, 1], or after each step, [B, steps, 1].

    Args:
        steps: number of time steps T of a sample.
        horizon: how far ahead to predict, in units of time.
        target: ``last``, one value a sample, or ``each``, one value a step.
        tau: delay in units of time, a positive multiple of 0.1.
        beta: production rate, above 0.
        gamma: decay rate, inside (0, 1].
        n: exponent, inside [1, 100].
        train_samples: number of training samples.
        val_samples: number of validation samples.
        test_samples: number of test samples.
        batch_size: samples in a training batch.
        eval_batch_size: samples in a batch of validation, test and prediction.
        seed: seed of the samples and of the order of the training batches, from 0 to 2³² − 1.

    Raises:
        SettingError: if a setting is outside its range.

    Source: M. C. Mackey and L. Glass 1977, "Oscillation and chaos in physiological control systems", Science 197;
    the horizon of A. R. Voelker et al. 2019, "Legendre memory units", NeurIPS.

    Example:
        >>> from litspike.data import MackeyGlass
        >>> data = MackeyGlass(train_samples=4, val_samples=4, batch_size=2)
        >>> data.setup("fit")
        >>> x, y = next(iter(data.train_dataloader()))
        >>> x.shape, y.shape
        (torch.Size([2, 100, 1]), torch.Size([2, 1]))
    """

    labels = Values()

    @typed
    def __init__(
        self,
        steps: int = 100,
        horizon: int = 15,
        target: Literal["last", "each"] = "last",
        tau: float = 17.0,
        beta: float = 0.2,
        gamma: float = 0.1,
        n: float = 10.0,
        train_samples: int = 2000,
        val_samples: int = 500,
        test_samples: int = 500,
        batch_size: int = 64,
        eval_batch_size: int = 500,
        seed: int = 0,
    ) -> None:
        super().__init__(train_samples, val_samples, test_samples, batch_size, eval_batch_size, seed)
        self.steps = integer("steps", steps)
        self.horizon = integer("horizon", horizon)
        self.target = target
        self.tau = number("tau", tau, "(0, inf)")
        if not math.isclose(tau * PER_UNIT, round(tau * PER_UNIT)):
            raise SettingError("tau", tau, "is no multiple of 0.1")
        self.beta = number("beta", beta, "(0, inf)")
        self.gamma = number("gamma", gamma, "(0, 1]")
        self.n = number("n", n, "[1, 100]")

    def draw(self, samples: int, randomness: torch.Generator) -> tuple[Tensor, Tensor]:
        """Stretches of the series [N, steps, 1] and what follows, [N, 1] or [N, steps, 1]."""
        lag = round(self.tau * PER_UNIT)
        length = _WASHOUT + self.steps + self.horizon
        series = solve(histories(samples, lag, randomness), length, self.beta, self.gamma, self.n)
        x = torch.from_numpy(series[_WASHOUT + 1 :].T).float().unsqueeze(2)
        y = x[:, self.horizon :]
        return x[:, : self.steps].contiguous(), (y[:, -1] if self.target == "last" else y).contiguous()


def histories(samples: int, lag: int, randomness: torch.Generator) -> NDArray[Any]:
    """Smooth random values over one delay: around 0.9, with four waves of random amplitude and phase.

    Args:
        samples: how many.
        lag: number of Runge–Kutta steps in the delay.
        randomness: of level, amplitudes and phases.

    Returns:
        Values inside (0.1, 1.7), float64 [2 · lag + 1, samples]: at each step from −tau to 0 and in each one's middle.
    """
    time = np.linspace(0, 1, 2 * lag + 1)[:, None, None]
    level = 0.6 + 0.6 * torch.rand(samples, generator=randomness, dtype=torch.float64).numpy()
    size, phase = torch.rand(2, samples, _WAVES, generator=randomness, dtype=torch.float64).numpy()
    waves = 0.1 * size * np.sin(2 * np.pi * (time * np.arange(1, _WAVES + 1) + phase))
    values: NDArray[Any] = level + waves.sum(2)
    return values


def solve(
    history: NDArray[Any], units: int, beta: float, gamma: float, n: float, every: int = PER_UNIT
) -> NDArray[Any]:
    """Solve the equation by the method of steps: over one delay at a time, what comes from the past is known.

    Runge–Kutta of fourth order with steps of 0.1; the values in the middle of a step, which the next delay needs, are
    interpolated from the values and slopes at its ends, to fourth order as well.

    Args:
        history: values at the steps of the last delay and in their middles, [2 · lag + 1, N].
        units: units of time to solve for.
        beta: production rate.
        gamma: decay rate.
        n: exponent.
        every: steps from one value that is returned to the next; those of a unit of time by default.

    Returns:
        The series at 0, 1, … ``units``, float64 [units + 1, N], or as often between them as ``every`` says.
    """
    series = [history[-1]]
    step, past = 0, history
    points = units * PER_UNIT // every + 1
    while len(series) < points:
        past = _one_delay(past[-1], beta * past / (1 + past**n), gamma, 1 / PER_UNIT)
        for value in past[2::2]:
            step += 1
            if step % every == 0:
                series.append(value.copy())  # a view would keep the whole delay
    return np.stack(series[:points])


def _one_delay(x: NDArray[Any], drive: NDArray[Any], gamma: float, h: float) -> NDArray[Any]:
    """Solve dx/dt = drive − gamma · x over one delay; ``drive`` and the result are on steps and their middles."""
    result = np.empty_like(drive)
    result[0] = x
    slope = drive[0] - gamma * x
    for i in range(0, len(drive) - 1, 2):
        middle = drive[i + 1] - gamma * (x + h / 2 * slope)
        again = drive[i + 1] - gamma * (x + h / 2 * middle)
        end = drive[i + 2] - gamma * (x + h * again)
        following = x + h / 6 * (slope + 2 * middle + 2 * again + end)
        following_slope = drive[i + 2] - gamma * following
        result[i + 1] = (x + following) / 2 + h / 8 * (slope - following_slope)
        result[i + 2] = x = following
        slope = following_slope
    return result
