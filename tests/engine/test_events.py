"""Products of spikes against dense ones: on awkward shapes, with no event, all events, and values other than 1."""

import copy
import io
import itertools
import pickle
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from litspike.engine.events import choice
from litspike.engine.events import product as events_product
from litspike.engine.events import recipe as recipe_module
from litspike.engine.events.product import events, packed, product, weight_gradient
from litspike.engine.events.spikes import Spikes, spikes
from tests.grids import covering, thorough

ROWS, INPUTS, OUTPUTS = (1, 63, 64, 65, 200), (1, 15, 16, 65, 513), (1, 16, 63, 64, 65, 513)


def drawn(kind, rows, inputs, dtype, seed=0):
    draw = torch.Generator().manual_seed(seed)
    chance = {"none": 0.0, "few": 0.05, "all": 1.0, "valued": 0.2}[kind]
    x = (torch.rand(rows, inputs, generator=draw) < chance).to(dtype)
    return x * torch.randn(rows, inputs, generator=draw, dtype=dtype) if kind == "valued" else x


def normal(*shape, dtype, seed=1):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def places(found):
    """The events as pairs of row and input, read with NumPy."""
    kind = {2: np.uint16, 4: np.uint32}[found.indices.element_size()]
    indices = found.indices.numpy().view(kind)
    return [
        (row, int(j)) for row, (begin, end) in enumerate(pairwise(found.starts.tolist())) for j in indices[begin:end]
    ]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("kind", ["none", "few", "all", "valued"])
def test_lists_hold_what_is_not_zero_in_order(kind, dtype):
    for rows, inputs in itertools.product(ROWS, INPUTS):
        x = drawn(kind, rows, inputs, dtype)
        found = events(x)
        assert places(found) == [tuple(pair) for pair in np.argwhere(x.numpy() != 0).tolist()]
        assert found.total == int(x.count_nonzero())
        assert (found.values is not None) == bool(((x != 0) & (x != 1)).any())


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), -0.0, -1.0, 1e-45])
def test_odd_numbers_are_events_where_they_are_not_zero(odd):
    x = torch.zeros(3, 40)
    x[1, 5] = x[2, 39] = odd
    found = events(x)
    assert places(found) == ([] if odd == 0 else [(1, 5), (2, 39)])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("value", [1.0, -2.5, float("nan"), float("inf")])
def test_the_density_by_which_is_chosen_is_that_of_spikes_that_are_spread_evenly(value, dtype):
    for rows, inputs in itertools.product((1, 64, 200), (16, 65, 513)):
        for among_16 in (0, 1, 5, 16):
            x = torch.zeros(rows * inputs, dtype=dtype)
            x[torch.arange(len(x)) % 16 < among_16] = value
            density, x = among_16 / 16, x.view(rows, inputs)
            assert not choice._fewer(x, inputs, density)
            assert choice._fewer(x, inputs, density + 1e-6)


def test_more_inputs_than_16_bits_can_count():
    x = torch.zeros(2, 70_000)
    x[0, 69_999] = x[1, 65_536] = 1
    assert places(events(x)) == [(0, 69_999), (1, 65_536)]
    weight = normal(33, 70_000, dtype=torch.float32)
    assert torch.equal(product(events(x), packed(weight), 33), weight[:, [69_999, 65_536]].T)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("kind", ["none", "few", "all", "valued"])
@pytest.mark.parametrize(
    "sizes",
    [
        pytest.param(covering(ROWS, INPUTS, OUTPUTS), id="each size"),
        thorough(list(itertools.product(ROWS, INPUTS, OUTPUTS)), id="all combinations"),
    ],
)
def test_products_are_those_of_dense_matrices(sizes, kind, dtype):
    bound = {"rtol": 1e-4, "atol": 1e-4} if dtype == torch.float32 else {"rtol": 1e-12, "atol": 1e-12}
    for rows, inputs, outputs in sizes:
        x, weight = drawn(kind, rows, inputs, dtype), normal(outputs, inputs, dtype=dtype)
        grad, bias = normal(rows, outputs, dtype=dtype), normal(outputs, dtype=dtype, seed=2)
        found = events(x)
        torch.testing.assert_close(product(found, packed(weight), outputs, bias), x @ weight.T + bias, **bound)
        torch.testing.assert_close(weight_gradient(found, grad), grad.T @ x, **bound)


def test_an_output_is_the_bias_plus_its_events_in_the_order_of_their_index():
    x = drawn("few", 20, 300, torch.float32)
    weight, bias = normal(70, 300, dtype=torch.float32), normal(70, dtype=torch.float32, seed=2)
    expected = np.tile(bias.numpy(), (20, 1))
    for row, j in np.argwhere(x.numpy() != 0):
        expected[row] += weight.numpy()[:, j]
    assert np.array_equal(product(events(x), packed(weight), 70, bias).numpy(), expected)


