"""Tensors that are negated later, or have no memory of their own: no kernel may read these as they are."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, linear
from torch.utils._pytree import tree_map

from litspike import LIF, Recurrent
from litspike.engine.events import choice
from litspike.engine.events.spikes import spikes
from litspike.settings import UserError


def later(tensor):
    """The same numbers, of which memory holds the negative."""
    return torch._neg_view(-tensor)


@pytest.fixture(autouse=True)
def on_events(always, monkeypatch):
    for name, value in {"CROSSOVER": 2.0, "OUTPUTS": 0, "DEPTH": 0}.items():
        monkeypatch.setattr(choice, f"CONVOLUTION_{name}", value)


def few(*shape):
    return (torch.rand(*shape, dtype=torch.float64) < 0.2).double()


PRODUCTS = {
    "linear": (linear, (40, 30), (33, 30)),
    "convolution": (conv2d, (3, 4, 9, 7), (33, 4, 3, 3)),
}


@pytest.mark.parametrize("which", ["x", "weight", "bias", "gradient"])
@pytest.mark.parametrize("name", PRODUCTS)
def test_a_product_reads_what_is_negated_later_with_its_sign(name, which):
    product, shape, size = PRODUCTS[name]
    given = {"x": few(*shape), "weight": torch.randn(size).double(), "bias": torch.randn(size[0]).double()}
    given["gradient"] = torch.randn_like(product(given["x"], given["weight"]))
    results = []
    for mark, change in ((spikes, later), (Tensor.clone, Tensor.clone)):
        x, weight, bias, gradient = (change(value) if key == which else value.clone() for key, value in given.items())
        leaves = [leaf.requires_grad_() for leaf in (x, weight, bias)]
        y = product(mark(x), weight, bias)
        results.append([y, *torch.autograd.grad(y, leaves, gradient)])
    for found, wanted in zip(*results, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("make", [LIF, lambda **more: Recurrent(LIF(**more)).shaped(30)], ids=["plain", "recurrent"])
@pytest.mark.parametrize("which", ["output", "state"])
def test_neurons_read_a_gradient_that_is_negated_later_with_its_sign(make, which):
    layer = make(engine="fused").double()
    found = []
    for change in (later, Tensor.clone):
        torch.manual_seed(0)
        x = torch.randn(20, 3, 30, dtype=torch.float64, requires_grad=True)
        output, last = layer(x)
        result = output if which == "output" else getattr(last, "neuron", last).u
        (grad,) = torch.autograd.grad(result, x, change(torch.randn_like(result)))
        found.append(grad)
    assert torch.equal(*found)


class Foreign(Tensor):
    """A tensor that holds another one, as those of quantised weights and of several devices do."""

    @staticmethod
    def __new__(cls, inner):
        return Tensor._make_wrapper_subclass(cls, inner.shape, dtype=inner.dtype, strides=inner.stride())

    def __init__(self, inner):
        self.inner = inner

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        def inside(value):
            return value.inner if isinstance(value, Foreign) else value

        return func(*tree_map(inside, args), **tree_map(inside, kwargs or {}))


@pytest.mark.parametrize("name", PRODUCTS)
def test_a_weight_or_bias_without_memory_takes_the_dense_product(name):
    product, shape, size = PRODUCTS[name]
    x, weight, bias = few(*shape), torch.randn(size).double(), torch.randn(size[0]).double()
    for given in ((Foreign(weight), bias), (weight, Foreign(bias))):
        assert torch.equal(product(spikes(x), *given), product(x, weight, bias))


@pytest.mark.parametrize("name", PRODUCTS)
def test_a_gradient_without_memory_is_read_by_products(name):
    product, shape, size = PRODUCTS[name]
    x, weight = few(*shape), torch.randn(size).double().requires_grad_()
    y, expected = product(spikes(x), weight), product(x, weight)
    upstream = torch.randn_like(y)
    found, wanted = (torch.autograd.grad(a, weight, b) for a, b in ((y, Foreign(upstream)), (expected, upstream)))
    torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("make", [LIF, lambda **more: Recurrent(LIF(**more)).shaped(30)], ids=["plain", "recurrent"])
def test_a_gradient_without_memory_is_refused_by_neurons_in_words(make):
    output, _ = make(engine="fused").double()(torch.randn(20, 3, 30).double().requires_grad_())
    with pytest.raises(UserError, match="reads no gradient of kind Foreign"):
        output.backward(Foreign(torch.ones_like(output)))


class Named(Tensor):
    """A kind of tensor that results of operations with it are of too, as those of a user's library."""


@pytest.mark.parametrize("operation", [linear, torch.mul, lambda a, b: torch.cat([a, b])], ids=["linear", "mul", "cat"])
def test_another_kind_of_tensor_decides_what_it_does_with_spikes(operation):
    x, other = few(30, 30), torch.randn(30, 30).double()
    result = operation(spikes(x), other.as_subclass(Named))
    assert type(result) is Named
    assert torch.equal(result.as_subclass(Tensor), operation(x, other))
    assert type(nn.functional.relu(spikes(x))) is Tensor
