"""A network that is fed step by step gives what it gives for the whole sequence."""

import copy
import pickle
import tracemalloc

import numpy as np
import pytest
import torch
from torch import nn

from litspike import LIF, ConvNet, Perceptron, RecurrentNetwork, SpikingSequential
from litspike.engine.events.row import RowProduct
from litspike.engine.stepper import Stepper
from litspike.networks import Stream
from litspike.neurons import AdaptiveLIF, GradedLIF, Recurrent
from litspike.settings import UserError


class Doubled(nn.Linear):
    def forward(self, x):
        return 2 * super().forward(x)


def doubling(layer: nn.Module) -> nn.Module:
    layer.register_forward_hook(lambda layer, given, result: 2 * result)
    return layer


NETWORKS = {
    "perceptron": (lambda: Perceptron([65, 33, 3], LIF(), dropout=0.5), (65,)),
    "learned": (lambda: Perceptron([5, 9, 3], AdaptiveLIF(learn={"decay": "neuron"}), batch_norm=True), (5,)),
    "recurrent": (lambda: RecurrentNetwork([5, 17, 9, 2], AdaptiveLIF()), (5,)),
    "convolutional": (lambda: ConvNet([2, 4, 4], [4], [7, 3], LIF()), (2, 4, 4)),
    "bias": (lambda: SpikingSequential([nn.Linear(5, 9), Recurrent(LIF(), bias=True).shaped(9)]), (5,)),
    "own linear": (lambda: SpikingSequential([Doubled(5, 9), LIF().shaped(9)]), (5,)),
    "hooked": (lambda: SpikingSequential([doubling(nn.Linear(5, 9)), LIF().shaped(9)]), (5,)),
    "graded": (lambda: Perceptron([5, 33, 9, 2], GradedLIF(threshold=0.2)), (5,)),
    "graded recurrent": (lambda: RecurrentNetwork([5, 17, 9, 2], GradedLIF(threshold=0.2)), (5,)),
    "no bias": (lambda: SpikingSequential([nn.Linear(5, 4, bias=False), LIF().shaped(4)]), (5,)),
}


@pytest.mark.parametrize("density", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("name", NETWORKS)
def test_steps_give_what_the_sequence_gives(name, density):
    torch.manual_seed(0)
    make, shape = NETWORKS[name]
    network = make().double().eval()
    x = torch.randn(30, *shape, dtype=torch.float64) * 3 * (torch.rand(30, *shape) < density)
    stream = Stream(network)
    for _ in range(2):
        found = torch.stack([stream(step) for step in x])
        torch.testing.assert_close(found, network(x[:, None])[0][:, 0], rtol=1e-9, atol=1e-9)
        stream.reset()


def test_events_are_steps():
    network = Perceptron([6, 20, 2], LIF()).eval()
    steps, events = Stream(network), Stream(network)
    for indices in ([], [5], [0, 3]):
        step = torch.zeros(6)
        step[indices] = 1
        assert torch.equal(steps(step), events.events(indices))
    step[3] = -2.5
    assert torch.equal(steps(step), events.events(torch.tensor([0, 3]), [1.0, -2.5]))


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda stream: stream.events([6]), r"an index is outside \[0, 5\]"),
        (lambda stream: stream.events([-1]), r"an index is outside \[0, 5\]"),
        (lambda stream: stream(torch.zeros(7)), "a Linear layer for 6 inputs got \\[7\\]"),
        (lambda stream: stream([0.0] * 6), "the step is .*list"),
        (lambda stream: Stream(nn.Linear(2, 2)), "is no SpikingNetwork"),
        (lambda stream: Stream(SpikingSequential([LIF()])).events([0]), "shape is missing"),
    ],
)
def test_a_mistake_is_a_line(call, line):
    with pytest.raises(UserError, match=line):
        call(Stream(Perceptron([6, 4, 2], LIF())))


def test_the_stream_is_a_copy_and_the_network_stays_as_it_was():
    network = Perceptron([6, 20, 2], LIF(), dropout=0.5).train()
    stream, step = Stream(network), torch.ones(6)
    before = stream(step)
    stream.reset()
    with torch.no_grad():
        network.layers[0].weight.zero_()
    assert torch.equal(stream(step), before)
    assert network.training
    assert network.layers[0].weight.requires_grad


def test_nothing_grows_with_the_steps():
    stream, step = Stream(RecurrentNetwork([6, 20, 2], LIF())), torch.ones(6)
    for _ in range(50):
        stream(step)
    tracemalloc.start()
    try:
        before = tracemalloc.take_snapshot()
        for _ in range(500):
            stream(step)
        after = tracemalloc.take_snapshot()
    finally:
        tracemalloc.stop()
    assert sum(change.size_diff for change in after.compare_to(before, "filename")) < 20_000


