"""Learned parameters stay what their model takes, and stiff neurons and large currents give finite numbers."""

import pytest
import torch

from litspike.neurons import AdaptiveExponential, Izhikevich, QuadraticIF, ResonateAndFire
from litspike.neurons.learning import value_of
from litspike.settings import SettingError
from tests.models import MODELS, learnable

UNSET = {"decay": 0.5, "tau": 8.0, "reset_value": 0.2}


def settings(model, names):
    """What a layer needs that learns these."""
    unset = [name for name in names if model.declared[name].default is None]
    found = {name: UNSET[name.split("_")[-1] if name != "reset_value" else name] for name in unset}
    return found | ({"reset": "value"} if "reset_value" in unset else {})


PAIRS = [(model, [name]) for model in MODELS for name in learnable(model)]
GROUPS = [(model, [n for n in learnable(model) if model.declared[n].default is not None]) for model in MODELS]
CASES = PAIRS + [(model, names) for model, names in GROUPS if len(names) > 1]


def values(layer, names):
    return {name: getattr(layer, name).detach().flatten()[0].item() for name in names}


@pytest.mark.parametrize(("model", "names"), CASES)
def test_whatever_an_optimizer_does_a_model_takes_the_values_of_its_learned_parameters(model, names):
    given = settings(model, names)
    layer = model(**given, learn=dict.fromkeys(names, "layer")).double()
    draw = torch.Generator().manual_seed(0)
    for scale in [3.0] * 20 + [100.0] * 20 + [1e30] * 10:
        with torch.no_grad():
            for free in layer.parameters():
                free.copy_(torch.randn((), generator=draw, dtype=torch.float64) * scale)
        model(**given | values(layer, names))  # no SettingError
        assert all(isinstance(c, float) or c.isfinite().all() for c in layer.values("constants"))
        for constant in layer.values("constants"):
            if isinstance(constant, torch.Tensor):
                found = torch.autograd.grad(constant, list(layer.parameters()), allow_unused=True, retain_graph=True)
                assert all(gradient is None or gradient.isfinite().all() for gradient in found)


@pytest.mark.parametrize("rate", [0.1, 5.0])
@pytest.mark.parametrize(("model", "names"), PAIRS)
def test_training_at_any_rate_keeps_a_parameter_in_its_domain_and_all_finite(model, names, rate):
    given = settings(model, names)
    layer = model(**given, engine="reference", learn=dict.fromkeys(names, "neuron")).shaped(3)
    optimizer = torch.optim.SGD(layer.parameters(), rate)
    unit = {AdaptiveExponential: 800.0, Izhikevich: 10.0}.get(model, 1.0)
    x = torch.rand(8, 2, 3, generator=torch.Generator().manual_seed(0)) * 2 * unit
    for step in range(8):
        optimizer.zero_grad()
        output, state = layer(x)
        ((output.mean() - step % 2).square() * 20).backward()
        optimizer.step()
        assert all(part.isfinite().all() for part in (output, *state, *layer.parameters()))
        model(**given | values(layer, names))


@pytest.mark.parametrize("free", [-1e30, -200.0, -88.0, 88.0, 200.0, 1e30])
@pytest.mark.parametrize("interval", ["(0, 1)", "(0, inf)", "(-inf, 3)", "(-2, 5)", "(2, inf)"])
def test_a_learned_value_at_its_end_has_a_gradient_that_is_a_number(free, interval):
    leaf = torch.tensor(free, requires_grad=True)
    value = value_of(leaf, interval)
    (-1 / value.square()).backward()
    assert value.isfinite()
    assert leaf.grad.isfinite()


CURRENTS = [0.0, 1.0, -1.0, 30.0, -30.0, 1e3, -1e3, 1e6, -1e6, 1e12, -1e12]


@pytest.mark.integration
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("learn", [False, True])
def test_large_negative_and_no_currents_give_finite_numbers(model, learn):
    names = [name for name in learnable(model) if model.declared[name].default is not None]
    layer = model(learn=dict.fromkeys(names, "layer") if learn else None)
    noise = torch.randn(200, 2, 3, generator=torch.Generator().manual_seed(0))
    for scale in CURRENTS:
        for x in (noise * scale, torch.full_like(noise, scale)):
            layer.zero_grad()
            x = x.requires_grad_()
            output, state = layer(x)
            (output.sum() + sum(part.sum() for part in state) * 1e-3).backward()
            learned = [parameter.grad for parameter in layer.parameters()]
            assert all(part.isfinite().all() for part in (output, *state, x.grad, *learned))


@pytest.mark.parametrize(
    ("model", "given", "time"),
    [
        (AdaptiveExponential, {"dt": 30.0}, "capacitance / leak_conductance"),
        (AdaptiveExponential, {"tau": 1e-3}, "tau"),
        (AdaptiveExponential, {"leak_conductance": 1e6}, "capacitance / leak_conductance"),
        (Izhikevich, {"a": 30.0}, "1 / a"),
        (Izhikevich, {"dt": 1000.0}, "1 / a"),
        (QuadraticIF, {"dt": 20.0}, r"tau / \(sharpness · critical\)"),
        (QuadraticIF, {"sharpness": 1e3}, r"tau / \(sharpness · critical\)"),
    ],
)
def test_a_step_too_long_for_its_time_constant_is_refused(model, given, time):
    with pytest.raises(
        SettingError, match=rf"^dt: .* is not below 2 · {time} = .*, from where on Euler's step diverges"
    ):
        model(**given)


def test_what_must_stay_above_another_does_where_both_are_learned():
    layer = QuadraticIF(learn={"threshold": "neuron", "reset_value": "neuron", "critical": "layer"}).shaped(4)
    with torch.no_grad():
        for free in layer.parameters():
            free.fill_(50.0)
    assert (layer.threshold > layer.reset_value).all()
    with torch.no_grad():
        layer.free_threshold.fill_(-50.0)
        layer.free_reset_value.fill_(-50.0)
    assert (layer.threshold > layer.reset_value).all()
    assert (layer.threshold > layer.critical).all()


def test_a_learned_frequency_stays_one_that_the_steps_show():
    layer = ResonateAndFire(dt=2.0, learn={"frequency": "layer"})
    assert layer.frequency.item() == pytest.approx(0.1, rel=1e-6)
    with torch.no_grad():
        layer.free_frequency.fill_(1e9)
    assert 0.2499 < layer.frequency.item() < 0.25
