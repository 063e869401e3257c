"""Encoders, against NumPy loops that follow their equations one value at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from litspike.coding import (
    ConstantCurrent,
    DeltaModulation,
    Latency,
    LogarithmicLatency,
    PoissonRate,
    Population,
    TimeFirst,
)
from litspike.settings import SettingError, UserError

OF_SAMPLES = [PoissonRate(5), Latency(5), LogarithmicLatency(5), Population(Latency(5), 4), ConstantCurrent(5)]
OF_SEQUENCES = [DeltaModulation(0.1), TimeFirst()]


def name(module: nn.Module) -> str:
    return type(module).__name__


def uniform(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def spike_times(spikes: torch.Tensor) -> np.ndarray:
    """Step of the only spike, −1 where there is none."""
    assert set(spikes.unique().tolist()) <= {0.0, 1.0}
    assert spikes.sum(0).max() <= 1
    return np.where(spikes.sum(0).numpy() == 0, -1, spikes.argmax(0).numpy())


# Latency


@pytest.mark.parametrize("steps", [1, 2, 7, 16])
@pytest.mark.parametrize("threshold", [0.0, 0.3])
def test_latency_is_linear_in_the_value(steps: int, threshold: float):
    x = uniform(6, 5).double()
    x[0] = torch.tensor([0.0, 1.0, threshold, 0.5, 0.25])
    expected = [[round((steps - 1) * (1 - v)) if v > threshold else -1 for v in row] for row in x.tolist()]
    np.testing.assert_array_equal(spike_times(Latency(steps, threshold)(x)), expected)


@pytest.mark.parametrize(("steps", "tau", "theta"), [(1, 5.0, 0.2), (16, 5.0, 0.2), (100, 20.0, 0.5), (16, 3.0, 0.01)])
def test_logarithmic_latency_is_when_a_charged_membrane_meets_its_threshold(steps: int, tau: float, theta: float):
    x = 2 * uniform(40, 5).double()
    x[0] = torch.tensor([0.0, theta, 2 * theta, 1.0, theta * (1 + 1e-12)])
    times = spike_times(LogarithmicLatency(steps, tau, theta)(x))
    for value, step in zip(x.flatten().tolist(), times.flatten().tolist(), strict=True):
        if step < 0:  # it doesn't get there before the last step is over
            assert value * (1 - math.exp(-(steps - 0.5) / tau)) <= theta * (1 + 1e-9)
        else:
            assert value * (1 - math.exp(-(step + 0.5) / tau)) >= theta * (1 - 1e-9)
            assert step == 0 or value * (1 - math.exp(-(step - 0.5) / tau)) <= theta * (1 + 1e-9)


def test_a_larger_value_never_fires_later():
    x = torch.linspace(0.01, 1, 200).unsqueeze(0)
    for encoder in (Latency(32), LogarithmicLatency(32)):
        times = spike_times(encoder(x))[0]
        times = times[times >= 0]
        assert (np.diff(times) <= 0).all()
        assert len(set(times)) > 10


# Delta modulation and sequences


@pytest.mark.parametrize("shape", [(3, 9, 4), (2, 5, 3, 2, 2), (1, 1, 4), (3, 2, 1), (0, 4, 2)])
def test_delta_modulation_marks_changes_above_its_threshold(shape: tuple[int, ...]):
    x = uniform(*shape).double()
    spikes = DeltaModulation(0.25)(x)
    batch, steps, features, *rest = shape
    assert spikes.shape == (steps, batch, 2 * features, *rest)
    expected = np.zeros(spikes.shape)
    for b, t, f, *place in np.ndindex(*shape):
        if t > 0:
            change = x[(b, t, f, *place)] - x[(b, t - 1, f, *place)]
            expected[(t, b, f, *place)] = change > 0.25
            expected[(t, b, features + f, *place)] = -change > 0.25
    np.testing.assert_array_equal(spikes.numpy(), expected)


def test_a_change_equal_to_the_threshold_is_no_spike():
    spikes = DeltaModulation(0.5)(torch.tensor([[0.0, 0.5, 1.25, 0.75, 0.0]]))
    assert spikes.shape == (5, 1, 2)
    assert spikes[:, 0, 0].tolist() == [0, 0, 1, 0, 0]
    assert spikes[:, 0, 1].tolist() == [0, 0, 0, 0, 1]


def test_sequences_are_turned_without_a_copy():
    x = uniform(3, 7, 2)
    y = TimeFirst()(x)
    assert torch.equal(y, x.permute(1, 0, 2))
    assert y.data_ptr() == x.data_ptr()
    assert TimeFirst()(x[..., 0]).shape == (7, 3, 1)


@pytest.mark.parametrize("encoder", OF_SEQUENCES, ids=name)
@pytest.mark.parametrize("shape", [(3,), (3, 0, 2)])
def test_what_is_no_sequence_is_refused(encoder: nn.Module, shape: tuple[int, ...]):
    with pytest.raises(UserError, match=rf"^{name(encoder)} takes sequences \[B, T, \*\]"):
        encoder(torch.zeros(shape))


# Population


@pytest.mark.parametrize(("low", "high", "fields", "gamma"), [(0.0, 1.0, 3, 1.5), (-3.0, 5.0, 8, 1.0)])
def test_a_population_responds_as_gaussian_fields(low: float, high: float, fields: int, gamma: float):
    x = low + (high - low) * uniform(4, 2, 3).double()
    responses = Population(Latency(5), fields, low, high, gamma).responses(x)
    assert responses.shape == (4, 2, 3 * fields)
    width = (high - low) / (fields - 2) / gamma
    for b, c, f in np.ndindex(4, 2, 3):
        for i in range(1, fields + 1):
            centre = low + (2 * i - 3) / 2 * (high - low) / (fields - 2)
            expected = math.exp(-((x[b, c, f].item() - centre) ** 2) / (2 * width**2))
            assert responses[b, c, f * fields + i - 1].item() == pytest.approx(expected, rel=1e-9)


def test_a_population_hands_its_responses_to_its_encoder():
    x = uniform(4, 3)
    population = Population(Latency(10, threshold=0.1), 6)
    spikes = population(x)
    assert spikes.shape == (10, 4, 18)
    assert torch.equal(spikes, Latency(10, threshold=0.1)(population.responses(x)))
    assert population(x[:, 0]).shape == (10, 4, 6)


# Poisson


@pytest.mark.parametrize("rate", [1.0, 0.4])
def test_poisson_rates_are_the_values_within_binomial_bounds(rate: float):
    steps, x = 4000, torch.tensor([[0.0, 0.1, 0.5, 0.9, 1.0]])
    spikes = PoissonRate(steps, rate, seed=1)(x)
    assert set(spikes.unique().tolist()) == {0.0, 1.0}
    p = rate * x.numpy()
    deviation = np.abs(spikes.mean(0).numpy() - p)
    assert (deviation <= 4.5 * np.sqrt(p * (1 - p) / steps) + 1e-7).all()


def test_poisson_spikes_are_independent_over_steps_samples_and_draws():
    encoder = PoissonRate(2000, seed=3)
    x = torch.full((4, 2), 0.5)
    first, second = encoder(x) - 0.5, encoder(x) - 0.5
    trains = torch.cat([first.flatten(1), second.flatten(1)], 1).T
    covariance = trains @ trains.T / 2000 - 0.25 * torch.eye(16)
    assert covariance.abs().max() < 0.25 * 5 / math.sqrt(2000)
    for lag in (1, 2, 5):
        assert (first[lag:] * first[:-lag]).mean().abs() < 0.25 * 4.5 / math.sqrt(8 * (2000 - lag))


def test_the_same_seed_gives_the_same_spikes_and_another_gives_others():
    x = uniform(8, 4)
    one, same, other = PoissonRate(seed=5), PoissonRate(seed=5), PoissonRate(seed=6)
    draws = [one(x) for _ in range(3)]
    assert all(torch.equal(draw, same(x)) for draw in draws)
    assert not torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], other(x))


def test_poisson_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    PoissonRate()(uniform(3, 2))
    assert torch.equal(torch.get_rng_state(), before)


def test_evaluation_neither_changes_training_draws_nor_depends_on_them():
    x = uniform(8, 4)
    undisturbed, disturbed = PoissonRate(seed=2), PoissonRate(seed=2)
    fresh = disturbed.eval()(x)
    for _ in range(3):
        expected = undisturbed.train()(x)
        assert torch.equal(disturbed.train()(x), expected)
        assert torch.equal(disturbed.eval()(x), fresh)
        assert not torch.equal(fresh, expected)


def test_draws_differ_between_processes(monkeypatch: pytest.MonkeyPatch):
    x = uniform(8, 4)
    alone = PoissonRate(seed=2)(x)
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 1)
    assert not torch.equal(PoissonRate(seed=2)(x), alone)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_draws_are_the_same_in_every_dtype(dtype: torch.dtype):
    x = torch.randint(0, 9, (8, 4), generator=torch.Generator().manual_seed(0)) / 8
    spikes = PoissonRate()(x.to(dtype))
    assert spikes.dtype == dtype
    assert torch.equal(spikes.float(), PoissonRate()(x))


# What all share


@pytest.mark.parametrize("encoder", OF_SAMPLES + OF_SEQUENCES, ids=name)
def test_the_layout_in_memory_makes_no_difference(encoder: nn.Module):
    encoder.eval()
    x = uniform(4, 6, 3)
    strange = torch.empty(3, 12, 4)[:, ::2].permute(2, 1, 0)
    strange.copy_(x)
    assert not strange.is_contiguous()
    assert torch.equal(encoder(strange), encoder(x))
    assert torch.equal(encoder(x[:1].expand(4, 6, 3)), encoder(x[:1].repeat(4, 1, 1)))


@pytest.mark.parametrize("encoder", OF_SAMPLES + OF_SEQUENCES, ids=name)
def test_an_empty_batch_stays_one(encoder: nn.Module):
    steps, batch, *sample = encoder(torch.zeros(0, 5, 3)).shape
    assert (steps, batch) == (5, 0)
    assert sample == list(encoder(torch.zeros(2, 5, 3)).shape[2:])


@pytest.mark.parametrize("encoder", [type(e)(1) for e in OF_SAMPLES if not isinstance(e, Population)], ids=name)
def test_one_step_is_enough(encoder: nn.Module):
    assert encoder(uniform(3, 2)).shape == (1, 3, 2)


@pytest.mark.parametrize("encoder", [*OF_SAMPLES[:-2], Population(Latency(5), low=-1, high=1)], ids=name)
@pytest.mark.parametrize("value", [-1.5, 1.5, math.nan, math.inf, -math.inf])
def test_a_value_out_of_range_is_refused_in_one_line(encoder: nn.Module, value: float):
    x = uniform(4, 3)
    x[2, 1] = value
    if isinstance(encoder, LogarithmicLatency) and value == 1.5:
        assert encoder(x).shape == (5, 4, 3)
        return
    with pytest.raises(UserError) as caught:
        encoder(x)
    low = {"Population": "[-1, 1]", "LogarithmicLatency": "[0, inf)"}.get(name(encoder), "[0, 1]")
    unit = low == "[0, 1]" and math.isfinite(value)
    remedy = ": scale it, as data.scaling unit of litspike.data.Arrays does" if unit else ""
    assert str(caught.value) == f"{name(encoder)}: the input holds {value:g}, which is outside {low}{remedy}"


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_delta_modulation_refuses_what_is_not_finite(value: float):
    with pytest.raises(UserError, match=r"^DeltaModulation: the input holds"):
        DeltaModulation()(torch.tensor([[0.0, value]]))


@pytest.mark.parametrize("encoder", [*OF_SAMPLES[:-1], DeltaModulation()], ids=name)
def test_whole_numbers_are_refused(encoder: nn.Module):
    with pytest.raises(UserError, match=rf"^{name(encoder)}: the input is int64, not floating-point"):
        encoder(torch.zeros(2, 3, dtype=torch.int64))


@pytest.mark.parametrize("encoder", [*OF_SAMPLES[:-2], DeltaModulation()], ids=name)
def test_spikes_pass_no_gradient_to_the_samples(encoder: nn.Module):
    assert not encoder(uniform(2, 3).requires_grad_()).requires_grad


@pytest.mark.parametrize(
    ("make", "setting"),
    [
        (lambda: PoissonRate(0), "steps"),
        (lambda: PoissonRate(rate=0.0), "rate"),
        (lambda: PoissonRate(rate=1.1), "rate"),
        (lambda: PoissonRate(seed=-1), "seed"),
        (lambda: PoissonRate(seed=2**32), "seed"),
        (lambda: Latency(0), "steps"),
        (lambda: Latency(threshold=1.0), "threshold"),
        (lambda: LogarithmicLatency(0), "steps"),
        (lambda: LogarithmicLatency(tau=0.0), "tau"),
        (lambda: LogarithmicLatency(threshold=0.0), "threshold"),
        (lambda: DeltaModulation(-0.1), "threshold"),
        (lambda: Population(Latency(), fields=2), "fields"),
        (lambda: Population(Latency(), low=1.0, high=1.0), "low"),
        (lambda: Population(Latency(), gamma=0.0), "gamma"),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name(make, setting: str):
    with pytest.raises(SettingError, match=f"^{setting}: "):
        make()
