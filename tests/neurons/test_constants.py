"""What a step gets beside its input: one declaration for fixed and learned parameters, checked when a layer is made."""

import copy
import math
import pickle
from typing import ClassVar

import pytest
import torch

from litspike.neurons import LIF, AdaptiveExponential, Neuron, RefractoryLIF, SynapticLIF, param
from litspike.settings import SettingError, UserError
from litspike.surrogates import ArcTan
from tests.models import MODELS

X = torch.rand(30, 4, 5, generator=torch.Generator().manual_seed(0))


class Curved(Neuron):
    """Its constants are made with PyTorch's functions and methods."""

    rest: ClassVar[dict[str, float]] = {"u": 0.0}
    tau: float = param(8.0, "(0, inf)", "time constant")
    threshold: float = param(1.0, "(0, inf)", "threshold")
    dt: float = param(1.0, "(0, inf)", "duration of a step", False)

    def constants(self):
        return torch.exp(-self.dt / self.tau), self.threshold, torch.where(self.threshold > 1, 0.5, self.tau.sqrt() / 4)

    def at_rest(self):
        return (torch.tanh(self.threshold) / 8,)

    def step(self, x, u, decay, threshold, gain):
        u = u * decay + x * gain
        s = self.spike(u - threshold)
        return s, u * (1 - s)


class Sharp(Curved):
    """A subclass that fixes a parameter."""

    threshold = 0.75


@pytest.mark.parametrize("engine", ["reference", "fused"])
@pytest.mark.parametrize("model", [Curved, Sharp])
@pytest.mark.parametrize("learn", [None, {"tau": "layer"}, {"tau": "neuron"}])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_one_declaration_serves_fixed_and_learned_parameters(engine, model, learn, dtype):
    layer = model(tau=5.0, learn=learn, engine=engine).shaped(5).to(dtype)
    spikes, (u,) = layer(X.to(dtype))
    threshold = 0.75 if model is Sharp else 1.0
    decay, gain = math.exp(-1 / 5), math.sqrt(5) / 4
    expected, state = [], torch.full((4, 5), math.tanh(threshold) / 8, dtype=torch.float64)
    for x in X.double():
        state = state * decay + x * gain
        expected.append((state >= threshold).to(dtype))
        state = state * (1 - expected[-1])
    assert torch.equal(spikes, torch.stack(expected))
    torch.testing.assert_close(u, state.to(dtype))
    if learn:
        spikes.sum().backward()
        assert layer.free_tau.grad.abs().sum() > 0


def test_what_hangs_on_nothing_learned_is_the_same_number_in_a_learned_layer():
    fixed = LIF(tau=7.0, dt=0.3).values("constants")
    learned = LIF(tau=7.0, dt=0.3, learn={"threshold": "layer"}).values("constants")
    assert learned[:2] == fixed[:2]
    assert learned[0] == pytest.approx(math.exp(-0.3 / 7.0), rel=1e-15)
    assert isinstance(learned[2], torch.Tensor)


def test_fixed_constants_are_worked_out_once():
    calls = []

    class Counting(Curved):
        def constants(self):
            calls.append(self)
            return super().constants()

    layer = Counting()
    made = len(calls)
    for _ in range(3):
        layer(X)
    assert len(calls) == made


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))])
def test_a_copy_learns_by_itself(copied):
    layer = LIF(learn={"threshold": "neuron", "decay": "layer"}).shaped(5)
    other = copied(layer)
    with torch.no_grad():
        other.free_threshold += 1
    assert layer.values("constants")[2].max() < 1.01
    assert other.values("constants")[2].min() > 2
    moved = other.double()
    assert moved.values("constants")[2].dtype == torch.float64
    assert moved(X.double())[0].dtype == torch.float64


def test_a_functional_call_takes_its_parameters():
    layer = LIF(learn={"threshold": "layer"})
    other = {"free_threshold": torch.tensor(3.0)}
    spikes, _ = torch.func.functional_call(layer, other, (X,))
    assert torch.equal(spikes, LIF(threshold=math.exp(3.0))(X)[0])


def declared(constants, arguments, rest=("u",)):
    """A model with these lines."""
    names = {"constants": constants, "rest": dict.fromkeys(rest, 0.0)}
    text = f"def step(self, {arguments}): return (x, {', '.join(rest)}{',' if rest else ''})"
    exec(text, names)
    members = {
        "__annotations__": {"slow": float, "fast": float},
        "slow": param(0.9, "(0, 1)", "slow"),
        "fast": param(0.8, "(0, 1)", "fast"),
        "rest": names["rest"],
        "constants": constants,
        "step": names["step"],
    }
    return type("Mine", (Neuron,), members)


