"""Gradients: against a hand-derived adjoint, against finite differences, and with the reset detached."""

import numpy as np
import pytest
import torch

from litspike.neurons import (
    IF,
    LIF,
    AdaptiveExponential,
    AdaptiveLIF,
    Izhikevich,
    LeakyIntegrator,
    QuadraticIF,
    RefractoryLIF,
    ResonateAndFire,
    SynapticLIF,
)
from litspike.surrogates import ArcTan, Gaussian, ZeroGradient
from tests.grids import grid
from tests.oracles.neurons import lif_adjoint

RESETTING = [IF, LIF, RefractoryLIF, SynapticLIF, Izhikevich, AdaptiveExponential, ResonateAndFire, QuadraticIF]
DRIVES = {AdaptiveExponential: 30_000.0, Izhikevich: 200.0, QuadraticIF: 15.0}
FIRES_AT = {AdaptiveExponential: "peak"}  # the parameter, where it is not the threshold


@pytest.mark.parametrize("detach", [False, True])
@pytest.mark.parametrize("reset", ["zero", "subtract"])
def test_lif_gradients_are_those_of_the_hand_derived_adjoint(reset, detach):
    rng = np.random.default_rng(3)
    x, grad_spikes, grad_u = rng.normal(0.3, 0.8, (40, 6)), rng.normal(size=(40, 6)), rng.normal(size=6)
    learn = {"decay": "layer", "threshold": "layer"}
    neuron = LIF(
        decay=0.8, threshold=0.9, reset=reset, detach_reset=detach, surrogate=ArcTan(3.0), learn=learn
    ).double()
    current = torch.tensor(x).unsqueeze(1).requires_grad_()
    start = LIF.State(torch.zeros(1, 6, dtype=torch.float64, requires_grad=True))
    spikes, state = neuron(current, start)
    ((spikes[:, 0] * torch.tensor(grad_spikes)).sum() + (state.u[0] * torch.tensor(grad_u)).sum()).backward()

    decay, threshold = neuron.decay.item(), neuron.threshold.item()
    slope = lambda v: 1.5 / (1 + (np.pi * 1.5 * v) ** 2)  # noqa: E731
    of_x, of_u, of_decay, of_threshold = lif_adjoint(x, decay, threshold, reset, detach, slope, grad_spikes, grad_u)
    assert spikes.mean() > 0.1
    np.testing.assert_allclose(current.grad[:, 0].numpy(), of_x, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(start.u.grad[0].numpy(), of_u, rtol=1e-9, atol=1e-12)
    # the free parameters are logit(decay) and log(threshold)
    assert neuron.free_decay.grad.item() == pytest.approx(of_decay * decay * (1 - decay), rel=1e-9)
    assert neuron.free_threshold.grad.item() == pytest.approx(of_threshold * threshold, rel=1e-9)


PIECEWISE = [  # with its parameters that a state depends on between spikes
    (IF, {"reset": "value", "reset_value": 0.2}, ["reset_value"]),
    (IF, {"reset": "subtract"}, ["threshold"]),
    (LIF, {}, ["decay"]),
    (LIF, {"tau": 4.0, "input_gain": "one_minus_decay", "threshold": 0.2}, ["tau"]),
    (RefractoryLIF, {"refractory": 2.0, "leak": "before_input"}, ["decay"]),
    (LeakyIntegrator, {}, ["decay"]),
    (SynapticLIF, {"synapse_tau": 3.0}, ["decay", "synapse_tau"]),
    (AdaptiveLIF, {"reset": "subtract"}, ["decay", "threshold", "adaptation", "adaptation_decay"]),
    (AdaptiveExponential, {}, ["capacitance", "leak_conductance", "leak_reversal", "threshold", "slope"]),
    (AdaptiveExponential, {}, ["tau", "coupling", "jump", "reset_value"]),
    (Izhikevich, {}, ["a", "b", "c", "d"]),
    (ResonateAndFire, {"reset_value": 0.1}, ["decay", "frequency", "reset_value"]),
    (QuadraticIF, {"reset_value": 0.1}, ["sharpness", "critical", "tau", "reset_value"]),
]


def case_name(value):
    return value if isinstance(value, str) else f"{value[0].__name__}-{'-'.join(value[2])}"


@pytest.mark.parametrize(("case", "spread"), grid(PIECEWISE, ["layer", "neuron"], name=case_name))
def test_gradients_between_spikes_are_the_finite_differences(case, spread):
    """With the spike's real derivative, zero, autograd is exact wherever no spike is about to appear or vanish."""
    model, settings, names = case
    settings = dict(settings) if model is LeakyIntegrator else {**settings, "surrogate": ZeroGradient()}
    neuron = model(**settings, learn={name: spread for name in names}).shaped(3).double()
    free = dict(neuron.named_parameters())
    assert sorted(free) == sorted(f"free_{name}" for name in names)
    noise = torch.randn(8, 2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    x = (noise * 0.3 + 1) * DRIVES.get(model, 0.7)
    spikes, _ = neuron(x)
    assert model is LeakyIntegrator or 0 < spikes.mean() < 1

    def final(current, *values):
        return torch.func.functional_call(neuron, dict(zip(free, values, strict=True)), (current,))[1]

    inputs = [value.detach().clone().requires_grad_() for value in (x, *free.values())]
    assert torch.autograd.gradcheck(final, inputs, eps=1e-7, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("model", RESETTING)
def test_a_spike_carries_its_surrogate_at_its_distance_from_the_threshold(model):
    """After one step the spikes depend on x through the potential before the reset alone."""
    surrogate = Gaussian(2.0)
    drive = DRIVES.get(model, 1.0)
    neuron = model(surrogate=surrogate)
    start = neuron.State(*(torch.tensor([[float(value)]], dtype=torch.float64) for value in neuron.at_rest()))
    if model is ResonateAndFire:
        start = start._replace(u=start.u.requires_grad_())  # its input reaches u one step later
    x = torch.full((1, 1, 1), drive * 0.9, dtype=torch.float64, requires_grad=True)
    source = start.u if model is ResonateAndFire else x
    spikes, _ = neuron(x, start)
    silent = model(surrogate=surrogate, **{FIRES_AT.get(model, "threshold"): 1e9})
    potential = silent(x, start)[1].u / (silent.constants()[0] if model in (LIF, RefractoryLIF) else 1)
    (rise,) = torch.autograd.grad(potential.sum(), source, retain_graph=True)
    (grad,) = torch.autograd.grad(spikes.sum(), source)
    distance = potential.detach() - getattr(neuron, FIRES_AT.get(model, "threshold"))
    expected = surrogate.derivative(distance) * rise
    assert grad.item() == pytest.approx(expected.item(), rel=1e-6, abs=1e-300)


@pytest.mark.parametrize("model", RESETTING)
def test_detached_reset_takes_the_spike_out_of_the_state_s_gradient(model):
    def grad(**settings):
        x = (torch.randn(20, 2, 3, generator=torch.Generator().manual_seed(5), dtype=torch.float64) + 1.5) / 2
        x = (x * DRIVES.get(model, 1.0)).requires_grad_()
        spikes, state = model(**settings)(x)
        assert 0 < spikes.mean() < 1
        sum(value.sum() for value in state).backward()
        return x.grad

    wide = Gaussian(50.0)
    detached = grad(surrogate=wide, detach_reset=True)
    assert torch.equal(detached, grad(surrogate=ZeroGradient()))
    assert not torch.allclose(detached, grad(surrogate=wide), rtol=1e-3)
