"""Long sequences in pieces: outputs, states and gradients are those of the whole, in the memory of a piece."""

import subprocess
import sys

import pytest
import torch
from torch import Tensor, nn

from litspike import LIF, ConvNet, Perceptron, RecurrentNetwork, SpikingSequential
from litspike.engine.events import spikes as spikes_module
from litspike.networks import SequenceLayer, run_network
from litspike.networks.pieces import LONG
from litspike.neurons import AdaptiveLIF, GradedLIF, Recurrent, SynapticLIF
from litspike.settings import SettingError
from tests.grids import grid

NETWORKS = {
    "perceptron": (lambda: Perceptron([5, 65, 3], LIF(learn={"decay": "neuron"})), (5,)),
    "dropout": (lambda: Perceptron([5, 33, 9, 3], SynapticLIF(), dropout=0.4), (5,)),
    "recurrent": (lambda: RecurrentNetwork([5, 17, 2], AdaptiveLIF()), (5,)),
    "convolutional": (lambda: ConvNet([2, 4, 4], [4], [3], LIF(), batch_norm=False, dropout=0.3), (2, 4, 4)),
    "neurons last": (lambda: SpikingSequential([nn.Linear(5, 7), Recurrent(LIF()).shaped(7)]), (5,)),
}


def tensors(state) -> list[Tensor]:
    return [state] if isinstance(state, Tensor) else [leaf for part in state for leaf in tensors(part)]


def outcome(network, x, state=None, run=run_network, **how):
    """Outputs, last states and all gradients, under random gradients of the outputs and the last states."""
    torch.manual_seed(3)
    network.zero_grad()
    x = x.clone().requires_grad_()
    output, after = run(network, x, state, **how)
    results = [output, *tensors(after)]
    draw = torch.Generator().manual_seed(1)
    upstream = [torch.randn(r.shape, generator=draw, dtype=r.dtype) for r in results]
    torch.autograd.backward(results, upstream)
    gradients = [x.grad, *[parameter.grad for parameter in network.parameters()]]
    return [result.detach() for result in results], gradients


@pytest.mark.parametrize(("name", "steps"), grid(list(NETWORKS), [1, 7, 39]))
def test_pieces_give_what_the_whole_gives(name, steps, monkeypatch):
    monkeypatch.setattr(spikes_module, "_LEAST", 0)  # outputs of neurons are spikes, as those of large layers are
    torch.manual_seed(0)
    make, shape = NETWORKS[name]
    network = make().double()
    x = torch.randn(40, 3, *shape, dtype=torch.float64) * 3
    results, gradients = outcome(network, x, steps=steps)
    expected, wanted = outcome(network, x, steps=40)
    for a, b in zip(results, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)
    for a, b in zip(gradients, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)
    assert results[0].any()


def test_a_first_state_gets_its_gradient():
    network, x = Perceptron([2, 6, 1], LIF()), torch.rand(20, 2, 2)
    gradients = []
    for steps in (20, 6):
        first = [state.detach().requires_grad_() for state in tensors(network(x)[1])]
        output, _ = run_network(network, x, ((first[0],),), steps=steps)
        output.sum().backward()
        gradients.append(first[0].grad)
    torch.testing.assert_close(*gradients)


def test_truncated_is_a_loop_that_cuts_the_state_between_pieces():
    torch.manual_seed(0)
    network, x = RecurrentNetwork([5, 17, 2], LIF()), torch.randn(40, 3, 5) * 3

    def loop(network, x, state):
        outputs = []
        for piece in x.split(9):
            output, state = network(piece, state)
            outputs.append(output)
            kept, state = state, cut(state)
        return torch.cat(outputs), kept

    def cut(state):
        if isinstance(state, Tensor):
            return state.detach()
        parts = [cut(part) for part in state]
        return type(state)(*parts) if hasattr(state, "_fields") else tuple(parts)

    results, gradients = outcome(network, x, steps=9, gradient="truncated")
    expected, wanted = outcome(network, x, run=loop)
    _, whole = outcome(network, x, steps=40)
    for a, b in zip([*results, *gradients], [*expected, *wanted], strict=True):
        torch.testing.assert_close(a, b)
    assert not torch.allclose(gradients[0], whole[0])


