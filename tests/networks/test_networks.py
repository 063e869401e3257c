"""Layers without state over time, and the fully connected network."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from litspike import LIF, Perceptron, SettingError
from litspike.networks.sequence import SpikingSequential, over_time
from litspike.neurons import NeuronLayer, Recurrent


def test_a_layer_over_time_gives_what_it_gives_step_by_step():
    layer = nn.Linear(3, 4)
    x = torch.randn(5, 2, 3)
    torch.testing.assert_close(over_time(layer, x), torch.stack([layer(step) for step in x]))


@pytest.mark.parametrize("neuron", [LIF(), Recurrent(LIF())], ids=["LIF", "Recurrent"])
def test_a_constant_input_is_computed_once_and_gives_the_same(neuron: NeuronLayer):
    calls = []
    network = Perceptron([3, 6, 2], neuron)
    network.layers[0].register_forward_hook(lambda *call: calls.append(call[1][0].shape))
    x = torch.randn(4, 3) * 3
    found = [network(x.expand(20, 4, 3)), network(x.expand(20, 4, 3).clone())]
    assert calls == [(4, 3), (20, 4, 3)]
    torch.testing.assert_close(found[0], found[1])
    gradients = [torch.autograd.grad(output.square().sum(), list(network.parameters())) for output, _ in found]
    torch.testing.assert_close(gradients[0], gradients[1])


def test_a_constant_input_that_meets_no_neuron_comes_out_at_every_step():
    x = torch.randn(4, 3)
    network = SpikingSequential([nn.Linear(3, 2)])
    torch.testing.assert_close(network(x.expand(5, 4, 3))[0], network.layers[0](x).expand(5, 4, 2))


def test_the_gradient_of_a_constant_input_is_that_of_each_step():
    network = Perceptron([3, 6, 2], LIF())
    x = (torch.randn(4, 3) * 3).requires_grad_()
    held, whole = x.expand(20, 4, 3), x.expand(20, 4, 3).clone()
    gradients = [torch.autograd.grad(network(current)[0].sum(), current)[0] for current in (held, whole)]
    assert gradients[1].any()
    torch.testing.assert_close(gradients[0], gradients[1])


def test_the_perceptron_alternates_connections_and_copies_of_the_neuron():
    neuron = LIF()
    network = Perceptron([2, 5, 4, 1], neuron)
    shapes = [tuple(layer.weight.shape) for layer in network.layers if isinstance(layer, nn.Linear)]
    assert shapes == [(5, 2), (4, 5), (1, 4)]
    hidden = [layer for layer in network.layers if isinstance(layer, LIF)]
    assert len(hidden) == 2
    assert hidden[0] is not hidden[1]
    assert neuron not in hidden


def test_a_sequence_in_pieces_gives_what_the_whole_gives():
    network = Perceptron([3, 8, 8, 2], LIF())
    x = torch.randn(9, 4, 3)
    whole, final = network(x)
    first, state = network(x[:4])
    second, last = network(x[4:], state)
    torch.testing.assert_close(torch.cat([first, second]), whole)
    torch.testing.assert_close(last, final)


@pytest.mark.parametrize(("sizes", "message"), [([2], "sizes: "), ([2, 0, 1], r"sizes\[1\]: 0 is less than 1")])
def test_impossible_sizes_are_refused(sizes: list[int], message: str):
    with pytest.raises(SettingError, match=message):
        Perceptron(sizes, LIF())
