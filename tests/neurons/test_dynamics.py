"""What is known of the models in closed form: time courses below the threshold, firing rates, the onset of firing."""

import math

import numpy as np
import pytest
import torch

from litspike.neurons import (
    LIF,
    AdaptiveExponential,
    AdaptiveLIF,
    Izhikevich,
    LeakyIntegrator,
    QuadraticIF,
    ResonateAndFire,
)


def constant(value, steps):
    return torch.full((steps, 1, 1), float(value), dtype=torch.float64)


def spike_times(neuron, value, steps):
    spikes, _ = neuron(constant(value, steps))
    return spikes[:, 0, 0].nonzero()[:, 0].numpy()


def test_lif_approaches_the_solution_of_its_differential_equation_at_first_order():
    """τ du/dt = −u + x(t) with x = sin(t): an impulse of x dt / τ stands for the input of one step."""
    tau, end = 2.0, 3.0
    exact = (np.sin(end) - tau * np.cos(end) + tau * np.exp(-end / tau)) / (1 + tau**2)
    errors = []
    for steps in (100, 200, 400, 800):
        dt = end / steps
        x = torch.sin(torch.arange(steps, dtype=torch.float64) * dt) * dt / tau
        _, state = LIF(tau=tau, dt=dt, threshold=100.0)(x.view(-1, 1, 1))
        errors.append(abs(state.u.item() - exact))
    orders = np.log2(np.array(errors[:-1]) / np.array(errors[1:]))
    np.testing.assert_allclose(orders, 1, atol=0.05)


@pytest.mark.parametrize("model", [LIF, LeakyIntegrator])
def test_scaled_input_is_exact_for_a_constant_input_at_any_step(model):
    """τ du/dt = −u + x gives u = x (1 − exp(−t / τ))."""
    more = {"leak": "before_input", "threshold": 100.0} if model is LIF else {}
    _, state = model(tau=3.0, dt=1.5, input_gain="one_minus_decay", **more)(constant(0.7, 4))
    assert state.u.item() == pytest.approx(0.7 * (1 - math.exp(-4 * 1.5 / 3.0)), rel=1e-12)


def test_lif_fires_at_the_rate_of_the_closed_form():
    """From zero, τ du/dt = −u + x takes τ ln(x / (x − θ)) to reach θ."""
    dt, x = 0.001, 1.5
    neuron = LIF(tau=1.0, dt=dt, input_gain="one_minus_decay", leak="before_input")
    intervals = np.diff(spike_times(neuron, x, 5000)) * dt
    np.testing.assert_allclose(intervals, math.log(x / (x - 1)), atol=2 * dt)


def test_quadratic_fires_at_the_rate_of_the_closed_form():
    """du/dt = u² − u + x takes (2 / r) [atan(2 (u − ½) / r)] between u_r and θ, with r = √(4 x − 1)."""
    dt, x = 0.0005, 1.0
    intervals = np.diff(spike_times(QuadraticIF(tau=1.0, dt=dt, threshold=20.0, reset_value=-3.0), x, 20_000)) * dt
    root = math.sqrt(4 * x - 1)
    expected = (math.atan(2 * 19.5 / root) - math.atan(2 * -3.5 / root)) * 2 / root
    assert len(intervals) > 1
    np.testing.assert_allclose(intervals, expected, rtol=1e-3)


def test_quadratic_starts_to_fire_at_a_quarter_of_sharpness_times_critical_squared():
    neuron = QuadraticIF(sharpness=2.0, critical=1.5, threshold=5.0, tau=1.0, dt=0.05)
    onset = 2.0 * 1.5**2 / 4
    assert len(spike_times(neuron, onset * 0.98, 4000)) == 0
    assert len(spike_times(neuron, onset * 1.02, 4000)) > 1


def test_resonate_and_fire_rings_at_its_frequency_and_damping():
    """After an impulse u(t) = exp(−t / τ) sin(2π f t), exactly."""
    x = constant(0, 200)
    x[0] = 1.0
    neuron = ResonateAndFire(frequency=0.02, tau=50.0, dt=0.5, threshold=10.0)
    state, potential = None, []
    for piece in x.split(1):
        _, state = neuron(piece, state)
        potential.append(state.u.item())
    t = np.arange(200) * 0.5
    np.testing.assert_allclose(potential, np.exp(-t / 50) * np.sin(2 * np.pi * 0.02 * t), atol=1e-12)


def test_resonate_and_fire_prefers_pulses_at_its_frequency():
    def spikes(period):
        x = constant(0, 400)
        x[::period] = 0.6
        return ResonateAndFire(frequency=0.05, tau=40.0)(x)[0].sum()

    assert spikes(20) > 0  # one pulse a cycle
    assert spikes(10) == 0  # twice as many, in opposite phases


def test_izhikevich_starts_to_fire_where_its_fixed_point_loses_stability():
    """Regular spiking: the trace of the Jacobian is 0 at u = (a − 5) / 0.08, which is the fixed point of x = 3.8."""
    u = (0.02 - 5) / 0.08
    onset = -(0.04 * u * u + (5 - 0.2) * u + 140)
    neuron = Izhikevich(dt=0.1)
    assert len(spike_times(neuron, onset - 0.3, 10_000)) <= 1  # the one that the sudden onset may cause
    assert len(spike_times(neuron, onset + 0.3, 10_000)) > 5


def test_izhikevich_regular_spiking_slows_down_and_fast_spiking_does_not():
    regular = np.diff(spike_times(Izhikevich(), 10, 1000))
    fast = np.diff(spike_times(Izhikevich(a=0.1, d=2.0), 10, 1000))
    assert regular[-1] > 1.5 * regular[0]
    assert np.abs(fast[2:] - np.median(fast)).max() <= 2  # steps
    assert len(fast) > 2 * len(regular)


def test_adaptive_exponential_starts_to_fire_at_its_rheobase():
    """Without coupling du/dt is least at u = V_T, and above 0 even there from x = g_L (V_T − E_L − Δ)."""
    neuron = AdaptiveExponential(coupling=0.0, jump=0.0)
    onset = 30.0 * (-50.4 + 70.6 - 2.0)
    assert len(spike_times(neuron, onset * 0.99, 10_000)) == 0
    assert len(spike_times(neuron, onset * 1.01, 10_000)) > 1


@pytest.mark.parametrize(("neuron", "x"), [(AdaptiveExponential(), 1000.0), (AdaptiveLIF(adaptation=0.5), 0.5)])
def test_adaptation_spaces_the_spikes_out(neuron, x):
    intervals = np.diff(spike_times(neuron, x, 4000))
    assert intervals[:20].max() > 1.5 * intervals[0]
