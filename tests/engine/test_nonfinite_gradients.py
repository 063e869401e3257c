"""A gradient that is NaN or infinite shows in every gradient in which the dense products show it."""

import pytest
import torch
from torch import nn

from litspike import LIF, Recurrent
from litspike.engine.events import choice
from litspike.engine.events.spikes import spikes
from litspike.surrogates import Triangle

ODD = [float("nan"), float("inf")]


def drawn(*shape):
    x = (torch.rand(shape) < 0.1).float()
    x.view(-1, *shape[-3 if len(shape) == 4 else -1 :])[3] = 0  # here the gradient is no number, and nothing fires
    return x


def gradients(run, x, upstream, module):
    """Those of the input and of all parameters."""
    x = x.clone().requires_grad_()
    return torch.autograd.grad(run(x), [x, *module.parameters()], upstream)


def same_places(found, wanted):
    assert any(not each.isfinite().all() for each in wanted)
    for each, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(each, other, rtol=1e-4, atol=1e-4, equal_nan=True)


@pytest.mark.parametrize("odd", ODD)
def test_in_a_linear_layer(always, odd):
    layer, x, upstream = nn.Linear(30, 40), drawn(20, 4, 30), torch.randn(20, 4, 40)
    upstream[0, 3, 5] = odd
    same_places(*(gradients(lambda x, to=to: layer(to(x)), x, upstream, layer) for to in (spikes, torch.Tensor.clone)))


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("valued", [False, True])
def test_in_a_convolution(always, monkeypatch, odd, valued):
    for name in ("CONVOLUTION_OUTPUTS", "CONVOLUTION_DEPTH"):
        monkeypatch.setattr(choice, name, 0)
    monkeypatch.setattr(choice, "CONVOLUTION_CROSSOVER", 2.0)
    layer, x, upstream = (
        nn.Conv2d(4, 33, 3, padding=1),
        drawn(6, 4, 8, 7) * (2 if valued else 1),
        torch.randn(6, 33, 8, 7),
    )
    upstream[3, 5, 2, 2] = odd
    same_places(*(gradients(lambda x, to=to: layer(to(x)), x, upstream, layer) for to in (spikes, torch.Tensor.clone)))


@pytest.mark.parametrize("odd", ODD)
def test_in_a_recurrent_layer_whose_surrogate_is_zero_at_most_places(sampled, odd):
    x, upstream = torch.rand(12, 4, 40) * 0.2, torch.randn(12, 4, 40)
    x[:, :, :20] *= 8
    upstream[9, 1, 5] = upstream[8, 1, 30] = odd
    fused, reference = (
        Recurrent(LIF(surrogate=Triangle(), engine=engine)).shaped(40) for engine in ("fused", "reference")
    )
    reference.load_state_dict(fused.state_dict())
    same_places(*(gradients(lambda x, layer=layer: layer(x)[0], x, upstream, layer) for layer in (fused, reference)))


@pytest.mark.parametrize("odd", ODD)
def test_in_the_neurons_before_a_linear_layer(sampled, odd):
    x, upstream = torch.rand(12, 4, 40), torch.randn(12, 4, 50)
    upstream[9, 1, 5] = odd
    before, after = nn.Linear(40, 40), nn.Linear(40, 50)
    both = nn.ModuleList([before, after])

    def run(engine):
        return lambda x: after(LIF(surrogate=Triangle(), engine=engine)(before(x) + x)[0])

    same_places(*(gradients(run(engine), x, upstream, both) for engine in ("fused", "reference")))
