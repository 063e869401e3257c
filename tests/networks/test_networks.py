"""Layers without state over time, and the fully connected network."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from litspike import LIF, Perceptron, SettingError
from litspike.networks.sequence import over_time


def test_a_layer_over_time_gives_what_it_gives_step_by_step():
    layer = nn.Linear(3, 4)
    x = torch.randn(5, 2, 3)
    torch.testing.assert_close(over_time(layer, x), torch.stack([layer(step) for step in x]))


def test_a_constant_input_is_computed_once():
    calls = []
    layer = nn.Linear(3, 4)
    layer.register_forward_hook(lambda *call: calls.append(call[1][0].shape))
    x = torch.randn(2, 3)
    y = over_time(layer, x.expand(5, 2, 3))
    assert calls == [(2, 3)]
    torch.testing.assert_close(y, layer(x).expand(5, 2, 4))


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
