"""Chains of products of spikes and neurons: what they save, and gradients that are right whoever looks at them."""

from itertools import pairwise
from itertools import product as pairs

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import linear
from torch.utils.checkpoint import checkpoint

from litspike.engine.events.gradient import PendingGradient
from litspike.engine.events.places import Places, input_gradient_at
from litspike.engine.events.recipe import Recipe
from litspike.engine.events.spikes import Spikes, spikes
from litspike.neurons import LIF, AdaptiveLIF
from litspike.settings import UserError
from litspike.surrogates import ArcTan, Rectangle, Triangle, ZeroGradient
from tests.grids import covering, grid, thorough

pytestmark = pytest.mark.integration

LENGTHS = ((1, 1), (5, 3), (70, 1))
SIZES = (1, 63, 65, 513)


def drawn(*shape, chance=0.2, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(*shape, generator=generator, dtype=torch.float64) < chance).to(dtype)


def normal(*shape, dtype=torch.float64, seed=1):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def marks(places, steps):
    """The bits as truth values [T, M]."""
    bits = places.bits.view(steps, -1, 1) >> torch.arange(8, dtype=torch.uint8)
    return (bits & 1).bool().flatten(1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("chance", [0.0, 0.2, 1.0])
@pytest.mark.parametrize(
    "sizes",
    [
        pytest.param(covering(LENGTHS, SIZES, SIZES[::-1]), id="each size"),
        thorough(list(pairs(LENGTHS, SIZES, SIZES)), id="all combinations"),
    ],
)
def test_a_gradient_at_some_places_is_the_whole_one_there_and_zero_elsewhere(sizes, chance, dtype):
    bound = {"rtol": 1e-4, "atol": 1e-4} if dtype == torch.float32 else {"rtol": 1e-12, "atol": 1e-12}
    for (steps, batch), inputs, outputs in sizes:
        wanted = drawn(steps, batch * inputs, chance=chance).bool()
        places = Places.room(steps, batch * inputs)
        bits = np.packbits(wanted.numpy(), axis=1, bitorder="little")
        places.bits[:, : bits.shape[1]] = torch.from_numpy(bits)
        grad, weight = normal(steps * batch, outputs, dtype=dtype), normal(outputs, inputs, dtype=dtype)
        found = input_gradient_at(places, grad, weight.T.contiguous())
        expected = torch.where(wanted.view(-1, inputs), grad @ weight, torch.zeros((), dtype=dtype))
        torch.testing.assert_close(found, expected, **bound)
        if steps < 16:
            assert places.density == pytest.approx(wanted.double().mean().item())


@pytest.mark.parametrize(
    ("surrogate", "make", "dtype"),
    grid([Rectangle(1.0), Triangle(0.7, 0.3), ZeroGradient()], [LIF, AdaptiveLIF], [torch.float32, torch.float64]),
)
def test_the_places_are_those_where_the_surrogate_is_not_zero(surrogate, make, dtype, sampled):
    for (steps, batch), size in pairs([(1, 1), (17, 3)], SIZES):
        neuron = make(surrogate=surrogate, engine="fused")
        current = normal(steps, batch, size, dtype=dtype).requires_grad_()
        output = spikes(neuron(current)[0])
        linear(output, normal(3, size, dtype=dtype)).sum().backward()
        expected = surrogate.derivative(neuron.distance(current.detach())) != 0
        found = marks(sampled.pop(), steps)
        assert torch.equal(found[:, : batch * size], expected.flatten(1))
        assert not found[:, batch * size :].any()


def network(surrogate, sizes, dtype, **settings):
    """Layers of a chain, each as (weight, bias, neuron)."""
    return [
        (
            (normal(b, a, dtype=dtype, seed=index) * (5 / a) ** 0.5).requires_grad_(),
            normal(b, dtype=dtype, seed=9 + index).mul(0.1).requires_grad_(),
            LIF(surrogate=surrogate, engine="fused", **settings),
        )
        for index, (a, b) in enumerate(pairwise(sizes))
    ]


def plainly(x, weight, bias):
    return linear(x.as_subclass(torch.Tensor), weight, bias)


def run(layers, x, product=linear):
    """The spikes of each layer."""
    found = []
    for weight, bias, neuron in layers:
        x = neuron(product(x, weight, bias))[0]
        found.append(x)
    return found


def gradients(layers, x, product, upstream):
    asked = [tensor for weight, bias, _ in layers for tensor in (weight, bias)]
    output = run(layers, x, product)[-1]
    return output.detach(), torch.autograd.grad(output, asked, upstream)


@pytest.mark.parametrize(
    ("surrogate", "kind"),
    grid([Rectangle(1.0), Triangle(0.5), ZeroGradient(), ArcTan()], ["none", "few", "all", "valued"]),
)
def test_a_chain_on_events_has_the_gradients_of_the_dense_one(surrogate, kind, sampled):
    for (steps, batch), size in [((1, 1), 63), ((1, 5), 1), ((40, 1), 65), ((17, 3), 63), ((17, 1), 513)]:
        x = drawn(steps, batch, size, chance={"none": 0.0, "all": 1.0}.get(kind, 0.2))
        x = x * normal(*x.shape) if kind == "valued" else x
        layers = network(surrogate, [size, 65, min(size, 70)], torch.float64)
        upstream = normal(steps, batch, min(size, 70), seed=5)
        output, found = gradients(layers, spikes(x), linear, upstream)
        expected_output, expected = gradients(layers, x, plainly, upstream)
        assert torch.equal(output, expected_output)
        for a, b in zip(found, expected, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)
        assert bool(sampled) == (type(surrogate) is not ArcTan)
        sampled.clear()


@pytest.fixture
def chain(sampled):
    """Two layers on some spikes, with a gradient for their output."""
    layers = network(Rectangle(1.0), [70, 65, 33], torch.float64)
    return layers, drawn(20, 3, 70), normal(20, 3, 33, seed=5)


def all_of(chain, watch, product=linear):
    """The gradients of a chain, and what is watched at the spikes of the first layer."""
    layers, x, upstream = chain
    asked = [tensor for weight, bias, _ in layers for tensor in (weight, bias)]
    for tensor in asked:
        tensor.grad = None
    first, last = run(layers, spikes(x) if product is linear else x, product)
    seen = watch(first, last, (last * upstream).sum())
    return [tensor.grad for tensor in asked], [value.clone() for value in seen]


def by_hook(first, last, loss):
    seen = []
    first.register_hook(lambda grad: seen.append(grad * 1.0))
    loss.backward()
    return seen


def by_changing_hook(first, last, loss):
    first.register_hook(lambda grad: grad * 2 + 1)
    loss.backward()
    return []


def by_hook_in_place(first, last, loss):
    def double(grad):
        grad.mul_(2)

    first.register_hook(double)
    loss.backward()
    return []


def by_retaining(first, last, loss):
    first.retain_grad()
    loss.backward()
    return [first.grad]


def by_asking(first, last, loss):
    return list(torch.autograd.grad(loss, [first]))


def by_asking_for_more(first, last, loss):
    (found, *_) = torch.autograd.grad(loss, [first, last], retain_graph=True)
    loss.backward()
    return [found]


def by_node(first, last, loss):
    seen = []
    first.grad_fn.register_prehook(lambda grads: seen.extend(grad + 0 for grad in grads))
    loss.backward()
    return seen


def by_regulariser(first, last, loss):
    (loss + (first * normal(*first.shape, seed=7)).sum() + first.mean(0).square().sum()).backward()
    return []


def by_second_product(first, last, loss):
    (loss + linear(first, normal(40, 65, seed=8)).square().sum()).backward()
    return []


def by_anomaly_mode(first, last, loss):
    with pytest.warns(UserWarning, match="Anomaly"), torch.autograd.detect_anomaly():
        loss.backward()
    return []


def by_several(first, last, loss):
    seen = []
    torch.autograd.graph.register_multi_grad_hook([first, last], lambda grads: seen.extend(g.sum(0) for g in grads))
    loss.backward()
    return seen


def by_numpy(first, last, loss):
    seen = []
    first.register_hook(lambda grad: seen.append(torch.from_numpy(grad.numpy().copy())) and None)
    loss.backward()
    return seen


def twice(first, last, loss):
    loss.backward(retain_graph=True)
    loss.backward()
    return []


WATCHERS = [
    *(by_hook, by_changing_hook, by_hook_in_place, by_retaining, by_asking, by_asking_for_more, by_node),
    *(by_regulariser, by_second_product, by_anomaly_mode, by_several, by_numpy, twice),
]


@pytest.mark.parametrize("watch", WATCHERS, ids=lambda watch: watch.__name__)
def test_whoever_looks_at_the_gradient_of_spikes_sees_all_of_it_and_changes_it(chain, watch):
    found, expected = (all_of(chain, watch, product) for product in (linear, plainly))
    for a, b in zip([*found[0], *found[1]], [*expected[0], *expected[1]], strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


def test_nobody_looking_the_gradient_is_worked_out_at_some_places_alone(chain, sampled):
    all_of(chain, lambda first, last, loss: loss.backward() or [])
    assert len(sampled) == 1


def test_a_pending_gradient_is_a_tensor_like_any_other_to_whom_gets_it(chain, tmp_path):
    (_, (found,)), (_, (expected,)) = (all_of(chain, by_asking, product) for product in (linear, plainly))
    layers, x, upstream = chain
    first, last = run(layers, spikes(x))
    (pending,) = torch.autograd.grad((last * upstream).sum(), first)
    assert type(pending) is PendingGradient
    torch.save(pending, tmp_path / "gradient.pt")
    for value in (pending + 0, torch.load(tmp_path / "gradient.pt"), torch.zeros_like(expected).add_(pending), found):
        assert type(value) is torch.Tensor
        torch.testing.assert_close(value, expected, rtol=1e-10, atol=1e-10)
    assert pending.shape == expected.shape
    assert repr(pending) == repr(pending + 0)


def test_a_full_backward_hook_of_a_layer_sees_the_whole_gradient(sampled):
    x = drawn(20, 3, 70)
    seen = []
    for product in (spikes, lambda x: x):
        torch.manual_seed(0)
        layer = nn.Linear(65, 33).double()
        layer.register_full_backward_hook(lambda module, ins, outs: seen.append(ins[0] + 0))
        weight, bias, neuron = network(Rectangle(1.0), [70, 65], torch.float64)[0]
        neuron(layer(neuron(linear(product(x), weight, bias))[0]))[0].sum().backward()
    torch.testing.assert_close(seen[0], seen[1], rtol=1e-10, atol=1e-10)


def test_an_optimiser_that_steps_within_the_backward_pass_changes_no_gradient(chain):
    layers, x, upstream = chain
    results = []
    for product in (linear, plainly):
        fresh = [(w.detach().clone().requires_grad_(), b.detach().clone().requires_grad_(), n) for w, b, n in layers]
        grads = []

        def step(parameter, grads=grads):
            grads.append(parameter.grad.clone())
            with torch.no_grad():
                parameter.sub_(parameter.grad)

        for weight, bias, _ in fresh:
            weight.register_post_accumulate_grad_hook(step)
            bias.register_post_accumulate_grad_hook(step)
        (run(fresh, spikes(x) if product is linear else x, product)[-1] * upstream).sum().backward()
        results.append(sorted(grads, key=lambda grad: grad.numel()))
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


def saved_bytes(function):
    """What a graph saves, each memory counted once."""
    found = {}

    def pack(tensor):
        found[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        result = function()
    return sum(found.values()), result


@pytest.mark.parametrize("surrogate", [ArcTan(), Rectangle(1.0)], ids=str)
def test_a_further_layer_saves_less_than_a_byte_per_neuron_and_step(surrogate):
    steps, batch, size = 128, 8, 256
    x, found = drawn(steps, batch, size, chance=0.05, dtype=torch.float32), []
    for count in (2, 6):
        layers = network(surrogate, [size] * (count + 1), torch.float32, decay=0.9)
        with torch.no_grad():
            for _, bias, _ in layers:
                bias.zero_()
        total, outputs = saved_bytes(lambda layers=layers: run(layers, spikes(x)))
        assert all(0.04 < output.mean() < 0.07 for output in outputs)
        found.append(total - count * size * size * 4)
    per_place = (found[1] - found[0]) / (4 * steps * batch * size)
    assert 0.3 < per_place < 1


@pytest.mark.parametrize("chance", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("shape", [(20, 3, 70), (1, 5, 63), (5, 1, 1), (3, 1, 513)], ids=str)
def test_neither_spikes_nor_currents_outlive_the_forward_pass_in_the_graph(shape, chance, always):
    layers, x = network(ArcTan(), [shape[-1], 65, 65], torch.float64), drawn(*shape, chance=chance)
    seen = {}

    def product(x, weight, bias):
        y = linear(x, weight, bias)
        seen.update(dict.fromkeys([tensor.untyped_storage().data_ptr() for tensor in (x, y)]))
        return y

    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        output = run(layers, spikes(x), product)[-1]
    held = {tensor.untyped_storage().data_ptr() for tensor in kept if tensor.numel()}
    assert not held & set(seen)
    output.sum().backward()


@pytest.mark.parametrize("which", ["weight", "bias"])
def test_a_weight_that_is_changed_before_the_backward_pass_is_noticed(chain, which):
    layers, x, upstream = chain
    output = run(layers, spikes(x))[-1]
    with torch.no_grad():
        layers[0][which == "bias"].add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        output.backward(upstream)


@pytest.mark.parametrize("which", ["weight", "bias"])
@pytest.mark.parametrize("change", [lambda t: t.data.add_(0.5), lambda t: setattr(t, "data", t.data.sign())])
def test_a_change_through_data_before_the_backward_pass_is_noticed(chain, which, change):
    layers, x, upstream = chain
    output = run(layers, spikes(x))[-1]
    change(layers[0][which == "bias"])
    with pytest.raises(RuntimeError, match=r"changed through \.data after the forward pass"):
        output.backward(upstream)


def in_place(current):
    with torch.no_grad():
        current.mul_(1.5)
    return current


CHANGES = {
    "in place": lambda current: current.mul_(1.5),
    "in place, unseen by autograd": in_place,
    "out of place": lambda current: current * 1.5,
    "view": lambda current: current[2:],
    "transposed": lambda current: current.transpose(1, 2).contiguous().transpose(1, 2),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_current_that_is_changed_on_its_way_is_not_made_again(always, change):
    results = []
    for product in (linear, plainly):
        (weight, bias, neuron), x = network(ArcTan(), [70, 65], torch.float64)[0], drawn(20, 3, 70)
        output, _ = neuron(change(product(spikes(x), weight, bias)))
        results.append([output, *torch.autograd.grad(output.square().sum() + output.sum(), [weight, bias])])
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


def test_two_layers_of_neurons_may_share_a_current(always):
    results = []
    for product in (linear, plainly):
        (weight, bias, neuron), x = network(ArcTan(), [70, 65], torch.float64)[0], drawn(20, 3, 70)
        current = product(spikes(x), weight, bias)
        output = neuron(current)[0] + LIF(decay=0.3, engine="fused")(current)[0]
        results.append([output, *torch.autograd.grad(output, [weight, bias], normal(20, 3, 65, seed=5))])
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


def test_a_current_has_one_recipe_and_an_ordinary_tensor_none(always):
    weight = normal(65, 70).requires_grad_()
    current = linear(spikes(drawn(20, 3, 70)), weight)
    assert Recipe.of_current(current) is not None
    assert Recipe.of_current(current) is None
    assert Recipe.of_current(weight) is None
    assert Recipe.of_current(weight * 2) is None


def test_checkpointing_and_hooks_on_saved_tensors_change_nothing(chain):
    layers, x, upstream = chain
    asked = [weight for weight, *_ in layers]
    expected = torch.autograd.grad(run(layers, spikes(x))[-1], asked, upstream)
    again = checkpoint(lambda x: run(layers, spikes(x))[-1], x, use_reentrant=False)
    with torch.autograd.graph.save_on_cpu():
        hooked = run(layers, spikes(x))[-1]
    for output in (again, hooked):
        for a, b in zip(torch.autograd.grad(output, asked, upstream), expected, strict=True):
            assert torch.equal(a, b)


def test_second_order_gradients_are_refused_in_words(chain):
    layers, x, upstream = chain
    output = run(layers, spikes(x))[-1]
    with pytest.raises(UserError, match="no second-order gradients"):
        torch.autograd.grad(output, layers[1][0], upstream, create_graph=True)[0].sum().backward()


def test_a_penalty_on_the_gradient_of_a_constant_is_not_left_out_for_the_layer_before(chain):
    layers, x, upstream = chain
    neuron = LIF(engine="fused", learn={"decay": "layer"}).shaped(33).double()
    first, second = (weight for weight, *_ in layers)
    output, _ = neuron(linear(run(layers[:1], spikes(x))[-1], second.detach()))
    with pytest.raises(UserError, match="no second-order gradients"):
        torch.autograd.grad(output, list(neuron.parameters()), upstream, create_graph=True)
    (slope,) = torch.autograd.grad(output, first, upstream)
    assert slope.any()


def test_spikes_of_neurons_are_spikes(chain):
    layers, x, _ = chain
    assert all(type(output) is Spikes for output in run(layers, spikes(x)))
