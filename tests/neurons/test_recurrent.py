"""Recurrent connections: the layer's output of the step before joins the input."""

import numpy as np
import pytest
import torch

from litspike.neurons import LIF, AdaptiveLIF, LeakyIntegrator, Recurrent
from litspike.settings import SettingError, UserError


def test_spikes_are_those_of_a_loop_over_the_equation():
    layer = Recurrent(LIF(decay=0.8, reset="subtract"), bias=True).shaped(6).double()
    w, b = layer.connections.weight.detach().numpy() * 3, layer.connections.bias.detach().numpy()
    with torch.no_grad():
        layer.connections.weight *= 3
    x = np.random.default_rng(0).normal(0.3, 0.7, (60, 2, 6))
    spikes, state = layer(torch.tensor(x))
    u = last = np.zeros((2, 6))
    for t in range(60):
        u = u + x[t] + last @ w.T + b
        last = (u >= 1).astype(float)
        u = (u - last) * 0.8
        np.testing.assert_array_equal(spikes[t].detach().numpy(), last)
    assert 0.1 < spikes.mean() < 0.9
    np.testing.assert_allclose(state.neuron.u.detach().numpy(), u, rtol=1e-10)
    np.testing.assert_array_equal(state.output.detach().numpy(), last)


@pytest.mark.parametrize("neuron", [LIF(), AdaptiveLIF(), LeakyIntegrator()])
def test_a_sequence_in_pieces_gives_what_the_whole_gives(neuron):
    layer = Recurrent(neuron).shaped(2, 4)
    x = torch.randn(30, 3, 2, 4)
    whole, final = layer(x)
    pieces, state = [], None
    for piece in x.split([1, 9, 20]):
        output, state = layer(piece, state)
        pieces.append(output)
    assert torch.equal(torch.cat(pieces), whole)
    assert torch.equal(state.output, final.output)
    assert torch.equal(state.neuron.u, final.neuron.u)


def test_gradients_reach_the_connections_through_time_and_stop_at_detach():
    layer = Recurrent(LIF()).shaped(4)
    first, state = layer(torch.rand(10, 2, 4).requires_grad_())
    first[-1].sum().backward(retain_graph=True)
    assert layer.connections.weight.grad.abs().sum() > 0
    cut = state.detach()
    assert isinstance(cut.neuron, LIF.State)
    assert not cut.output.requires_grad
    assert not cut.neuron.u.requires_grad


def test_the_neurons_inside_learn_too():
    layer = Recurrent(LIF(learn={"decay": "neuron"})).shaped(4)
    assert sorted(layer.state_dict()) == ["connections.weight", "neuron.free_decay"]
    layer(torch.rand(10, 2, 4))[0].sum().backward()
    assert all(parameter.grad is not None for parameter in layer.parameters())


def test_each_shaped_layer_has_weights_of_its_own():
    template = Recurrent(LIF())
    assert not torch.equal(template.shaped(3).connections.weight, template.shaped(3).connections.weight)


def test_wrong_use_is_refused():
    layer = Recurrent(LIF())
    with pytest.raises(UserError, match=r"^Recurrent: make the layer with shaped"):
        layer(torch.zeros(1, 1, 3))
    with pytest.raises(SettingError, match=r"^shape: 0 is less than 1$"):
        layer.shaped(0)
    with pytest.raises(UserError, match=r"Recurrent has connections for 3 neurons, not for samples of shape \[4\]"):
        layer.shaped(3)(torch.zeros(1, 1, 4))
    _, state = layer.shaped(3)(torch.zeros(1, 2, 3))
    with pytest.raises(UserError, match="the state is"):
        layer.shaped(3)(torch.zeros(1, 1, 3), state)
