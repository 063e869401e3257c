"""The Mackey–Glass series solves its equation, is chaotic, and no part knows another."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from litspike import SettingError
from litspike.data import MackeyGlass
from litspike.data.mackey_glass import histories, solve
from litspike.seeding import generator
from tests.oracles.mackey_glass import mackey_glass


def wave(time: float) -> float:
    return 0.9 + 0.3 * math.sin(0.5 * time + 1)


def on_half_steps(tau: float) -> np.ndarray:
    return np.array([wave(time) for time in np.linspace(-tau, 0, 20 * round(tau) + 1)])[:, None]


@pytest.mark.parametrize("settings", [(17.0, 0.2, 0.1, 10.0), (30.0, 0.2, 0.1, 10.0), (4.0, 0.5, 0.25, 7.5)])
def test_the_series_is_that_of_an_independent_fine_integration(settings: tuple[float, ...]):
    tau, *others = settings
    ours = solve(on_half_steps(tau), 120, *others)[:, 0]
    assert np.abs(ours - np.array(mackey_glass(wave, 120, *settings))).max() < 2e-5


def test_the_series_stays_within_the_bounds_of_its_equation():
    # production is at most beta · m / (1 + m^n) with m = (n − 1)^(−1/n), and the series at most that over gamma
    most = 0.2 * 9**-0.1 / (1 + 1 / 9) / 0.1
    x, _ = MackeyGlass(train_samples=200).dataset("train").tensors
    assert x.min() > 0.15
    assert x.max() < most
    assert 0.2 < x.std() < 0.26


def test_samples_have_the_mean_and_spread_of_one_long_series():
    x, _ = MackeyGlass(train_samples=500).dataset("train").tensors
    long = np.array(mackey_glass(wave, 6000, per_unit=20))[500:]
    assert abs(float(x.mean()) - long.mean()) < 0.01
    assert abs(float(x.std()) - long.std()) < 0.01
    assert abs(float(x[:, 0].std()) - long.std()) < 0.025, "the first step remembers its history"


def test_the_series_is_chaotic_with_the_standard_delay_and_periodic_with_a_short_one():
    def separation(tau: float) -> float:
        history = on_half_steps(tau)
        series = solve(np.concatenate([history, history + 1e-6], 1), 2000, 0.2, 0.1, 10.0)
        return float(np.abs(series[1900:, 0] - series[1900:, 1]).max())

    assert separation(17.0) > 1e-4
    assert separation(7.0) < 1e-5


def test_the_target_is_the_series_the_horizon_ahead():
    settings = {"train_samples": 5, "horizon": 7, "steps": 30}
    x, last = MackeyGlass(**settings).dataset("train").tensors
    _, each = MackeyGlass(target="each", **settings).dataset("train").tensors
    assert x.shape == (5, 30, 1)
    assert last.shape == (5, 1)
    assert each.shape == (5, 30, 1)
    assert torch.equal(each[:, :-7], x[:, 7:])
    assert torch.equal(each[:, -1], last)
    longer, _ = MackeyGlass(train_samples=5, horizon=1, steps=36 + 1).dataset("train").tensors
    assert torch.equal(longer[:, 36], last)


def test_no_sample_is_another_moved_in_time_or_part():
    data = MackeyGlass(train_samples=300, val_samples=100, test_samples=100)
    train, test = (data.dataset(part).tensors[0][..., 0] for part in ("train", "test"))
    windows = train.unfold(1, 80, 1).reshape(-1, 80)
    assert torch.cdist(test[:, :80], windows).min() > 1e-3
    assert (torch.cdist(train, train) + torch.eye(300) * 9).min() > 1e-3


def test_the_seed_says_all():
    first, again, other = (MackeyGlass(val_samples=4, seed=seed).dataset("val").tensors[0] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_random_histories_are_smooth_and_positive():
    values = histories(500, 170, generator(0))
    assert values.shape == (341, 500)
    assert values.min() > 0.1
    assert values.max() < 1.7
    assert np.abs(np.diff(values, axis=0)).max() < 0.03


@pytest.mark.parametrize(
    ("setting", "value"),
    [("tau", 17.05), ("tau", 0.0), ("horizon", 0), ("steps", 0), ("target", "all"), ("gamma", 0.0), ("n", 0.5)],
)
def test_settings_outside_their_range_are_refused(setting: str, value: object):
    with pytest.raises(SettingError, match=setting):
        MackeyGlass(**{setting: value})  # type: ignore[arg-type]
