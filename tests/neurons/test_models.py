"""Every model computes its equation: spikes and states equal those of an independent NumPy implementation."""

from itertools import product

import numpy as np
import pytest
import torch

from litspike.neurons import (
    IF,
    LIF,
    AdaptiveExponential,
    AdaptiveLIF,
    BalancedResonateAndFire,
    GradedLIF,
    Izhikevich,
    LeakyIntegrator,
    QuadraticIF,
    RefractoryLIF,
    ResonateAndFire,
    SymplecticAdaptiveLIF,
    SynapticLIF,
)
from litspike.settings import SettingError, UserError
from tests.models import DRIVES, FIRING, MODELS
from tests.oracles import neurons as oracle

# Each pair says the same thing to litspike and to the oracle.
RESETS = [
    ({}, {}),
    ({"reset": "value", "reset_value": -0.3}, {"kind": "value", "value": -0.3}),
    ({"reset": "subtract", "threshold": 0.8}, {"kind": "subtract", "threshold": 0.8}),
]
LEAKS = [({"leak": leak}, {"leak": leak}) for leak in ("before_input", "before_reset", "after_reset")]
GAINS = [
    ({"decay": 0.7}, {"decay": 0.7}),
    ({"input_gain": "one_minus_decay", "tau": 5.0, "dt": 2.0}, {"scaled": True, "decay": np.exp(-0.4)}),
]
TAUS = ({"tau": 4.0, "dt": 2.0}, {"decay": np.exp(-0.5)})


def every(*choices):
    """All combinations of pairs, each merged into one pair."""
    return [
        tuple({k: v for d in side for k, v in d.items()} for side in zip(*c, strict=True)) for c in product(*choices)
    ]


ADAPTATION = ({"adaptation_tau": 2.0, "adaptation": 0.7}, {"adaptation_decay": np.exp(-0.5), "adaptation": 0.7})
SYMPLECTIC = (
    {"adaptation_tau": 60.0, "coupling": 100.0, "jump": 20.0, "input_gain": "one"},
    {"adaptation_decay": np.exp(-1 / 60), "a": 100.0, "b": 20.0, "scaled": False},
)
FAST = ({"frequency": 6.0, "damping": 0.5, "refractory_decay": 0.5}, {"frequency": 6.0, "damping": 0.5, "gamma": 0.5})
ADEX = ({"dt": 0.5, "jump": 10.0}, {"dt": 0.5, "b": 10.0})
CHATTERING = ({"b": 0.25, "d": 2.0, "dt": 0.25},) * 2
SLOW = ({"frequency": 0.03, "dt": 2.0, "reset_value": 1.0}, {"frequency": 0.03, "dt": 2.0, "value": 1.0})
SHARP = ({"sharpness": 2.0, "tau": 5.0, "reset_value": -1.0}, {"k": 2.0, "tau": 5.0, "value": -1.0})
DEFAULT: tuple[dict, dict] = ({}, {})