def test_results_do_not_depend_on_the_number_of_threads():
    x, weight = drawn("few", 700, 500, torch.float32), normal(300, 500, dtype=torch.float32)
    grad = normal(700, 300, dtype=torch.float32)
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            found = events(x)
            results.append((product(found, packed(weight), 300), weight_gradient(found, grad)))
    finally:
        torch.set_num_threads(before)
    for result in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(result, results[0], strict=True))


@pytest.fixture
def sparse():
    """Spikes of a size for which events pay, [T, B, N]."""
    return drawn("few", 800, 200, torch.float32).view(100, 8, 200)


@pytest.fixture
def taken(monkeypatch):
    """The products that were taken on events."""
    calls = []
    real = events_product.product
    monkeypatch.setattr(recipe_module, "product", lambda *given: calls.append(given[0].shape) or real(*given))
    return calls


@pytest.mark.parametrize("bias", [True, False])
def test_a_linear_takes_the_event_product_and_gives_the_dense_gradients(sparse, taken, bias):
    layer = nn.Linear(200, 130, bias)
    dense = sparse.clone().requires_grad_()
    held = sparse.clone().requires_grad_()
    y, expected = layer(spikes(held)), layer(dense)
    assert taken == [(800, 200)]
    torch.testing.assert_close(y, expected, rtol=1e-5, atol=1e-5)
    upstream = normal(*y.shape, dtype=torch.float32)
    found = torch.autograd.grad(y, [held, *layer.parameters()], upstream)
    wanted = torch.autograd.grad(expected, [dense, *layer.parameters()], upstream)
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x.repeat_interleave(2, 2)[..., ::2],
        lambda x: x.transpose(0, 1),
        lambda x: x.transpose(1, 2).contiguous().transpose(1, 2),
        lambda x: x[:1].expand(100, -1, -1),
    ],
)
def test_spikes_of_any_layout_are_read(sparse, taken, view):
    layer, x = nn.Linear(200, 130), view(sparse)
    y, expected = layer(spikes(x)), layer(x)
    assert taken
    torch.testing.assert_close(y, expected, rtol=1e-5, atol=1e-5)
    upstream = normal(*y.shape, dtype=torch.float32).transpose(0, 1).contiguous().transpose(0, 1)
    for parameter in layer.parameters():
        found, wanted = (torch.autograd.grad(r, parameter, upstream, retain_graph=True)[0] for r in (y, expected))
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("kind", ["none", "few", "all", "valued"])
def test_whatever_is_chosen_by_itself_a_linear_gives_the_dense_results(kind, dtype, taken):
    bound = {"rtol": 1e-3, "atol": 1e-3} if dtype == torch.float32 else {"rtol": 1e-11, "atol": 1e-11}
    sizes = [
        (1, 1, 1),
        (1, 513, 65),
        (63, 65, 1),
        (65, 63, 513),
        (40_000, 1, 63),
        (3000, 63, 130),
        (300, 513, 130),
        (65, 513, 513),
    ]
    for rows, inputs, outputs in sizes:
        layer = nn.Linear(inputs, outputs).to(dtype)
        x, upstream = drawn(kind, rows, inputs, dtype), normal(rows, outputs, dtype=dtype)
        y, expected = layer(spikes(x)), layer(x)
        torch.testing.assert_close(y, expected, **bound)
        found, wanted = (torch.autograd.grad(r, list(layer.parameters()), upstream) for r in (y, expected))
        torch.testing.assert_close(found, wanted, **bound)
    worth = [(3000, 63), (300, 513)]  # work enough, and rows enough for what packing the weight takes
    assert taken == ([] if kind == "all" else [*worth, (65, 513)] if kind == "none" else worth)


def test_hooks_of_the_layer_see_the_call(sparse, taken):
    layer, seen = nn.Linear(200, 130), []
    layer.register_forward_hook(lambda module, arguments, result: seen.append((arguments[0].shape, result.shape)))
    layer(spikes(sparse))
    assert taken
    assert seen == [((100, 8, 200), (100, 8, 130))]


@pytest.mark.parametrize("change", [lambda x: x.zero_(), lambda x: x.numpy().fill(0), lambda x: x.data.zero_()])
def test_spikes_that_changed_are_read_anew_by_the_next_layer(sparse, taken, change):
    x, layers = spikes(sparse), [nn.Linear(200, 130), nn.Linear(200, 64)]
    for layer in layers:
        torch.testing.assert_close(layer(x), layer(sparse), rtol=1e-5, atol=1e-5)
    change(sparse)  # in the memory of both
    for layer in layers:
        assert torch.equal(layer(x), layer.bias.expand(100, 8, -1))
    assert len(taken) == 4


