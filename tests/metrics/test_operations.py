"""Synaptic operations, counted by hand and by brute force over all pairs of input and weight."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from litspike import LIF, Perceptron, RecurrentNetwork, SettingError
from litspike.metrics import Operations


def totals(operations: Operations, name: str) -> list[float]:
    return [float(value.sum()) for value in operations.compute()[name].values()]


def counted(network: nn.Module, x: torch.Tensor, steps: int = 1) -> Operations:
    operations = Operations(network, steps)
    with torch.inference_mode(), operations.counted(len(x) // steps):
        network(x)
    return operations


def test_a_linear_layers_operations_by_hand():
    network = nn.Sequential(nn.Linear(3, 2))
    with torch.no_grad():
        network[0].weight.copy_(torch.tensor([[1.0, 0.0, 2.0], [0.5, 0.0, 0.0]]))
    spikes = torch.tensor([[1.0, 1.0, 0.0], [-1.0, 0.0, 1.0]])  # meet 2 + 0 and 2 + 1 weights that are not zero
    assert totals(counted(network, spikes), "0") == [6, 0, 5 / 2]
    assert totals(counted(network, spikes * 0.5), "0") == [6, 5 / 2, 0]
    assert totals(counted(network, torch.zeros(4, 3)), "0") == [6, 0, 0]


@pytest.mark.parametrize("mode", ["zeros", "circular", "reflect"])
@pytest.mark.parametrize("settings", [{}, {"stride": 2, "groups": 2}, {"dilation": 2, "padding": 2}])
@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_a_convolutions_operations_are_those_of_the_convolution_of_ones(
    dimensions: int, settings: dict[str, int], mode: str
):
    kind = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[dimensions - 1]
    layer = kind(2, 4, 3, padding_mode=mode, **{"padding": 1, **settings})
    generator = torch.Generator().manual_seed(0)
    x = (torch.rand((5, 2, *[7, 6, 5][:dimensions]), generator=generator) < 0.3).float()
    for pruned in (0.0, 0.4):
        with torch.no_grad():
            layer.weight[torch.rand(layer.weight.shape, generator=generator) < pruned] = 0
        ones = copy.deepcopy(layer).double()
        ones.weight.data, ones.bias.data = (ones.weight != 0).double(), torch.zeros(4, dtype=torch.float64)
        effective = float(ones(x.double()).detach().sum()) / 5
        ones.weight.data.fill_(1.0)
        dense = float(ones(torch.ones_like(x, dtype=torch.float64)).detach().sum()) / 5
        assert totals(counted(nn.Sequential(layer), x), "0") == pytest.approx([dense, 0, effective])
        assert effective > 0


def test_each_step_is_judged_and_counted_by_itself():
    network = nn.Sequential(nn.Linear(2, 3))
    x = torch.tensor([[[1.0, 1.0], [0.0, 1.0]], [[1.0, 0.5], [0.0, 0.0]]])  # [T, B, 2]
    found = counted(network, x.flatten(0, 1), steps=2).compute()["0"]
    assert {name: value.tolist() for name, value in found.items()} == {
        "dense": [6, 6],
        "macs": [0, 3],
        "acs": [4.5, 0],
    }


def test_an_input_that_stays_the_same_is_computed_and_counted_once():
    network = Perceptron([2, 5, 1], LIF(threshold=0.1))
    x = torch.tensor([[1.5, -2.0], [0.3, 0.7], [2.0, 2.0]])
    operations = Operations(network, steps=4)
    with operations.counted(3):
        network(x.expand(4, 3, 2))
    found = operations.compute()
    first, last = (found[name]["dense"].tolist() for name in operations.connections)
    assert first == [10, 0, 0, 0]
    assert last == [5, 5, 5, 5]


def test_recurrent_connections_count_the_spikes_of_the_step_before():
    network = RecurrentNetwork([2, 6, 1], LIF(threshold=0.2))
    x = torch.randn(5, 3, 2, generator=torch.Generator().manual_seed(1)) * 3
    spikes = []
    hook = network.layers[1].register_forward_hook(lambda layer, args, result: spikes.append(result[0]))
    operations = Operations(network, steps=5)
    with operations.counted(3):
        network(x)
    hook.remove()
    per_step = spikes[0].sum((1, 2)) / 3
    found = operations.compute()["layers.1.connections"]
    assert found["dense"].tolist() == [36] * 5
    assert found["acs"].tolist() == pytest.approx([0, *(6 * per_step[:-1]).tolist()])
    assert float(per_step.sum()) > 0


def test_batches_and_weights_that_change_are_counted_as_they_are():
    network = nn.Sequential(nn.Linear(3, 2))
    operations = Operations(network)
    with operations.counted(1):
        network(torch.ones(1, 3))
    network[0].weight.data[0] = 0  # what no version counter sees
    with operations.counted(3):
        network(torch.ones(3, 3))
    assert totals(operations, "0") == [6, 0, (6 + 3 * 3) / 4]
    operations.reset()
    assert all(value.isnan() for value in operations.compute()["0"].values())


def test_layers_that_it_cannot_count_are_named():
    network = nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.GRU(2, 2))
    assert Operations(network).uncounted == ["2"]
    assert list(Operations(network).connections) == ["0"]


def test_steps_below_one_are_refused():
    with pytest.raises(SettingError, match=r"^steps: 0 is less than 1$"):
        Operations(nn.Linear(1, 1), steps=0)
