"""The forecast's points are those of the equation, cut as the protocol says."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from litspike import SettingError
from litspike.data import MackeyGlassForecast
from litspike.data.mackey_glass_forecast import points_of
from tests.oracles.mackey_glass import mackey_glass


def test_points_are_those_of_another_method_with_smaller_steps():
    every = 197 / 75
    dense = mackey_glass(lambda time: 0.7206597, 1032, per_unit=200)
    times = 1000 + np.arange(12) * every
    np.testing.assert_allclose(points_of(12), np.interp(times, np.arange(len(dense)), dense), atol=5e-3)
    exact = [dense[round(time)] for time in times if abs(time - round(time)) < 1e-9]
    at = [index for index, time in enumerate(times) if abs(time - round(time)) < 1e-9]
    np.testing.assert_allclose(points_of(12)[at], exact, atol=1e-4)


def test_runs_are_half_a_lyapunov_time_apart():
    first, third = (MackeyGlassForecast(run=run).part("test")[0] for run in (0, 2))
    assert torch.equal(first[0, 75:], third[0, :-75])


def test_training_validation_and_test_share_no_target():
    data = MackeyGlassForecast(run=3, points=200, held_out=30)
    x, y = data.part("test")
    assert x.shape == y.shape == (1, 200, 1)
    (train_x, train_y), (val_x, val_y) = data.part("train"), data.part("val")
    assert torch.equal(train_x, x[:, :169])
    assert torch.equal(train_y, x[:, 1:170])
    assert torch.equal(val_x, x[:, 169:199])
    assert torch.equal(val_y, x[:, 170:])
    assert torch.equal(y[0, 0], MackeyGlassForecast(run=3, points=201, held_out=30).part("val")[1][0, -1])


def test_too_few_points_are_refused():
    with pytest.raises(SettingError, match=r"^points: 100 leaves none to learn from: held_out is 99"):
        MackeyGlassForecast(points=100, held_out=99)
