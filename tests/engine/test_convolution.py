"""Convolutions on events against those of torch, in double precision and on awkward shapes."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.functional import conv1d, conv2d, pad

from litspike.engine.events import choice, convolved
from litspike.engine.events.convolution import Convolution, convolve, pixel_events
from litspike.engine.events.spikes import Spikes, spikes
from litspike.networks import ConvNet
from litspike.neurons import LIF
from litspike.settings import UserError

SHAPES = [
    ((1, 1, 1, 1), (1, 1, 1, 1), 1, 0),
    ((3, 5, 9, 7), (6, 5, 3, 3), 1, 1),
    ((2, 63, 8, 8), (65, 63, 3, 2), (2, 1), (0, 1)),
    ((2, 3, 20, 33), (70, 3, 5, 5), (1, 3), (2, 4)),
    ((1, 2, 4, 5), (1, 2, 4, 5), 1, (9, 9)),
    ((5, 1, 65, 1), (513, 1, 2, 1), (7, 1), 0),
    ((0, 2, 4, 5), (3, 2, 3, 3), 1, 1),
]
LINES = [((1, 1, 1), (1, 1, 1), 1, 0), ((5, 4, 30), (33, 4, 5), (2,), (2,)), ((2, 65, 63), (64, 65, 3), 1, 1)]


@pytest.fixture
def calls(monkeypatch, always):
    """Take the events at every size; gives the convolutions that ran on them."""
    monkeypatch.setattr(choice, "CONVOLUTION_CROSSOVER", 2.0)
    monkeypatch.setattr(choice, "CONVOLUTION_OUTPUTS", 0)
    monkeypatch.setattr(choice, "CONVOLUTION_DEPTH", 0)
    found = []
    monkeypatch.setattr(convolved, "convolve", lambda *given: found.append(given[-1]) or convolve(*given))
    return found


def drawn(shape, kind, dtype=torch.float64):
    draw = torch.Generator().manual_seed(0)
    x = (torch.rand(shape, generator=draw) < {"none": 0.0, "all": 1.0}.get(kind, 0.2)).to(dtype)
    return x * torch.randn(shape, generator=draw, dtype=dtype) if kind == "valued" else x


def outcome(function, x, shape, bias, *how):
    draw = torch.Generator().manual_seed(1)
    weight = torch.randn(shape, generator=draw, dtype=x.dtype).requires_grad_()
    leaves = [x.clone().requires_grad_(), weight]
    if bias:
        leaves.append(torch.randn(shape[0], generator=draw, dtype=x.dtype).requires_grad_())
    given = spikes(leaves[0] * 1) if function is not None else leaves[0]
    y = (function or (conv1d if x.dim() == 3 else conv2d))(given, *leaves[1:], *([] if bias else [None]), *how)
    upstream = torch.randn(y.shape, generator=draw, dtype=x.dtype)
    return [y.detach(), *torch.autograd.grad(y, leaves, upstream)]


@pytest.mark.parametrize("kind", ["none", "few", "all", "valued"])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("case", [*SHAPES, *LINES], ids=str)
def test_outputs_and_gradients_are_those_of_torch(case, kind, bias, dtype, calls):
    shape, weight, *how = case
    x = drawn(shape, kind, dtype)
    found = outcome(conv1d if len(shape) == 3 else conv2d, x, weight, bias, *how)
    assert len(calls) == 1
    bound = 1e-9 if dtype is torch.float64 else 1e-3
    for a, b in zip(found, outcome(None, x, weight, bias, *how), strict=True):
        torch.testing.assert_close(a, b, rtol=bound, atol=bound)
        assert type(a) is torch.Tensor


def test_each_output_sums_its_events_in_the_order_of_row_column_and_channel():
    x, weight = drawn((2, 5, 6, 7), "few", torch.float32), torch.randn(65, 5, 3, 3)
    bias = torch.randn(65)
    found = convolve(pixel_events(x), weight, bias, Convolution((1, 1), (1, 1)))
    expected, padded = bias.view(1, -1, 1, 1).repeat(2, 1, 6, 7), pad(x, (1, 1, 1, 1))
    for row in range(3):
        for column in range(3):
            for channel in range(5):
                seen = padded[:, channel, row : row + 6, column : column + 7]
                expected += seen[:, None] * weight[None, :, channel, row, column, None, None]
    assert torch.equal(found, expected)


def test_an_index_of_more_than_sixteen_bits_is_held():
    x = torch.zeros(1, 65, 32, 33)
    x[0, 64, 31, 32] = x[0, 0, 0, 0] = 1
    found = pixel_events(x)
    assert found.indices.dtype is torch.int32
    assert found.indices.tolist() == [0, 65 * 32 * 33 - 1]
    assert pixel_events(x[:, :2].contiguous()).indices.dtype is torch.int16


@pytest.mark.parametrize("how", [{"groups": 2}, {"dilation": 2}, {"padding": "same"}, {"padding_mode": "circular"}])
def test_what_the_kernels_do_not_know_is_dense(how, calls):
    layer = nn.Conv2d(4, 6, 3, **{"padding": 1} | how)
    x = drawn((2, 4, 9, 9), "few", torch.float32)
    assert torch.equal(layer(spikes(x)), layer(x))
    assert not calls


def test_a_mistake_is_explained_by_torch(calls):
    for size, channels in ((5, 2), (2, 3)):
        with pytest.raises(RuntimeError):
            conv2d(spikes(torch.ones(2, 3, size, size)), torch.ones(4, channels, 3, 3))
    assert not calls


@pytest.mark.parametrize(
    ("outputs", "inputs", "density", "taken"),
    [(64, 32, 0.05, True), (64, 32, 0.2, False), (32, 32, 0.01, False), (64, 8, 0.01, False)],
)
def test_the_events_are_taken_where_they_are_ahead(outputs, inputs, density, taken):
    x = (torch.rand(8, inputs, 16, 16, generator=torch.Generator().manual_seed(0)) < density).float()
    layer = nn.Conv2d(inputs, outputs, 3, padding=1)
    y = layer(spikes(x))
    assert (y.grad_fn.name() == "_EventConvolutionBackward") == taken
    torch.testing.assert_close(y, layer(x), rtol=1e-4, atol=1e-4)


def test_a_network_of_convolutions_runs_on_events_and_has_the_gradients_of_the_reference(calls, monkeypatch):
    torch.manual_seed(0)
    network = ConvNet([2, 8, 8], [5, 7], [3], LIF(threshold=0.3)).double()
    x = drawn((6, 2, 2, 8, 8), "few")
    found = []
    for events in (True, False):
        if not events:
            monkeypatch.setattr(choice, "CONVOLUTION_CROSSOVER", 0.0)
            monkeypatch.setattr(choice, "CROSSOVER", 0.0)
        one = copy.deepcopy(network)
        output, _ = one(x)
        output.square().sum().backward()
        found.append([output.detach(), *(parameter.grad for parameter in one.parameters())])
    assert len(calls) == 2
    assert all(parameter.abs().sum() > 0 for parameter in found[0])
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


def test_results_do_not_depend_on_the_number_of_threads(calls):
    x, before, results = drawn((9, 3, 40, 40), "few", torch.float32), torch.get_num_threads(), []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            results.append(outcome(conv2d, x, (65, 3, 3, 3), True, 1, 1))
    finally:
        torch.set_num_threads(before)
    for a, b, c in zip(*results, strict=True):
        assert torch.equal(a, b)
        assert torch.equal(a, c)


def test_second_order_gradients_are_refused_in_words(calls):
    x, weight = drawn((2, 3, 5, 5), "few"), torch.randn(4, 3, 3, 3, dtype=torch.float64, requires_grad=True)
    (grad,) = torch.autograd.grad(conv2d(spikes(x), weight).square().sum(), weight, create_graph=False)
    assert grad.abs().sum() > 0
    with pytest.raises(UserError, match="no second-order gradients"):
        torch.autograd.grad(conv2d(spikes(x), weight).square().sum(), weight, create_graph=True)


def test_a_weight_that_is_no_number_shows_where_nothing_fires(calls):
    x, weight = drawn((2, 3, 5, 5), "few"), torch.randn(4, 3, 3, 3, dtype=torch.float64)
    weight[2, 1, 0, 0], x[:, 1] = float("nan"), 0
    assert conv2d(spikes(x), weight).isnan().any((0, 2, 3)).tolist() == [False, False, True, False]


def test_spikes_keep_their_kind_on_their_way_into_a_convolution(calls):
    seen = []
    network = ConvNet([2, 8, 8], [5], [3], LIF())
    network.layers[0].register_forward_pre_hook(lambda layer, given: seen.append(type(given[0])))
    network(drawn((3, 2, 2, 8, 8), "few", torch.float32))
    assert seen == [Spikes]