TABLE = [  # the model, its settings, its oracle, and the mean and deviation of the input
    (IF, RESETS, oracle.integrate_and_fire, (0.2, 0.5)),
    (LIF, every(RESETS, LEAKS, GAINS), oracle.lif, (0.5, 1.5)),
    (RefractoryLIF, every(RESETS, LEAKS, [({"refractory": 3.0}, {"refractory": 3})]), oracle.lif, (0.5, 1.5)),
    (RefractoryLIF, [({"tau": 9.0, "dt": 0.5}, {"decay": np.exp(-1 / 18), "refractory": 2})], oracle.lif, (1, 1)),
    (GradedLIF, [DEFAULT, *GAINS], oracle.graded_lif, (0.5, 1.5)),
    (LeakyIntegrator, [DEFAULT, *GAINS], oracle.leaky_integrator, (0, 1)),
    (SynapticLIF, every(RESETS, [DEFAULT, TAUS]), oracle.synaptic_lif, (0.1, 0.5)),
    (SynapticLIF, [({"synapse_tau": 2.0}, {"synapse_decay": np.exp(-0.5)})], oracle.synaptic_lif, (0.1, 0.5)),
    (AdaptiveLIF, every(RESETS, [DEFAULT, TAUS, ADAPTATION]), oracle.adaptive_lif, (0.5, 1)),
    (SymplecticAdaptiveLIF, RESETS, oracle.symplectic_adaptive_lif, (8, 10)),
    (SymplecticAdaptiveLIF, [SYMPLECTIC], oracle.symplectic_adaptive_lif, (0.5, 1)),
    (BalancedResonateAndFire, [DEFAULT, FAST], oracle.balanced_resonate_and_fire, (0, 80)),
    (AdaptiveExponential, [DEFAULT, ADEX], oracle.adaptive_exponential, (4000, 4000)),
    (Izhikevich, [DEFAULT, CHATTERING], oracle.izhikevich, (15, 15)),
    (ResonateAndFire, [DEFAULT, SLOW], oracle.resonate_and_fire, (0, 1)),
    (QuadraticIF, [DEFAULT, SHARP], oracle.quadratic, (2, 4)),
]
CASES = [(model, *pair, compute, scale) for model, pairs, compute, scale in TABLE for pair in pairs]


def test_every_model_has_an_oracle():
    assert {model for model, *_ in TABLE} == set(MODELS)


@pytest.mark.parametrize(("model", "settings", "numbers", "compute", "scale"), CASES)
def test_spikes_and_states_are_those_of_the_equation(model, settings, numbers, compute, scale):
    x = np.random.default_rng(1).normal(*scale, (300, 40))
    output, state = model(**settings)(torch.tensor(x).unsqueeze(1))
    expected, states = compute(x, **numbers)
    if model is GradedLIF:
        assert 0.01 < (expected > 0).mean() < 0.9
    if model in (GradedLIF, LeakyIntegrator):
        np.testing.assert_allclose(output.numpy()[:, 0], expected, rtol=1e-9)
    else:
        assert 0.01 < expected.mean() < 0.9, "the input must make spikes, and silence"
        np.testing.assert_array_equal(output.numpy()[:, 0], expected)
    for name, value in state._asdict().items():
        np.testing.assert_allclose(value.numpy()[0], states[name], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.9, 1.0])
def test_default_lif_is_bit_for_bit_what_its_equation_says_in_float32(decay):
    x = np.random.default_rng(2).normal(0.3, 1, (200, 64)).astype(np.float32)
    spikes, state = LIF(decay=decay)(torch.tensor(x).unsqueeze(1))
    u, one, beta = np.zeros(64, np.float32), np.float32(1), np.float32(decay)
    for t, current in enumerate(x):
        u = u + current
        s = (u >= one).astype(np.float32)
        u = u * (one - s) * beta
        assert np.array_equal(spikes[t, 0].numpy(), s)
    assert np.array_equal(state.u[0].numpy(), u)


@pytest.mark.parametrize("model", [IF, LIF, RefractoryLIF])
def test_a_potential_at_the_threshold_fires_or_not_as_fires_says(model):
    x = torch.ones(1, 1, 1)
    assert model(threshold=1.0)(x)[0].item() == 1
    assert model(threshold=1.0, fires="above")(x)[0].item() == 0
    assert model(threshold=1.0, fires="above")(x * 1.0001)[0].item() == 1


@pytest.mark.parametrize("model", FIRING)
def test_extreme_input_leaves_finite_states_and_gradients(model):
    x = torch.randn(50, 4, 8) * 1e4
    x.requires_grad_()
    spikes, state = model()(x)
    (spikes.sum() + sum(value.sum() for value in state)).backward()
    assert 0 < (spikes > 0).float().mean() < 1
    assert all(value.isfinite().all() for value in state)
    assert x.grad.isfinite().all()


