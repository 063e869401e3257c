"""Layers without state over [T, B, *], and what draws or gathers over time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from litspike.networks import SpikingSequential, TimeDropout
from litspike.settings import SettingError


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Linear(3, 4), [3]),
        (nn.Conv1d(3, 4, 3, padding=1), [3, 9]),
        (nn.Conv2d(3, 4, 3, stride=2), [3, 7, 6]),
        (nn.AvgPool2d(2), [3, 7, 6]),
        (nn.MaxPool1d(2), [3, 9]),
        (nn.Flatten(), [3, 7, 6]),
        (nn.Identity(), [3]),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("constant", [False, True])
def test_a_layer_without_state_runs_on_each_step_alone(layer: nn.Module, shape: list[int], constant: bool):
    x = torch.randn(2, *shape).expand(5, 2, *shape) if constant else torch.randn(5, 2, *shape)
    y, state = SpikingSequential([layer])(x)
    assert state == ()
    torch.testing.assert_close(y, torch.stack([layer(step) for step in x]))


@pytest.mark.parametrize(("norm", "shape"), [(nn.BatchNorm1d(3), [3]), (nn.BatchNorm2d(3), [3, 4, 5])])
def test_batch_norm_takes_its_statistics_over_time_and_batch(norm: nn.Module, shape: list[int]):
    x = 2 + 3 * torch.randn(6, 4, *shape, dtype=torch.float64) + torch.arange(6).view(6, *(1 for _ in (0, *shape)))
    y, _ = SpikingSequential([norm.double()])(x)
    others = (0, 1, *range(3, x.dim()))
    values = x.numpy()
    mean, variance = values.mean(others, keepdims=True), values.var(others, keepdims=True)
    np.testing.assert_allclose(y.detach().numpy(), (values - mean) / np.sqrt(variance + norm.eps), rtol=1e-9)
    np.testing.assert_allclose(norm.running_mean, 0.1 * mean.ravel(), rtol=1e-9)
    np.testing.assert_allclose(norm.running_var, 0.9 + 0.1 * values.var(others, ddof=1), rtol=1e-9)


def test_dropout_keeps_one_mask_over_time_and_draws_another_in_each_call():
    torch.manual_seed(0)
    dropout = TimeDropout(0.4)
    x = torch.rand(7, 50, 40) + 1
    first, second = dropout(x), dropout(x)
    masks = first / x
    torch.testing.assert_close(masks, masks[:1].expand_as(masks))
    assert not torch.equal(first, second)
    kept = masks[0] > 0
    torch.testing.assert_close(masks[0][kept], torch.full_like(masks[0][kept], 1 / 0.6))
    assert 0.57 < kept.float().mean() < 0.63
    assert kept[0].ne(kept[1]).any()


def test_dropout_draws_from_the_global_generator_and_rests_in_evaluation():
    dropout, x = TimeDropout(), torch.rand(3, 4, 5)
    torch.manual_seed(3)
    first = SpikingSequential([dropout])(x)[0]
    torch.manual_seed(3)
    assert torch.equal(dropout(x), first)
    assert dropout.eval()(x) is x


@pytest.mark.parametrize("p", [-0.1, 1.0, float("nan")])
def test_impossible_probabilities_are_refused(p: float):
    with pytest.raises(SettingError, match=r"^p: "):
        TimeDropout(p)