@pytest.mark.parametrize("name", NETWORKS)
def test_a_chain_of_linear_layers_and_neurons_is_one_call(name, monkeypatch):
    stream = Stream(NETWORKS[name][0]())
    calls, real = [], Stepper.__call__
    monkeypatch.setattr(Stepper, "__call__", lambda self, x: calls.append(1) or real(self, x))
    stream(torch.ones(NETWORKS[name][1]))
    assert bool(calls) == (name in ("perceptron", "recurrent", "no bias", "graded", "graded recurrent"))


@pytest.mark.parametrize("name", ["recurrent", "bias", "perceptron", "graded recurrent"])
def test_the_state_is_that_of_the_network_and_a_copy_goes_on_from_it(name):
    torch.manual_seed(0)
    make, shape = NETWORKS[name]
    network = make().double().eval()
    x = torch.randn(20, *shape, dtype=torch.float64) * 3
    stream = Stream(network)
    assert stream.state is None
    for number in range(7):  # an odd number: what is even and what is odd change places
        stream(x[number])
    leaves = torch.utils._pytree.tree_leaves
    _, expected = network(x[:7, None])
    assert torch.utils._pytree.tree_structure(stream.state) == torch.utils._pytree.tree_structure(expected)
    for found, wanted in zip(leaves(stream.state), leaves(expected), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-9)
    for other in (copy.deepcopy(stream), pickle.loads(pickle.dumps(stream))):
        assert all(torch.equal(other(step), Stream.__call__(copy.deepcopy(stream), step)) for step in x[7:8])
    rest = torch.stack([stream(step) for step in x[7:]])
    torch.testing.assert_close(rest, network(x[:, None])[0][7:, 0], rtol=1e-9, atol=1e-9)
    stream.state = expected
    again = torch.stack([stream(step) for step in x[7:]])
    torch.testing.assert_close(again, rest, rtol=1e-9, atol=1e-9)


def test_outputs_are_their_own_and_a_step_needs_no_gradient():
    stream = Stream(Perceptron([6, 20, 2], LIF()))
    steps = torch.rand(5, 6).mul(5).requires_grad_()
    outputs = [stream(step) for step in steps]
    copies = [output.clone() for output in outputs]
    stream(steps[0])
    assert all(torch.equal(a, b) for a, b in zip(outputs, copies, strict=True))
    assert not any(output.requires_grad for output in outputs)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_a_network_in_half_precision_is_fed_step_by_step_too(dtype):
    network = Perceptron([6, 20, 2], LIF()).to(dtype).eval()
    x = (torch.randn(9, 6) * 3).to(dtype)
    stream = Stream(network)
    found = torch.stack([stream(step) for step in x])
    torch.testing.assert_close(found, network(x[:, None])[0][:, 0], rtol=2e-2, atol=2e-2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("kind", ["none", "few", "all", "valued"])
def test_a_product_of_one_row_adds_its_events_in_order(kind, dtype):
    draw = np.random.default_rng(0)
    number = {torch.float32: np.float32, torch.float64: np.float64}[dtype]
    for inputs, outputs in [(1, 1), (63, 65), (65, 63), (513, 1), (16, 513), (70, 64)]:
        weight, start = draw.normal(size=(outputs, inputs)).astype(number), draw.normal(size=outputs).astype(number)
        x = (draw.random(inputs) < {"none": 0.0, "all": 1.0}.get(kind, 0.2)).astype(number)
        x = x * draw.normal(size=inputs).astype(number) if kind == "valued" else x
        expected = start.copy()
        for j in np.flatnonzero(x):
            expected += weight[:, j] * x[j]
        found = RowProduct(torch.from_numpy(weight))(torch.from_numpy(x), torch.from_numpy(start))
        np.testing.assert_array_equal(found.numpy(), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("value", [0.0, 1.0, -2.5])
def test_layers_of_any_size_give_what_the_sequence_gives(value, dtype):
    torch.manual_seed(0)
    network = RecurrentNetwork([1, 63, 65, 513, 1], LIF(threshold=0.3)).to(dtype).eval()
    x = torch.full((1, 9, 1), value, dtype=dtype).transpose(0, 1)
    stream = Stream(network)
    found = torch.stack([stream(step[0]) for step in x])
    bound = 1e-9 if dtype is torch.float64 else 1e-4
    torch.testing.assert_close(found, network(x)[0][:, 0], rtol=bound, atol=bound)


def test_a_weight_that_is_no_number_shows_where_nothing_fires():
    layer = nn.Linear(4, 3)
    with torch.no_grad():
        layer.weight[1, 2] = float("nan")
    assert Stream(SpikingSequential([layer]))(torch.zeros(4)).isnan().tolist() == [False, True, False]