def test_a_sharp_upswing_that_overflows_floats_is_a_spike_and_no_more():
    neuron = AdaptiveExponential(slope=0.5)
    start = neuron.State(torch.full((1, 1), 10.0, requires_grad=True), torch.zeros(1, 1))
    spikes, state = neuron(torch.zeros(1, 1, 1), start)
    (spikes.sum() + state.u.sum()).backward()
    assert spikes.item() == 1
    assert state.u.item() == pytest.approx(-70.6)
    assert start.u.grad.isfinite()


@pytest.mark.parametrize("model", MODELS)
def test_without_input_a_neuron_stays_at_rest(model):
    neuron = model()
    x = torch.zeros(100, 1, 1, dtype=torch.float64)
    spikes, state = neuron(x)
    assert spikes.sum() == 0
    for value, rest in zip(state, neuron.at_rest(), strict=True):
        assert value.item() == pytest.approx(rest, abs=1e-2)


@pytest.mark.parametrize("model", MODELS)
def test_a_sequence_in_pieces_gives_what_the_whole_gives(model):
    x = torch.randn(60, 3, 5) + DRIVES.get(model, 0.5)
    neuron = model()
    whole, final = neuron(x)
    pieces, state = [], None
    for piece in x.split([1, 20, 39]):
        output, state = neuron(piece, state)
        pieces.append(output)
    assert torch.equal(torch.cat(pieces), whole)
    assert all(torch.equal(a, b) for a, b in zip(state, final, strict=True))


@pytest.mark.parametrize("model", MODELS)
def test_gradients_cross_pieces_unless_the_state_is_detached(model):
    x = (torch.randn(2, 3, 5) + DRIVES.get(model, 0.5)).requires_grad_()
    neuron = model()
    _, state = neuron(x)
    neuron(x.detach(), state)[1][0].sum().backward()
    assert x.grad.abs().sum() > 0
    last, _ = neuron(x.detach(), state.detach())
    assert not last.requires_grad


def test_settings_that_contradict_each_other_are_refused():
    with pytest.raises(SettingError, match=r"^tau: 5.0 is given beside decay 0.9: set one of them to null$"):
        LIF(tau=5.0, decay=0.9)
    with pytest.raises(SettingError, match=r"^synapse_tau: 5.0 is given beside synapse_decay 0.9"):
        SynapticLIF(synapse_tau=5.0, synapse_decay=0.9)
    with pytest.raises(SettingError, match=r"^reset_value: None is given if and only if reset is 'value'$"):
        LIF(reset="value")
    with pytest.raises(SettingError, match=r"^reset_value: 0.5 is given if and only if"):
        IF(reset_value=0.5)
    with pytest.raises(SettingError, match=r"^frequency: 0.3 is above 0.5 / dt = 0.25$"):
        ResonateAndFire(frequency=0.3, dt=2.0)
    with pytest.raises(SettingError, match=r"^peak: -60.0 is not above threshold and reset_value, -50.4$"):
        AdaptiveExponential(peak=-60.0)
    with pytest.raises(SettingError, match=r"^threshold: 0.9 is not above critical and reset_value, 1.0$"):
        QuadraticIF(threshold=0.9)
    with pytest.raises(SettingError, match=r"^leak: 'never' is none of before_input, before_reset, after_reset$"):
        LIF(leak="never")


def test_a_setting_that_a_model_fixes_is_not_on_its_constructor():
    with pytest.raises(TypeError, match="LeakyIntegrator has no setting 'surrogate'"):
        LeakyIntegrator(surrogate=None)


@pytest.mark.parametrize("shape", [(3,), (0, 2, 2)])
def test_a_sequence_of_the_wrong_shape_is_refused(shape):
    with pytest.raises(UserError, match=r"LIF takes \[T, B, \*\] with T ≥ 1"):
        LIF()(torch.zeros(shape))