@pytest.mark.parametrize("odd", [float("nan"), float("inf")])
def test_a_weight_that_is_no_number_shows_where_nothing_fires(sparse, odd):
    layer = nn.Linear(200, 130)
    with torch.no_grad():
        layer.weight[3, 7] = odd
    sparse[..., 7] = 0
    assert torch.equal(layer(spikes(sparse)).isnan().flatten(0, 1).all(0), torch.arange(130) == 3)


def test_gradients_of_a_batch_are_those_of_each(sparse, taken):
    layer = nn.Linear(200, 130)
    y = layer(spikes(sparse)).mean((0, 1))[:3]
    (found,) = torch.autograd.grad(y, layer.weight, torch.eye(3), is_grads_batched=True, retain_graph=True)
    assert taken
    for each, one in zip(found, y, strict=True):
        torch.testing.assert_close(each, torch.autograd.grad(one, layer.weight, retain_graph=True)[0])


def test_a_gradient_is_asked_for_where_no_gradient_is_on(sparse):
    x = sparse.requires_grad_()
    with torch.no_grad():
        (found,) = torch.autograd.grad(spikes_with_a_graph(x), x, torch.ones_like(sparse))
    assert torch.equal(found, torch.full_like(sparse, 2))


def spikes_with_a_graph(x):
    with torch.enable_grad():
        return spikes(x * 2)


def test_dense_input_takes_the_dense_product(taken):
    x = torch.ones(100, 8, 200)
    layer = nn.Linear(200, 130)
    assert torch.equal(layer(spikes(x)), layer(x))
    assert not taken


def test_every_other_operation_gives_an_ordinary_tensor(sparse):
    x = spikes(sparse)
    assert type(x) is Spikes
    stored = io.BytesIO()
    torch.save(x, stored)
    stored.seek(0)
    for other in (
        *(x + 1, x.flatten(0, 1), x[0], x.mean(), x.detach(), torch.cat([x, x]), x.clone(), nn.functional.relu(x)),
        *(copy.deepcopy(x), pickle.loads(pickle.dumps(x)), torch.load(stored), x.double()),
    ):
        assert type(other) is torch.Tensor
    assert torch.equal(copy.deepcopy(x), sparse)


def test_a_mistake_in_a_product_is_explained_by_torch(sparse):
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        nn.Linear(100, 130)(spikes(sparse))
    with pytest.raises(RuntimeError, match="dtype"):
        nn.Linear(200, 130).double()(spikes(sparse))


def test_half_precision_by_autocast_is_dense(sparse, taken):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert nn.Linear(200, 130)(spikes(sparse)).dtype is torch.bfloat16
    assert not taken


def test_transforms_and_graphs_see_ordinary_tensors(sparse, taken):
    layer = nn.Linear(200, 130)
    x, expected = spikes(sparse), layer(sparse)
    torch.testing.assert_close(torch.func.vmap(layer)(x), expected, rtol=1e-5, atol=1e-5)
    _, slope = torch.func.jvp(layer, (x,), (torch.ones_like(sparse),))
    torch.testing.assert_close(slope, layer.weight.sum(1).expand_as(expected), rtol=1e-4, atol=1e-4)
    program = torch.export.export(layer, (x,)).module()
    torch.testing.assert_close(program(sparse), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(torch.jit.trace(layer, (x,), check_trace=False)(sparse), expected, rtol=1e-5, atol=1e-5)
    assert not taken


def test_gradients_of_gradients_are_those_of_the_dense_product(sparse, taken):
    def penalty(x, weight):
        y = nn.functional.linear(x, weight)
        (slope,) = torch.autograd.grad(y.square().sum(), weight, create_graph=True)
        return torch.autograd.grad(slope.square().sum(), weight)[0]

    weight = normal(130, 200, dtype=torch.float32).requires_grad_()
    found, wanted = penalty(spikes(sparse), weight), penalty(sparse, weight)
    assert taken
    torch.testing.assert_close(found / wanted.abs().max(), wanted / wanted.abs().max(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_without_gradients_the_product_is_the_same(sparse, taken, mode):
    layer = nn.Linear(200, 130)
    expected = layer(sparse).detach()
    with mode():
        x = spikes(sparse.clone())
        torch.testing.assert_close(layer(x), expected, rtol=1e-5, atol=1e-5)
        x.zero_()
        torch.testing.assert_close(layer(x), layer.bias.expand_as(expected))
    assert taken
