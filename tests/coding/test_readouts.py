"""Readouts, against closed forms and NumPy loops."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from litspike.coding import EveryStep, FirstSpike, LeakyIntegratorReadout, LinearOfRates
from litspike.neurons import LIF, LeakyIntegrator
from litspike.settings import SettingError, UserError


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def binary(*shape: int, rate: float = 0.3, seed: int = 0) -> torch.Tensor:
    return (torch.rand(shape, generator=torch.Generator().manual_seed(seed)) < rate).double()


# Linear of the rates


def test_rates_are_standardised_by_the_batch_in_training_and_by_all_batches_of_training_afterwards():
    readout, lengths = LinearOfRates(5, 3).double(), torch.tensor([7, 2, 4, 6])
    weight, bias = (value.detach().numpy() for value in readout.linear.parameters())
    means, variances = [], []
    for seed in (0, 1):
        spikes = binary(7, 4, 5, seed=seed)
        rates = np.stack([sample[:n].mean(0) for sample, n in zip(spikes.numpy().swapaxes(0, 1), lengths, strict=True)])
        z = (rates - rates.mean(0)) / np.sqrt(rates.var(0) + 1e-5)
        np.testing.assert_allclose(readout(spikes, lengths).detach().numpy(), z @ weight.T + bias, rtol=1e-10)
        means.append(rates.mean(0))
        variances.append(rates.var(0, ddof=1))
    z = (rates - np.mean(means, 0)) / np.sqrt(np.mean(variances, 0) + 1e-5)
    found = readout.eval()(spikes, lengths)
    np.testing.assert_allclose(found.detach().numpy(), z @ weight.T + bias, rtol=1e-10)
    torch.testing.assert_close(readout(spikes[:, :1], lengths[:1]), found[:1])


def test_a_linear_of_rates_without_neurons_or_values_is_refused():
    with pytest.raises(SettingError, match=r"^inputs: 0 is less than 1"):
        LinearOfRates(0, 2)
    with pytest.raises(SettingError, match=r"^outputs: 0 is less than 1"):
        LinearOfRates(4, 0)


# Leaky integrator


@pytest.mark.parametrize("read", ["mean", "max", "last"])
@pytest.mark.parametrize("shape", [(7, 3, 2), (1, 3, 2), (4, 2, 3, 2)])
def test_what_is_read_is_of_the_integrators_potential(read: str, shape: tuple[int, ...]):
    outputs = normal(*shape)
    u, potential = np.zeros(shape[1:]), []
    for x in outputs.numpy():
        u = 0.8 * u + x
        potential.append(u)
    expected = {"mean": np.mean(potential, 0), "max": np.max(potential, 0), "last": potential[-1]}[read]
    readout = LeakyIntegratorReadout(read, LeakyIntegrator(decay=0.8))
    np.testing.assert_allclose(readout(outputs).numpy(), expected, rtol=1e-12, atol=1e-14)


def test_the_integrator_decays_by_a_tenth_where_none_is_given():
    outputs = torch.zeros(3, 1, 1)
    outputs[0] = 1
    assert LeakyIntegratorReadout("last")(outputs).item() == pytest.approx(0.81)


def test_the_last_potential_has_the_closed_forms_gradient():
    outputs = normal(6, 2, 3).requires_grad_()
    LeakyIntegratorReadout("last", LeakyIntegrator(decay=0.7))(outputs).sum().backward()
    expected = 0.7 ** np.arange(5, -1, -1)[:, None, None] * np.ones((6, 2, 3))
    np.testing.assert_allclose(outputs.grad.numpy(), expected, rtol=1e-12)


def test_the_maximum_passes_its_gradient_to_the_steps_before_it_alone():
    outputs = torch.tensor([1.0, 2.0, -5.0, 1.0], dtype=torch.float64).view(4, 1, 1).requires_grad_()
    LeakyIntegratorReadout("max", LeakyIntegrator(decay=0.5))(outputs).sum().backward()
    assert outputs.grad.flatten().tolist() == [0.5, 1.0, 0.0, 0.0]


def test_a_decay_learned_per_layer_gets_a_gradient():
    readout = LeakyIntegratorReadout("mean", LeakyIntegrator(decay=0.8, learn={"decay": "layer"}))
    readout(torch.ones(5, 2, 3)).sum().backward()
    (free,) = readout.parameters()
    assert free.grad.item() > 0


def test_a_decay_learned_per_output_needs_their_number():
    integrator = LeakyIntegrator(decay=0.8, learn={"decay": "neuron"})
    with pytest.raises(SettingError, match=r"^outputs: None must be the number of outputs, as decay is learned"):
        LeakyIntegratorReadout(integrator=integrator)
    for readout in (
        LeakyIntegratorReadout(integrator=integrator, outputs=3),
        LeakyIntegratorReadout(integrator=integrator.shaped(3)),
    ):
        assert [list(parameter.shape) for parameter in readout.parameters()] == [[3]]
        assert readout(torch.ones(5, 2, 3)).shape == (2, 3)


def test_two_readouts_share_no_integrator():
    integrator = LeakyIntegrator(decay=0.8, learn={"decay": "layer"})
    one, two = LeakyIntegratorReadout(integrator=integrator), LeakyIntegratorReadout(integrator=integrator)
    assert next(one.parameters()) is not next(two.parameters())


def test_an_unknown_reading_is_refused():
    with pytest.raises(SettingError, match=r"^read: 'least' is none of mean, max, last"):
        LeakyIntegratorReadout("least")  # type: ignore[arg-type]


# Every step


@pytest.mark.parametrize("shape", [(7, 3, 2), (1, 3, 2), (4, 2, 3, 2)])
@pytest.mark.parametrize("decay", [None, 0.8])
def test_every_steps_value_is_the_output_or_the_potential_with_the_batch_first(
    decay: float | None, shape: tuple[int, ...]
):
    outputs = normal(*shape)
    u, expected = np.zeros(shape[1:]), np.empty((shape[1], shape[0], *shape[2:]))
    for t, x in enumerate(outputs.numpy()):
        u = x if decay is None else decay * u + x
        expected[:, t] = u
    readout = EveryStep(None if decay is None else LeakyIntegrator(decay=decay))
    np.testing.assert_allclose(readout(outputs).numpy(), expected, rtol=1e-12, atol=1e-14)


def test_a_decay_learned_per_output_gets_a_gradient_from_every_step():
    readout = EveryStep(LeakyIntegrator(decay=0.8, learn={"decay": "neuron"}), outputs=3)
    value = readout(torch.ones(5, 2, 3))
    assert value.shape == (2, 5, 3)
    value[:, 1:].sum().backward()
    (free,) = readout.parameters()
    assert (free.grad > 0).all()


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"outputs": 3}, "outputs: 3 is given without an integrator, which alone needs it"),
        ({"integrator": LeakyIntegrator(learn={"decay": "neuron"})}, "outputs: None must be the number of outputs"),
    ],
)
def test_a_number_of_outputs_goes_with_an_integrator_that_needs_it(settings: dict[str, Any], line: str):
    with pytest.raises(SettingError, match=f"^{line}"):
        EveryStep(**settings)


# First spike


@pytest.mark.parametrize("shape", [(9, 4, 3), (1, 4, 3), (5, 2, 3, 2), (5, 0, 3)])
def test_the_logit_is_minus_the_time_of_the_first_spike(shape: tuple[int, ...]):
    spikes = binary(*shape)
    expected = np.zeros(shape[1:])
    for place in np.ndindex(*shape[1:]):
        train = spikes[(slice(None), *place)].tolist()
        expected[place] = -(train.index(1.0) if 1.0 in train else shape[0]) / 2.5
    np.testing.assert_allclose(FirstSpike(tau=2.5)(spikes).numpy(), expected, rtol=1e-12)


def test_the_gradient_is_the_time_that_a_spike_would_have_saved():
    spikes = binary(8, 5, 4, rate=0.25, seed=3)
    spikes[:, 0, 0], spikes[:, 0, 1] = 0, 1
    spikes.requires_grad_()
    FirstSpike()(spikes).sum().backward()
    for b, n in np.ndindex(5, 4):
        train = spikes[:, b, n].tolist()

        def first(without: int, train: list[float] = train) -> int:
            return next((t for t, s in enumerate(train) if s == 1 and t != without), 8)

        # the time is linear in each spike: its slope is the time with the spike less the time without
        expected = [first(k) - min(first(k), k) for k in range(8)]
        assert spikes.grad[:, b, n].tolist() == expected


def first_of_all(potentials: np.ndarray, sharpness: float) -> np.ndarray:
    """Log-probability of each neuron to be first, the chance that none fires shared, by drawing the steps in turn."""
    steps, batch, count = potentials.shape
    h = 1 / (1 + np.exp(-sharpness * (potentials - 1)))
    result = np.empty((batch, count))
    for b in range(batch):
        chance, alive = np.zeros(count), 1.0
        for t in range(steps):
            chance += alive * h[t, b]
            alive *= np.prod(1 - h[t, b])
        result[b] = np.log(chance + alive / count)
    return result


@pytest.mark.parametrize("shape", [(9, 4, 3), (1, 4, 3), (5, 2, 3, 2), (5, 0, 3)])
@pytest.mark.parametrize("sharpness", [1.0, 5.0])
def test_in_training_the_logit_is_the_log_probability_of_being_first(shape: tuple[int, ...], sharpness: float):
    outputs = normal(*shape) / 2
    u, potentials = np.zeros(shape[1:]), []
    for x in outputs.numpy():
        u = 0.8 * u + x
        potentials.append(u)
        u = np.where(u >= 1, 0, u)
    flat = np.array(potentials).reshape(*shape[:2], math.prod(shape[2:]))
    expected = first_of_all(flat, sharpness).reshape(shape[1:])
    readout = FirstSpike(LIF(decay=0.8, leak="before_input"), sharpness=sharpness)
    np.testing.assert_allclose(readout(outputs).numpy(), expected, rtol=1e-9)
    whole = FirstSpike(LIF(decay=0.8, leak="before_input")).eval()
    assert torch.equal(whole(outputs), FirstSpike()(LIF(decay=0.8, leak="before_input")(outputs)[0]))


def test_probabilities_of_being_first_are_of_the_steps_inside_a_sequence():
    outputs, lengths = normal(9, 3, 4), torch.tensor([9, 4, 1])
    outputs.requires_grad_()
    together = FirstSpike(LIF())(outputs, lengths)
    for b, length in enumerate(lengths.tolist()):
        torch.testing.assert_close(together[b], FirstSpike(LIF())(outputs[:length, b : b + 1])[0])
    together.sum().backward()
    assert outputs.grad.isfinite().all()
    assert (outputs.grad[4:, 1] == 0).all()


def test_a_very_steep_probability_of_firing_makes_the_first_spike_certain():
    outputs = 2 * normal(30, 50, 3)
    logits = FirstSpike(LIF(), sharpness=1e6)(outputs)
    times = FirstSpike(LIF()).eval()(outputs)
    alone = (times == times.amax(1, keepdim=True)).sum(1) == 1
    assert alone.sum() > 10
    assert torch.equal(logits.argmax(1)[alone], times.argmax(1)[alone])
    torch.testing.assert_close(logits.amax(1)[alone], torch.zeros(int(alone.sum()), dtype=torch.float64))


@pytest.mark.parametrize("level", [0.0, 0.05])
def test_where_none_fires_the_wanted_neuron_learns_to_and_the_others_not_to(level: float):
    outputs = torch.full((6, 2, 3), level, requires_grad=True)
    torch.nn.functional.cross_entropy(FirstSpike(LIF())(outputs), torch.tensor([0, 2])).backward()
    assert (outputs.grad[:, 0, 0] < 0).all()
    assert (outputs.grad[:, 1, 2] < 0).all()
    assert (outputs.grad[:, 0, 1:] > 0).all()


def test_neurons_without_spikes_are_refused_in_training_too():
    with pytest.raises(UserError, match=r"^FirstSpike: the input holds"):
        FirstSpike(LeakyIntegrator())(torch.full((3, 1, 2), 2.0))


def test_outputs_that_are_no_spikes_are_refused():
    with pytest.raises(UserError, match=r"^FirstSpike: the input holds 1\.25, which is outside \[0, 1\]"):
        FirstSpike()(torch.tensor([0.0, 1.25]).view(2, 1, 1))


def test_a_time_unit_of_zero_is_refused():
    with pytest.raises(SettingError, match=r"^tau: "):
        FirstSpike(tau=0.0)
    with pytest.raises(SettingError, match=r"^sharpness: "):
        FirstSpike(sharpness=0.0)