@pytest.mark.parametrize(
    ("constants", "arguments", "rest", "message"),
    [
        (lambda s: (s.fast, s.slow), "x, u, slow, fast", ["u"], "step takes 'slow' where constants gives .* fast"),
        (lambda s: (s.fast, s.slow), "x, u, slow, other", ["u"], "step takes 'slow' where constants gives .* fast"),
        (lambda s: (s.fast.exp(), s.slow * 2), "x, u, slow, fast", ["u"], "step takes 'slow' .* fast"),
        (lambda s: (s.slow / 2, s.slow, s.fast), "x, u, slow, half, fast", ["u"], "step takes 'slow' where"),
        (lambda s: (s.slow, s.fast), "x, w, u, slow, fast", ["u", "w"], "step takes 'w' where rest has the state 'u'"),
        (lambda s: (s.slow, s.fast), "x, v, slow, fast", ["u"], "step takes 'v' where rest has the state 'u'"),
        (lambda s: (s.slow, s.fast), "x, slow, fast, u", ["u"], "step takes 'slow' where rest has the state 'u'"),
        (
            lambda s: (s.slow,),
            "x, u, slow, fast",
            ["u"],
            "step takes 4 arguments and gets 3: its input, 1 states and 1",
        ),
        (lambda s: (s.slow, s.fast, s.fast), "x, u, slow, fast", ["u"], "step takes 4 arguments and gets 5"),
        (lambda s: (s.slow, s.fastt), "x, u, slow, fast", ["u"], "can't read self.fastt, .* did you mean fast?"),
        (lambda s: (s.slow, s.other), "x, u, slow, fast", ["u"], "can't read self.other, as it is no setting"),
        (lambda s: s.slow, "x, u, slow", ["u"], "constants returns Tensor, not a tuple"),
        (lambda s: None, "x, u", ["u"], "constants returns NoneType, not a tuple"),
    ],
)
def test_names_that_do_not_fit_are_said_when_a_layer_is_made(constants, arguments, rest, message):
    with pytest.raises(UserError, match=f"^Mine: .*{message}") as problem:
        declared(constants, arguments, rest)()
    assert "\n" not in str(problem.value)


@pytest.mark.parametrize(
    ("constants", "arguments"),
    [
        (lambda s: (s.slow, s.fast), "x, u, slow, fast"),
        (lambda s: (s.slow, s.fast), "x, u, *constants"),
        (lambda s: (s.slow, s.fast), "x, u, a, b"),
        (lambda s: (s.slow * s.fast, s.fast), "x, u, slow, fast"),
        (lambda s: (s.slow, math.exp(s.fast)), "x, u, slow, fast"),
        (lambda s: (1.0, 2), "x, u, slow, fast"),
        (lambda s: (s.slow,), "x, u, slow, fast=1"),
    ],
)
def test_names_that_fit_are_taken(constants, arguments):
    declared(constants, arguments)()


def test_a_state_at_rest_for_each_state_is_asked_for():
    class Short(Curved):
        def at_rest(self):
            return ()

    with pytest.raises(UserError, match="Short: at_rest returns 0, not a tuple of 1, one for each state of rest"):
        Short()


def test_a_learned_parameter_whose_gradient_is_cut_off_is_refused():
    model = declared(lambda s: (s.slow, math.exp(s.fast)), "x, u, slow, fast")
    with pytest.raises(SettingError, match=r"^learn.fast: 'layer' can't be learned: .*by PyTorch's functions"):
        model(learn={"fast": "layer"})
    model(learn={"slow": "layer"})


def test_a_setting_without_effect_is_refused():
    with pytest.raises(SettingError, match=r"^dt: 0.5 has no effect beside the other settings"):
        LIF(decay=0.9, dt=0.5)
    LIF(decay=0.9, dt=1.0)
    LIF(tau=9.0, dt=0.5)
    SynapticLIF(synapse_tau=3.0, dt=0.5)
    RefractoryLIF(dt=0.5)
    declared(lambda s: (s.slow, math.exp(s.fast)), "x, u, slow, fast")(fast=0.3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"refractory": 2.5}, "refractory: 2.5 is no multiple of a step's duration, dt 1"),
        ({"refractory": 0.3}, "refractory: 0.3 is no multiple of a step's duration, dt 1"),
        ({"dt": 0.3}, "refractory: 1.0 is no multiple of a step's duration, dt 0.3"),
        ({"refractory": 1e8}, "refractory: 1e[+]?08 is more than 16777216 steps|refractory: 100000000.0 is more than"),
    ],
)
def test_a_refractory_time_is_a_number_of_steps(settings, message):
    with pytest.raises(SettingError, match=f"^{message}"):
        RefractoryLIF(**settings)


@pytest.mark.parametrize(("refractory", "dt", "steps"), [(0.0, 1.0, 0), (2.0, 1.0, 2), (0.3, 0.1, 3), (2.1, 0.7, 3)])
def test_a_refractory_time_is_that_many_steps(refractory, dt, steps):
    assert RefractoryLIF(refractory=refractory, dt=dt).values("constants")[-1] == steps


@pytest.mark.parametrize(
    ("model", "settings", "name"),
    [(AdaptiveExponential, {"jump": 1e300}, "jump"), (LIF, {"threshold": 1e300}, "threshold")],
)
def test_numbers_beyond_single_precision_are_refused(model, settings, name):
    with pytest.raises(UserError, match=f"{name}.*: a number that is made of it is"):
        model(**settings)


@pytest.mark.parametrize("model", MODELS)
def test_every_learnable_parameter_of_every_model_takes_effect(model):
    for name, entry in model.declared.items():
        if getattr(entry, "learnable", False):
            more = {} if entry.default is not None else {name: 0.5}
            more |= {"reset": "value"} if name == "reset_value" and entry.default is None else {}
            model(**more, learn={name: "layer"})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"surrogate": "ArcTan"}, "surrogate: 'ArcTan' is no Surrogate"),
        ({"surrogate": None}, "surrogate: None is no Surrogate"),
        ({"surrogate": ArcTan}, "surrogate: 'ArcTan' is a class, not an object: write ArcTan(...)"),
        ({"detach_reset": 1}, "detach_reset: 1 is none of True, False"),
        ({"detach_reset": "yes"}, "detach_reset: 'yes' is none of True, False"),
    ],
)
def test_an_option_of_another_type_is_refused(settings, message):
    with pytest.raises(SettingError) as problem:
        LIF(**settings)
    assert str(problem.value) == message


def test_a_layer_can_be_made_in_inference_mode():
    with torch.inference_mode():
        output, _ = LIF(learn={"decay": "layer"})(torch.ones(3, 1, 1))
    assert output.shape == (3, 1, 1)
