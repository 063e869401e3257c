"""Networks in half precision: each layer gives the next what it takes, and nothing else changes."""

import pytest
import torch

from litspike.metrics import Firing
from litspike.networks import ConvNet, Perceptron, RecurrentNetwork, SEWResNet, SpikingSequential
from litspike.neurons import LIF, Recurrent
from tests.grids import grid

HALF = [torch.bfloat16, torch.float16]
ENGINES = ["reference", "fused"]


def alone(neuron):
    return neuron


def connected(neuron):
    return Recurrent(neuron, bias=True)


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize(
    ("engine", "learn", "wrap"),
    grid(ENGINES, [None, {"decay": "neuron", "threshold": "layer"}], [alone, connected]),
)
def test_a_layer_in_half_precision_gives_output_and_gradients_in_its_type(dtype, engine, learn, wrap):
    torch.manual_seed(0)
    layer = wrap(LIF(engine=engine, learn=learn)).shaped(5).to(dtype)
    x = (torch.rand(20, 3, 5) * 2).to(dtype).requires_grad_()
    whole, end = layer(x)
    whole.sum().backward()
    assert whole.dtype == x.grad.dtype == dtype
    assert all(parameter.grad.dtype == dtype for parameter in layer.parameters())
    first, state = layer(x[:7])
    second, state = layer(x[7:], state)
    assert torch.equal(torch.cat([first, second]), whole), "a sequence that is cut gives the same"
    leaves = torch.utils._pytree.tree_leaves
    assert all(torch.equal(a, b) for a, b in zip(leaves(state), leaves(end), strict=True))


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("engine", ENGINES)
def test_a_network_in_half_precision_runs(dtype, engine):
    networks = [
        (Perceptron([4, 6, 2], LIF(engine=engine)), (4,)),
        (RecurrentNetwork([4, 6, 2], LIF(engine=engine)), (4,)),
        (ConvNet([1, 8, 8], [3, "pool"], [2], LIF(engine=engine)), (1, 8, 8)),
        (SEWResNet([1, 8, 8], [3], [1], 2, LIF(engine=engine)), (1, 8, 8)),
    ]
    for network, shape in networks:
        network = network.to(dtype)
        x = (torch.rand(9, 3, *shape) * 3).to(dtype).requires_grad_()
        output, _ = network(x)
        output.sum().backward()
        assert output.dtype == x.grad.dtype == dtype


@pytest.mark.parametrize("engine", ENGINES)
def test_under_autocast_a_neuron_gives_single_precision_and_the_next_layer_casts_it(engine):
    neuron = LIF(engine=engine, learn={"decay": "layer"})
    network = SpikingSequential([torch.nn.Linear(4, 6), neuron, torch.nn.Linear(6, 2), neuron.shaped(2)])
    x = (torch.rand(9, 3, 4) * 3).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        output, _ = network(x)
    output.sum().backward()
    assert output.dtype == x.grad.dtype == torch.float32
    assert all(parameter.grad.dtype == torch.float32 for parameter in network.parameters())


@pytest.mark.parametrize("dtype", HALF)
def test_a_learned_decay_near_one_survives_half_precision(dtype):
    layer = LIF(decay=0.998, learn={"decay": "layer"}).to(dtype)
    assert layer.decay.item() == pytest.approx(0.998, abs=2e-4)


def test_spikes_in_half_precision_are_counted_exactly():
    rates = Firing(1)
    rates.update(torch.ones(1001, 3, 1, dtype=torch.bfloat16))
    assert rates.counts.tolist() == [3003]


def test_a_compiled_layer_in_half_precision_gives_the_same():
    torch._dynamo.reset()
    x = (torch.rand(9, 3, 4) * 3).bfloat16()
    layer = LIF()
    assert torch.equal(torch.compile(layer, fullgraph=True, backend="eager")(x)[0], layer(x)[0])
