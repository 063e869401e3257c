"""Affine neurons compute their equation with numbers of their own for each neuron, in every engine."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from litspike.neurons import Recurrent
from litspike.neurons.affine import (
    AffineIntegrator,
    AffineLIF,
    AffineSynapticIntegrator,
    AffineSynapticLIF,
    MultiSpikeLIF,
)

RNG = np.random.default_rng(0)
NUMBERS = {
    "decay": RNG.uniform(0.2, 0.95, 5),
    "gain": RNG.uniform(0.5, 2, 5),
    "offset": RNG.uniform(-0.1, 0.1, 5),
    "threshold": RNG.uniform(0.5, 1.5, 5),
    "reset_value": RNG.uniform(-0.5, 0.2, 5),
    "synapse_decay": RNG.uniform(0.2, 0.9, 5),
    "synapse_gain": RNG.uniform(0.3, 0.8, 5),
}
X = RNG.normal(0.3, 0.8, (60, 2, 5))
MODELS = {
    "integrator": AffineIntegrator,
    "synaptic integrator": AffineSynapticIntegrator,
    "LIF": AffineLIF,
    "several spikes": MultiSpikeLIF,
    "synaptic LIF": AffineSynapticLIF,
}


def layer(name, engine="auto", **more):
    kind = MODELS[name]
    made = kind(engine=engine, **more)
    given = {key: torch.tensor(value) for key, value in NUMBERS.items() if key in kind._constants}
    if name == "several spikes" or more.get("reset") == "subtract":
        given.pop("reset_value")
    return made.with_numbers(given, {"u": torch.tensor(RNG.uniform(-0.2, 0.2, 5))})


def oracle(name, x, rest, reset="value", leak="before_input"):
    n, i, found = NUMBERS, np.zeros((2, 5)), []
    u = np.broadcast_to(rest, (2, 5))
    for current in x:
        if "synaptic" in name:
            i = i * n["synapse_decay"] + current * n["synapse_gain"]
            current = i
        drive = current * n["gain"] + n["offset"]
        u = u + drive if leak == "before_reset" else u * n["decay"] + drive
        if "integrator" in name:
            found.append(u)
            continue
        s = (u >= n["threshold"]).astype(float)
        if name == "several spikes":
            s = s * np.floor(u / n["threshold"])
        if leak == "before_reset":
            u = u * n["decay"]
        u = u - s * n["threshold"] if reset == "subtract" else np.where(s > 0, n["reset_value"], u)
        found.append(s)
    return np.stack(found)


CASES = [
    ("integrator", {}),
    ("synaptic integrator", {}),
    ("several spikes", {}),
    *((name, {"reset": "value", "reset_value": 0.0}) for name in ("LIF", "synaptic LIF")),
    *((name, {"reset": "subtract", "leak": "before_reset"}) for name in ("LIF", "synaptic LIF")),
]


@pytest.mark.parametrize(("name", "settings"), CASES)
def test_outputs_are_those_of_the_equation(name, settings):
    neurons = layer(name, **settings)
    rest = neurons.rest_u.double().numpy()
    how = {key: value for key, value in settings.items() if key in ("reset", "leak")}
    wanted = oracle(name, X, rest, **({"reset": "subtract"} if name == "several spikes" else how))
    found, _ = neurons(torch.tensor(X, dtype=torch.float32))
    assert wanted.max() > (1 if name == "several spikes" else 0)
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("name", "settings"), CASES)
def test_the_fused_engine_gives_the_references_bits_and_gradients(name, settings):
    results = []
    for engine in ("reference", "fused"):
        RNG.bit_generator.state = np.random.default_rng(1).bit_generator.state
        x = torch.tensor(X, dtype=torch.float32, requires_grad=True)
        output, state = layer(name, engine, **settings)(x)
        (output.square().sum() + state.u.sum()).backward()
        results.append((output, state.u, x.grad))
    assert all(one.equal(other) for one, other in zip(*results, strict=True))
    assert results[0][2].abs().sum() > 0


def test_they_are_moved_copied_and_connected_to_themselves_as_other_neurons_are():
    neurons = layer("LIF", reset="value", reset_value=0.0)
    shaped = neurons.shaped(5)
    assert shaped.constant_decay.equal(neurons.constant_decay)
    x = torch.tensor(X, dtype=torch.float32)
    assert shaped(x)[0].equal(neurons(x)[0])
    recurrent = Recurrent(neurons).shaped(5)
    torch.nn.init.zeros_(recurrent.connections.weight)
    assert recurrent(x)[0].equal(neurons(x)[0])
    assert "constant_decay" in neurons.state_dict()
