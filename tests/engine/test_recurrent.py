"""Recurrent layers in one kernel over time, against the reference and a loop in NumPy."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import linear

from litspike.engine import autograd
from litspike.engine.cpu.half import readable
from litspike.engine.cpu.recurrent import CpuRecurrentKernel
from litspike.neurons import IF, LIF, AdaptiveLIF, LeakyIntegrator, Recurrent, SynapticLIF
from litspike.settings import UserError
from litspike.surrogates import ArcTan, Rectangle, Triangle, ZeroGradient
from tests.grids import grid

SHAPES = [(1, 1, 1), (5, 3, 63), (17, 4, 64), (40, 9, 65), (20, 2, 513), (33, 17, 16)]
MODELS = {
    "lif": lambda **more: LIF(threshold=0.5, **more),
    "synaptic": lambda **more: SynapticLIF(threshold=0.5, **more),
    "adaptive": lambda **more: AdaptiveLIF(threshold=0.5, **more),
    "learned": lambda **more: LIF(threshold=0.5, learn={"decay": "layer", "threshold": "neuron"}, **more),
    "graded": lambda **more: LeakyIntegrator(**more),
}


def layers(model, size, bias=False, dtype=torch.float64, scale=1.0):
    """The same layer on both engines."""
    torch.manual_seed(0)
    found = [Recurrent(MODELS[model](engine=engine), bias).shaped(size).to(dtype) for engine in ("fused", "reference")]
    with torch.no_grad():
        for parameter in found[0].connections.parameters():
            parameter.mul_(scale)
    found[1].load_state_dict(found[0].state_dict())
    return found


def outcome(layer, x, state=None, seed=0):
    """Output, last states, and the gradients of input, explicit state and parameters for random ones of all results."""
    x = x.clone().requires_grad_()
    start = [] if state is None else [part.clone().requires_grad_() for part in (*state.neuron, state.output)]
    if state is not None:
        state = type(state)(type(state.neuron)(*start[:-1]), start[-1])
    output, last = layer(x, state)
    results = [output, *last.neuron, last.output]
    draw = torch.Generator().manual_seed(seed)
    upstream = [torch.randn(r.shape, generator=draw, dtype=r.dtype) for r in results]
    asked = [x, *start, *layer.parameters()]
    return [r.detach() for r in results], torch.autograd.grad(results, asked, upstream, allow_unused=True)


def current(shape, dtype=torch.float64, seed=1):
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed)) * 0.8


def compare(found, wanted, bound):
    for a, b in zip(found[0], wanted[0], strict=True):
        torch.testing.assert_close(a, b, rtol=bound, atol=bound)
    for a, b in zip(found[1], wanted[1], strict=True):
        assert (a is None) == (b is None)
        if b is not None:
            scale = b.abs().max().clamp(min=1) if b.numel() else 1
            torch.testing.assert_close(a / scale, b / scale, rtol=bound, atol=bound)


@pytest.mark.integration
@pytest.mark.parametrize(("model", "shape", "bias"), grid(list(MODELS), SHAPES, [False, True]))
def test_outputs_states_and_gradients_are_those_of_the_reference(model, shape, bias):
    ours, reference = layers(model, shape[-1], bias)
    x = current(shape)
    found, wanted = outcome(ours, x), outcome(reference, x)
    if model != "graded":
        assert torch.equal(found[0][0], wanted[0][0])
        assert shape[0] < 5 or 0.01 < found[0][0].mean() < 0.9
    compare(found, wanted, 1e-9)


def test_single_precision_agrees_within_its_rounding():
    ours, reference = layers("lif", 130, dtype=torch.float32)
    x = current((30, 5, 130), torch.float32)
    compare(outcome(ours, x), outcome(reference, x), 1e-3)


def test_an_explicit_state_is_taken_up_and_gets_its_gradients():
    ours, reference = layers("synaptic", 65, bias=True)
    state = reference(current((7, 3, 65)))[1].detach()
    x = current((20, 3, 65), seed=2)
    compare(outcome(ours, x, state), outcome(reference, x, state), 1e-9)


@pytest.mark.parametrize("cut", [1, 16, 33])
def test_pieces_with_the_state_carried_give_the_whole(cut):
    ours, _ = layers("adaptive", 65, dtype=torch.float32)
    x = current((40, 3, 65), torch.float32)
    whole, last = ours(x)
    head, state = ours(x[:cut])
    tail, end = ours(x[cut:], state)
    assert torch.equal(torch.cat([head, tail]), whole)
    assert all(torch.equal(a, b) for a, b in zip((*last.neuron, last.output), (*end.neuron, end.output), strict=True))


def test_spikes_are_those_of_a_loop_in_numpy_that_sums_in_the_same_order():
    ours, _ = layers("lif", 70, bias=True, dtype=torch.float32, scale=3.0)
    x = current((50, 4, 70), torch.float32).numpy()
    weight, bias = (p.detach().numpy() for p in (ours.connections.weight, ours.connections.bias))
    decay, threshold = np.float32(ours.neuron.decay), np.float32(0.5)
    u, spikes, last = np.zeros((4, 70), np.float32), np.zeros_like(x), np.zeros((4, 70), np.float32)
    for t in range(50):
        fed = np.tile(bias, (4, 1))
        for sample in range(4):
            for j in np.flatnonzero(last[sample]):
                fed[sample] += weight[:, j]
        u = u + (fed + x[t])
        spikes[t] = last = (u >= threshold).astype(np.float32)
        u = u * (1 - last) * decay
    assert 0.05 < spikes.mean() < 0.9
    with torch.no_grad():
        output, _ = ours(torch.from_numpy(x))
    np.testing.assert_array_equal(output.numpy(), spikes)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("size", [0.0, 0.5])
def test_values_that_are_fed_back_and_all_gradients_are_those_of_a_loop_in_numpy(shape, dtype, size):
    """A leaky integrator without input stays silent; with one, every neuron sends a value at every step."""
    layer = Recurrent(LeakyIntegrator(decay=0.5, engine="fused"), bias=size > 0).shaped(shape[-1]).to(dtype)
    x = (current(shape) * size).to(dtype).requires_grad_()
    output, last = layer(x)
    upstream = current(shape, seed=4).to(dtype)
    parameters = list(layer.parameters())
    found = [output, last.output, *torch.autograd.grad(output, [x, *parameters], upstream)]
    given, weight, *bias = (tensor.detach().double().numpy() for tensor in (x, *parameters))
    y, u = [np.zeros(shape[1:])], np.zeros(shape[1:])
    for t in range(shape[0]):
        u = 0.5 * u + given[t] + y[-1] @ weight.T + (bias[0] if bias else 0)
        y.append(u)
    of_input, back = np.zeros(shape), np.zeros(shape[1:])
    for t in reversed(range(shape[0])):
        of_input[t] = upstream[t].double().numpy() + back
        back = 0.5 * of_input[t] + of_input[t] @ weight
    before = np.stack(y[:-1])
    by_weight = np.einsum("tbi,tbj->ij", of_input, before)
    expected = [np.stack(y[1:]), y[-1], of_input, by_weight, *([of_input.sum((0, 1))] if bias else [])]
    assert bool(output.any()) == (size > 0)
    bound = 1e-11 if dtype is torch.float64 else 1e-4
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a.detach().numpy(), b, rtol=bound, atol=bound * max(1, np.abs(b).max()))


def test_results_do_not_depend_on_the_number_of_threads():
    ours, _ = layers("learned", 130, dtype=torch.float32)
    x, before, results = current((60, 19, 130), torch.float32), torch.get_num_threads(), []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            values, gradients = outcome(ours, x)
            results.append([*values, *gradients])
    finally:
        torch.set_num_threads(before)
    for result in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(result, results[0], strict=True))


def test_nothing_is_kept_where_nothing_learns():
    ours, reference = layers("lif", 65)
    x = current((20, 3, 65))
    with torch.no_grad():
        output, _ = ours(x)
    assert torch.equal(output, reference(x)[0])
    assert output.grad_fn is None


def test_a_hook_on_the_connections_is_called_at_every_step():
    layer = Recurrent(IF()).shaped(5)
    calls = []
    layer.connections.register_forward_hook(lambda *_: calls.append(1) and None)
    layer(torch.ones(7, 2, 5))
    assert len(calls) == 7


@pytest.mark.parametrize("kind", ["forward", "forward_pre", "full_backward", "full_backward_pre"])
def test_a_hook_on_all_modules_is_called_for_the_connections_at_every_step(kind: str):
    layer, calls = Recurrent(LIF()).shaped(5), []
    handle = getattr(nn.modules.module, f"register_module_{kind}_hook")(
        lambda module, *_: calls.append(module) and None
    )
    try:
        layer(torch.ones(7, 2, 5, requires_grad=True))[0].sum().backward()
    finally:
        handle.remove()
    assert calls.count(layer.connections) == 7


def test_fused_by_name_is_refused_where_it_cannot_be():
    layer = Recurrent(IF(engine="fused")).shaped(5)
    layer.connections.register_forward_hook(lambda *_: None)
    with pytest.raises(UserError, match="engine: 'fused' can't run"):
        layer(torch.ones(7, 2, 5))


def test_an_empty_batch_gives_empty_results():
    layer = Recurrent(IF()).shaped(5)
    _, state = layer(torch.ones(7, 0, 5))
    output, _ = layer(torch.ones(7, 0, 5), state)
    output.sum().backward()
    assert output.shape == (7, 0, 5)
    assert torch.equal(layer.connections.weight.grad, torch.zeros(5, 5))


def test_a_sample_of_any_shape():
    ours, reference = layers("lif", 24)
    for layer in (ours, reference):
        assert isinstance(layer.connections, nn.Linear)
    x = current((9, 3, 2, 3, 4))
    compare(outcome(ours, x), outcome(reference, x), 1e-9)


@pytest.fixture
def places(monkeypatch):
    """The places of each backward pass through a recurrent layer; None where all of the gradient is worked out."""
    seen, real = [], CpuRecurrentKernel.adjoint
    monkeypatch.setattr(
        CpuRecurrentKernel,
        "adjoint",
        lambda self, launch, *rest: seen.append(launch.places) or real(self, launch, *rest),
    )
    return seen


def with_readout(layer, x, product):
    """Spikes of a recurrent layer and the gradients through a product of them."""
    x = x.clone().requires_grad_()
    weight = current((5, x.shape[-1]), x.dtype, seed=3).requires_grad_()
    output, last = layer(x)
    y = product(output, weight)
    results = [y, *last.neuron, last.output]
    upstream = [current(tuple(r.shape), r.dtype, seed=7) for r in results]
    return [output.detach()], torch.autograd.grad(results, [x, weight, *layer.parameters()], upstream)


@pytest.mark.parametrize("surrogate", [Rectangle(1.0), Triangle(0.5), ZeroGradient(), ArcTan()], ids=str)
@pytest.mark.parametrize("make", [LIF, AdaptiveLIF])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_gradients_are_worked_out_where_a_derivative_is_not_zero_and_are_the_whole_ones(
    surrogate, make, dtype, sampled, places
):
    for shape in [(1, 1, 1), (5, 3, 63), (17, 4, 64), (40, 19, 65), (20, 2, 513), (33, 33, 16)]:
        torch.manual_seed(0)
        ours, reference = (
            Recurrent(make(threshold=0.5, surrogate=surrogate, engine=engine), bias=True).shaped(shape[-1]).to(dtype)
            for engine in ("fused", "reference")
        )
        reference.load_state_dict(ours.state_dict())
        x = current(shape, dtype)
        found = with_readout(ours, x, linear)
        wanted = with_readout(reference, x, lambda output, weight: output.as_subclass(torch.Tensor) @ weight.T)
        assert torch.equal(found[0][0], wanted[0][0])
        compare(found, wanted, 1e-9 if dtype is torch.float64 else 1e-3)
        (where,) = places
        if type(surrogate) is ArcTan:
            assert where is None
            assert not sampled
        else:
            assert len(sampled) == 1  # the gradient of the spikes by the product that follows
            bits = where.bits.view(shape[0], -1, 1) >> torch.arange(8, dtype=torch.uint8)
            marked = (bits & 1).bool().flatten(1)
            expected = surrogate.derivative(ours.distance(x)).flatten(1) != 0
            assert (marked[:, : expected.shape[1]] != expected).float().mean() < 1e-3  # but for rounding
            assert not marked[:, expected.shape[1] :].any()
        places.clear()
        sampled.clear()


def test_where_most_derivatives_are_not_zero_or_neurons_are_few_all_of_the_gradient_is_worked_out(places):
    for size, width, everywhere in ((256, 100.0, True), (256, 0.01, False), (64, 0.01, True)):
        layer = Recurrent(LIF(surrogate=Rectangle(width), engine="fused")).shaped(size)
        layer(current((20, 4, size), torch.float32))[0].sum().backward()
        assert (places.pop() is None) == everywhere


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("shape", [(30, 5, 63), (30, 40, 7)], ids=str)
def test_places_do_not_depend_on_the_number_of_threads(threads, shape, places, sampled):
    layer = Recurrent(LIF(threshold=0.5, surrogate=Rectangle(0.3), engine="fused")).shaped(shape[-1])
    before, results = torch.get_num_threads(), []
    with torch.no_grad():
        layer.connections.weight.copy_(current((shape[-1],) * 2, torch.float32, seed=5) / shape[-1] ** 0.5)
    try:
        for count in (threads, 2):
            torch.set_num_threads(count)
            results.append([*outcome(layer, current(shape, torch.float32))[1], places.pop().bits])
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("surrogate", [ArcTan(), Rectangle(1.0)], ids=str)
@pytest.mark.parametrize("shape", [(1, 1, 1), (9, 3, 63), (20, 2, 65), (5, 1, 513)], ids=str)
def test_half_precision_is_read_as_it_is_and_gives_what_single_precision_gives(dtype, surrogate, shape, monkeypatch):
    if not readable(dtype):
        pytest.skip("this processor has no instructions for float16")
    layer = Recurrent(LIF(threshold=0.5, surrogate=surrogate, engine="fused"), bias=True).shaped(shape[-1])
    x = current(shape, torch.float32).to(dtype)
    upstream = current(shape, torch.float32, seed=4).to(dtype)
    found, read, real = [], [], autograd.Launch.of
    monkeypatch.setattr(autograd.Launch, "of", lambda given, *rest: read.append(given.dtype) or real(given, *rest))
    for given in (x, x.float()):
        given = given.clone().requires_grad_()
        output, last = layer(given)
        grads = torch.autograd.grad(output, [given, *layer.parameters()], upstream.to(output.dtype))
        found.append(([output.detach(), *last.neuron, last.output], grads))
    assert read == [dtype, torch.float32, torch.float32, torch.float32]  # input, and total input on the way back; twice
    (results, gradients), (single, expected) = found
    assert results[0].dtype is gradients[0].dtype is dtype
    assert torch.equal(results[0], single[0].to(dtype))
    assert torch.equal(gradients[0], expected[0].to(dtype))
    for a, b in zip([*results[1:], *gradients[1:]], [*single[1:], *expected[1:]], strict=True):
        assert a.dtype is torch.float32
        assert torch.equal(a, b)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_an_output_that_half_precision_does_not_hold_exactly_is_fed_back_as_it_is(dtype):
    layer = Recurrent(LeakyIntegrator(engine="fused")).shaped(33)
    x = current((9, 2, 33), torch.float32).to(dtype)
    found, single = (outcome(layer, given) for given in (x, x.float()))
    assert torch.equal(found[0][0], single[0][0].to(dtype))
    assert torch.equal(found[0][-1], single[0][-1])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_under_autocast_a_recurrent_layer_is_one_kernel_in_single_precision(dtype):
    layer = Recurrent(LIF(threshold=0.5, engine="fused")).shaped(33)
    x = current((9, 2, 33), torch.float32).to(dtype)
    with torch.autocast("cpu", torch.bfloat16):
        output, _ = layer(x)
    assert output.dtype is torch.float32
    assert torch.equal(output, layer(x.float())[0])


@pytest.mark.parametrize("size", [-20.0, 20.0])
@pytest.mark.parametrize("surrogate", [ArcTan(), Rectangle(100.0)], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_no_spike_at_all_and_every_neuron_firing_give_what_the_reference_gives(size, surrogate, dtype, sampled):
    for shape in [(1, 1, 1), (7, 1, 63), (1, 4, 65), (5, 1, 513)]:
        torch.manual_seed(0)
        ours, reference = (
            Recurrent(LIF(surrogate=surrogate, engine=engine), bias=True).shaped(shape[-1]).to(dtype)
            for engine in ("fused", "reference")
        )
        reference.load_state_dict(ours.state_dict())
        found, wanted = (outcome(layer, torch.full(shape, size, dtype=dtype)) for layer in (ours, reference))
        assert found[0][0].unique().tolist() == [float(size > 0)]
        compare(found, wanted, 1e-9 if dtype is torch.float64 else 1e-4)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("compiled", [False, True])
def test_a_weight_that_is_no_number_shows_where_nothing_fires(bias, compiled):
    layer = Recurrent(LeakyIntegrator(engine="fused"), bias).shaped(5)
    with torch.no_grad():
        layer.connections.weight[1, 2] = float("nan")
    run = torch.compile(layer, backend="aot_eager", fullgraph=True) if compiled else layer
    assert run(torch.zeros(1, 2, 5))[0].isnan().any((0, 1)).tolist() == [False, True, False, False, False]
