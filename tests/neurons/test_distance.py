"""The distance from the threshold that a layer tells is the one its spikes come from."""

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
    Recurrent,
    ResonateAndFire,
    SynapticLIF,
)

MODELS = [
    IF(),
    LIF(),
    LIF(fires="above", learn={"decay": "neuron"}, engine="reference"),
    SynapticLIF(),
    AdaptiveLIF(reset="subtract"),
    AdaptiveExponential(dt=0.5),
    Izhikevich(dt=0.5),
    ResonateAndFire(),
    QuadraticIF(),
    Recurrent(LIF()),
]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_a_neuron_fires_where_the_distance_is_not_negative(model):
    torch.manual_seed(0)
    layer = model.shaped(5)
    drive = {AdaptiveExponential: 4000.0, Izhikevich: 300.0}.get(type(model), 1.0)
    current = torch.randn(60, 3, 5).mul(drive).add(0.2 * drive)
    spikes, state = layer(current)
    assert 0.005 < spikes.mean() < 0.9
    assert torch.equal(layer.distance(current) >= 0, spikes > 0)
    onward = torch.randn(20, 3, 5).mul(drive)
    assert torch.equal(layer.distance(onward, state) >= 0, layer(onward, state)[0] > 0)


def test_the_distance_is_that_of_the_membrane_before_its_reset():
    current = torch.tensor([0.5, 0.7, 0.25]).view(3, 1, 1)
    distance = LIF(decay=0.5, threshold=0.9).distance(current)  # 0.5; 0.25 + 0.7 fires; 0.25 from rest
    assert torch.allclose(distance.flatten(), torch.tensor([-0.4, 0.05, -0.65]))


def test_a_current_that_stays_the_same_is_given_once():
    current = torch.rand(4, 5)
    assert torch.equal(LIF().distance(current, steps=7), LIF().distance(current.expand(7, 4, 5)))


def test_what_never_fires_has_none():
    assert LeakyIntegrator().distance(torch.rand(5, 2, 3)) is None


def test_to_ask_for_the_distance_is_no_call_of_the_layer():
    calls = []
    for layer in (LIF().shaped(5), Recurrent(LIF()).shaped(5)):
        layer.register_forward_hook(lambda *_: calls.append(1))
        layer.distance(torch.rand(4, 2, 5))
    assert not calls