def test_what_is_drawn_at_each_step_is_the_same_on_the_way_back():
    network, x = (
        SpikingSequential([nn.Linear(3, 8), nn.Dropout(0.5), nn.Linear(8, 2, bias=False)]),
        torch.ones(12, 2, 3),
    )
    torch.manual_seed(5)
    output, _ = run_network(network, x, steps=5)
    output.sum().backward()
    hidden = network.layers[0](x)
    # With a linear network the gradient of the last weight is the sum of what went into it; the output says how much.
    by_output = (network.layers[2].weight.grad * network.layers[2].weight).sum()
    torch.testing.assert_close(by_output, output.detach().sum())
    assert not torch.allclose(network.layers[2].weight.grad, hidden.detach().sum((0, 1)).expand(2, -1))


@pytest.mark.parametrize("grad", [True, False])
def test_the_mask_of_a_sequence_is_the_same_in_all_pieces(grad):
    network = Perceptron([2, 50, 50], LIF(), dropout=0.5)
    with torch.no_grad():
        network.layers[0].weight.fill_(1.0)
        network.layers[3].weight.copy_(torch.eye(50))
        network.layers[3].bias.zero_()
    with torch.set_grad_enabled(grad):
        output, _ = run_network(network, torch.ones(30, 1, 2), steps=7)
    silent = output.detach()[:, 0].sum(0) == 0
    assert 5 < silent.sum() < 45
    assert (output.detach()[10:, 0, ~silent] > 0).any(0).all()


def test_a_batch_norm_in_training_is_refused_and_left_whole_where_nothing_is_set():
    network = Perceptron([2, 4, 1], LIF(), batch_norm=True)
    x = torch.rand(20, 2, 2)
    with pytest.raises(SettingError, match=r"steps: 5 .*BatchNorm1d\) takes its statistics over all of them"):
        run_network(network, x, steps=5)
    long = torch.rand(LONG + 1, 1, 2)
    network.layers[1].momentum = None  # a running mean over calls, of which there is one
    run_network(network, long)[0].sum().backward()
    assert int(network.layers[1].num_batches_tracked) == 1
    run_network(network.eval(), x, steps=5)


@pytest.mark.parametrize("grad", [True, False])
def test_a_layer_that_sees_the_whole_sequence_is_refused_and_left_whole_where_nothing_is_set(grad):
    class Reversed(SequenceLayer):
        def forward(self, x):
            return x.flip(0)

    network = SpikingSequential([Reversed()])
    x = torch.rand(LONG + 1, 1, 2)
    with torch.set_grad_enabled(grad):
        assert torch.equal(run_network(network, x)[0], x.flip(0))
        with pytest.raises(SettingError, match=r"layers.0 \(Reversed\) is called on all of them"):
            run_network(network, x, steps=5)
    with pytest.raises(SettingError, match=r"layers.0 \(Reversed\) is called on all of them"):
        run_network(SpikingSequential([Reversed(), nn.Linear(2, 1)]), torch.rand(20, 2, 2), steps=5)


@pytest.mark.parametrize("grad", [True, False])
def test_a_long_sequence_is_taken_in_pieces_where_nothing_is_set(grad, monkeypatch):
    network, lengths, forward = Perceptron([2, 4, 1], LIF()), [], Perceptron.forward

    def counted(self, x, state=None):
        lengths.append(len(x))
        return forward(self, x, state)

    monkeypatch.setattr(Perceptron, "forward", counted)
    with torch.set_grad_enabled(grad):
        for length in (LONG, LONG + 1):
            run_network(network, torch.rand(length, 1, 2))
    assert lengths == [LONG, 1024, 1024, 1]


def test_hooks_see_the_whole_sequence_without_gradients():
    network, seen = Perceptron([2, 4, 1], LIF()), []
    network.layers[1].register_forward_hook(lambda layer, given, result: seen.append(len(result[0])))
    with torch.no_grad():
        run_network(network, torch.rand(30, 1, 2), steps=10)
    assert seen == [30]


