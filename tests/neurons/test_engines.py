"""Every model with every surrogate gives in the fused engine what it gives in the reference, on awkward shapes."""

import pytest
import torch

from litspike.neurons import (
    IF,
    LIF,
    AdaptiveExponential,
    AdaptiveLIF,
    Izhikevich,
    LeakyIntegrator,
    QuadraticIF,
    RefractoryLIF,
    ResonateAndFire,
    SynapticLIF,
)
from tests.grids import grid
from tests.models import DRIVES, FIRING, SURROGATES, learnable

LEARNED = {  # parameters whose gradients are compared, one for each layer and one for each neuron; else the first ones
    IF: ("threshold", None),
    LIF: ("threshold", "decay"),
    RefractoryLIF: ("threshold", "decay"),
    SynapticLIF: ("synapse_decay", "decay"),
    AdaptiveLIF: ("adaptation", "decay"),
    AdaptiveExponential: ("jump", "coupling"),
    Izhikevich: ("d", "c"),
    ResonateAndFire: ("frequency", "decay"),
    QuadraticIF: ("sharpness", "critical"),
}
SHAPES = [(1, 2, 3), (17, 1, 7), (33, 2, 257), (20, 3, 2, 4)]


def spaced(x):
    """The same numbers in memory that is not contiguous."""
    room = torch.full((*x.shape, 2), float("nan"), dtype=x.dtype)
    room[..., 0] = x
    return room[..., 0]


def both(model, settings, x, start=None):
    """Results and gradients of the fused engine, then of the reference engine."""
    found = []
    for engine in ("fused", "reference"):
        neuron = model(**settings, engine=engine).shaped(*x.shape[2:]).to(x.dtype)
        current = x.detach().requires_grad_()
        begin = None if start is None else neuron.State(*(value.detach().requires_grad_() for value in start))
        output, state = neuron(current, begin)
        results = [output, *state]
        draw = torch.Generator().manual_seed(2)
        upstream = [torch.randn(result.shape, generator=draw, dtype=result.dtype) for result in results]
        inputs = [current, *(begin or ()), *neuron.parameters()]
        reached = [(result, g) for result, g in zip(results, upstream, strict=True) if result.requires_grad]
        outputs, weights = zip(*reached, strict=True)
        gradients = torch.autograd.grad(outputs, inputs, weights, allow_unused=True, materialize_grads=True)
        found.append(([result.detach() for result in results], gradients))
    return found


def check(model, settings, x, start=None):
    (results, gradients), (expected, right) = both(model, settings, x, start)
    for a, b in zip(results, expected, strict=True):
        assert torch.equal(a, b)
    for a, b in zip(gradients, right, strict=True):
        scale = b.abs().max().clamp(min=1)
        torch.testing.assert_close(a / scale, b / scale, rtol=1e-9, atol=1e-9)
    return expected[0]


def learned(model):
    with_default = [name for name in learnable(model) if model.declared[name].default is not None]
    layer, neuron = LEARNED.get(model, (*with_default, None)[:2])
    return {"learn": {layer: "layer", **({neuron: "neuron"} if neuron else {})}}


def drawn(model, shape, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return (torch.randn(shape, generator=draw, dtype=torch.float64) + 1) * DRIVES.get(model, 0.7)


@pytest.mark.integration
@pytest.mark.parametrize(("model", "surrogate"), grid(FIRING, SURROGATES))
def test_spikes_states_and_gradients_are_the_references_on_every_shape(model, surrogate):
    fired = 0
    for shape in SHAPES:
        x = spaced(drawn(model, shape))
        assert not x.is_contiguous()
        fired += check(model, {"surrogate": surrogate, **learned(model)}, x).sum()
    assert fired > 0


@pytest.mark.integration
@pytest.mark.parametrize(("model", "surrogate"), grid(FIRING, SURROGATES))
def test_inputs_of_ten_thousand_give_the_references_results(model, surrogate):
    signs = drawn(model, (18, 2, 5)).sign()
    check(model, {"surrogate": surrogate, **learned(model)}, signs * 1e4)


@pytest.mark.parametrize("model", FIRING)
def test_one_neuron_and_one_step_give_the_references_results(model):
    for shape in [(1, 1, 1), (16, 3, 1)]:
        check(model, learned(model), drawn(model, shape))


@pytest.mark.integration
@pytest.mark.parametrize("model", FIRING)
def test_the_first_state_gets_its_gradient(model):
    x = drawn(model, (18, 2, 5))
    rest = model().at_rest()
    start = [torch.full((2, 5), float(value), dtype=torch.float64) for value in rest]
    check(model, {"detach_reset": True, **learned(model)}, x, start)
    check(model, learned(model), x, start)


@pytest.mark.integration
@pytest.mark.parametrize(
    ("leak", "reset", "gain"),
    grid(["before_input", "before_reset", "after_reset"], ["zero", "value", "subtract"], ["one", "one_minus_decay"]),
)
def test_every_option_of_lif_is_the_references(leak, reset, gain):
    more = {"reset_value": -0.2} if reset == "value" else {}
    for model, fires in ((LIF, "above"), (RefractoryLIF, "at")):
        settings = {"leak": leak, "reset": reset, "input_gain": gain, "fires": fires, **more, **learned(model)}
        check(model, settings, drawn(model, (18, 2, 5)) * 3)


@pytest.mark.parametrize("size", [1.0, 1e4])
def test_the_leaky_integrator_is_the_references(size):
    for shape in SHAPES:
        check(LeakyIntegrator, {"learn": {"decay": "neuron"}}, spaced(drawn(LeakyIntegrator, shape)) * size)