def test_autocast_holds_on_the_way_back():
    network, x = Perceptron([5, 16, 2], LIF()), torch.rand(20, 2, 5)
    gradients = []
    for steps in (20, 6):
        network.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            output, _ = run_network(network, x, steps=steps)
        assert output.dtype == torch.bfloat16
        output.float().sum().backward()
        gradients.append(network.layers[0].weight.grad.clone())
    torch.testing.assert_close(*gradients, rtol=0.02, atol=0.02)


MEMORY = """
import resource, sys, torch
from litspike import LIF, Perceptron
from litspike.networks import run_network
network = Perceptron([4, 256, 256, 1], LIF())
def train(length):
    run_network(network, torch.rand(length, 8, 4), steps=200)[0].mean().backward()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
short = train(400)
print((train(20000) - short) / 1024)
"""


@pytest.mark.thorough
def test_memory_does_not_grow_with_the_length():
    """One layer's spikes are 164 MB here, and of a whole sequence several such are kept."""
    done = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 60


@pytest.mark.parametrize(("inputs", "steps", "batch"), [(63, 130, 40), (1, 63, 1), (513, 65, 2)])
def test_gradients_of_weights_differ_from_those_of_the_whole_by_the_order_of_their_sums_alone(inputs, steps, batch):
    """A sum of T·B products of a gradient and an input, the same numbers both times: one output asks for no sum."""
    torch.manual_seed(0)
    network = SpikingSequential([nn.Linear(inputs, 65), LIF().shaped(65), nn.Linear(65, 1)])
    x = (torch.rand(steps, batch, inputs) < 0.1).float()
    linears, factors = [network.layers[0], network.layers[2]], {}

    def note(layer, given, output):
        output.register_hook(lambda grad: factors.update({layer: (given[0].detach().double(), grad.double())}))

    upstream = torch.randn(steps, batch, 1)

    def gradients(pieces):
        network.zero_grad()
        run_network(network, x, steps=pieces)[0].backward(upstream)
        return [layer.weight.grad.double() for layer in linears]

    hooks = [layer.register_forward_hook(note) for layer in linears]
    whole = gradients(steps)
    for hook in hooks:
        hook.remove()
    many = steps * batch * 2.0**-24
    for pieces in (7, 32):
        for layer, a, b in zip(linears, gradients(pieces), whole, strict=True):
            into, back = (factor.flatten(0, 1) for factor in factors[layer])
            exact, size = back.T @ into, back.abs().T @ into.abs()
            assert exact.any()
            assert ((a - b).abs() <= 2 * many / (1 - many) * size).all()
            assert ((a - exact).abs() <= many / (1 - many) * size).all()


@pytest.mark.parametrize(
    ("neuron", "value", "dtype"),
    grid([LIF(), GradedLIF()], [0.0, 1e3, -1e3], [torch.float32, torch.float64], name=lambda value: f"{value}"),
)
def test_silent_and_always_firing_layers_of_any_size_give_what_the_whole_gives(value, dtype, neuron):
    for size, batch in ((1, 1), (63, 1), (65, 3), (513, 1)):
        torch.manual_seed(0)
        network = SpikingSequential([nn.Linear(2, size), neuron.shaped(size), nn.Linear(size, 2)]).to(dtype)
        with torch.no_grad():
            network.layers[0].weight.abs_()
        x = torch.full((9, batch, 2), value, dtype=dtype)
        results, gradients = outcome(network, x, steps=4)
        expected, wanted = outcome(network, x, steps=9)
        bound = 1e-9 if dtype is torch.float64 else 1e-4
        for a, b in zip(results, expected, strict=True):  # a dense product's rounding depends on its number of rows
            torch.testing.assert_close(a, b, rtol=bound, atol=bound)
        for a, b in zip(gradients, wanted, strict=True):
            torch.testing.assert_close(a, b, rtol=bound, atol=bound * b.abs().max().item())
