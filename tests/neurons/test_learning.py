"""Learned parameters start at the number that was set, stay in their interval and learn, per layer or per neuron."""

import copy
import pickle

import pytest
import torch

from litspike.neurons import IF, LIF, AdaptiveExponential, Izhikevich, QuadraticIF, ResonateAndFire, SynapticLIF
from litspike.neurons.declaration import Param
from litspike.neurons.learning import free_of, value_of
from litspike.settings import SettingError, UserError

LEARNED = [
    (LIF, {"decay": 0.95}),
    (LIF, {"decay": 1e-3}),
    (LIF, {"decay": 0.9999}),
    (LIF, {"tau": 20.0}),
    (LIF, {"threshold": 0.7}),
    (IF, {"reset_value": -0.25}),
    (SynapticLIF, {"synapse_decay": 0.3}),
    (ResonateAndFire, {"frequency": 0.02}),
    (QuadraticIF, {"sharpness": 3.0}),
    (Izhikevich, {"c": -55.0}),
    (AdaptiveExponential, {"threshold": -52.0}),
]


def learned(model, setting, spread):
    (name,) = setting
    more = {"reset": "value"} if name == "reset_value" else {}
    return model(**setting, **more, learn={name: spread}), name


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("spread", ["layer", "neuron"])
@pytest.mark.parametrize(("model", "setting"), LEARNED)
def test_a_learned_parameter_starts_at_the_number_set(model, setting, spread, dtype):
    neuron, name = learned(model, setting, spread)
    neuron = neuron.shaped(4, 3).to(dtype)
    value = getattr(neuron, name)
    assert value.shape == ((4, 3) if spread == "neuron" else ())
    assert value.dtype == dtype
    expected = torch.full_like(value, setting[name])
    torch.testing.assert_close(value, expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize("free", [-1e30, -1e4, -200.0, -20.0, 20.0, 200.0, 1e4, 1e30])
@pytest.mark.parametrize("interval", ["(0, 1)", "[0, 1]", "(0, inf)", "[0, inf)", "(-inf, 3)", "(-2, 5)"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_no_free_value_leaves_the_interval(free, interval, dtype):
    low, high = (float(end) for end in interval[1:-1].split(","))
    value = value_of(torch.tensor(free, dtype=dtype), interval).item()
    assert low < value < high


@pytest.mark.parametrize("interval", ["(0, 1)", "(0, inf)", "(-inf, 3)", "(-inf, inf)", "(-2, 5)"])
def test_the_free_value_is_the_inverse(interval):
    for value in (0.001, 0.3, 0.999):
        free = torch.tensor(free_of("p", value, interval), dtype=torch.float64)
        assert value_of(free, interval).item() == pytest.approx(value, rel=1e-12)


def test_every_parameter_of_every_model_can_be_learned_but_times_of_the_simulation():
    for model in (LIF, SynapticLIF, AdaptiveExponential, Izhikevich, QuadraticIF, ResonateAndFire):
        names = [name for name, entry in model.declared.items() if isinstance(entry, Param) and not entry.learnable]
        assert names == ["dt"]


def test_learning_changes_what_it_should_and_nothing_else():
    neuron = LIF(decay=0.5, learn={"decay": "neuron", "threshold": "layer"}).shaped(3)
    assert sorted(neuron.state_dict()) == ["free_decay", "free_threshold"]
    optimizer = torch.optim.SGD(neuron.parameters(), lr=0.1)
    x = torch.rand(20, 4, 3)
    x[:, :, 0] = 0.0  # the first neuron never gets an input
    neuron(x)[0].sum().backward()
    optimizer.step()
    assert neuron.decay[0].item() == pytest.approx(0.5)
    assert (neuron.decay[1:] < 0.5).all(), "fewer spikes by a faster leak"
    assert neuron.threshold.item() > 1, "and by a higher threshold"


def test_a_learned_tau_gives_the_decay_and_its_gradient():
    neuron = LIF(tau=10.0, dt=2.0, learn={"tau": "layer"}).double()
    decay = neuron.constants()[0]
    assert decay.item() == pytest.approx(0.818730753, rel=1e-6)
    (grad,) = torch.autograd.grad(decay, neuron.free_tau)
    assert grad.item() == pytest.approx(0.818730753 * 2.0 / 10.0, rel=1e-6)  # by log τ


def test_fixed_and_learned_give_the_same_spikes():
    x = torch.randn(100, 4, 5, dtype=torch.float64) + 0.3
    fixed, _ = LIF(decay=0.75, reset="subtract")(x)
    spread, _ = LIF(decay=0.75, reset="subtract", learn={"decay": "neuron", "threshold": "layer"}).shaped(5).double()(x)
    assert torch.equal(fixed, spread)


def test_rest_follows_a_learned_parameter():
    neuron = AdaptiveExponential(leak_reversal=-65.0, learn={"leak_reversal": "neuron"}).shaped(3)
    with torch.no_grad():
        neuron.free_leak_reversal[1] = -60.0
    start = neuron.start(torch.zeros(1, 2, 3))
    assert start[0].tolist() == [[-65.0, -60.0, -65.0]] * 2
    neuron = Izhikevich(learn={"b": "neuron"}).shaped(2).double()
    with torch.no_grad():
        neuron.free_b[1] = 0.3  # no fixed point
    start = neuron.start(torch.zeros(1, 1, 2, dtype=torch.float64, requires_grad=True))
    assert start[0][0].tolist() == pytest.approx([-70, -58.75], rel=1e-5)
    start[0].sum().backward()
    assert neuron.free_b.grad.isfinite().all()


def test_shaped_gives_a_layer_of_its_own():
    template = LIF(learn={"decay": "neuron", "threshold": "layer"})
    first, second = template.shaped(2), template.shaped(3)
    assert [p.numel() for p in first.parameters()] == [1, 2] or [p.numel() for p in first.parameters()] == [2, 1]
    with torch.no_grad():
        first.free_threshold += 1
    assert template.threshold.item() == second.threshold.item() == 1
    assert first.threshold.item() > 2
    assert second.decay.shape == (3,)
    assert LIF().shaped(7)(torch.ones(1, 1, 2))[0].shape == (1, 1, 2), "without learned neurons any shape will do"


def test_a_layer_learned_per_neuron_asks_for_its_shape():
    neuron = LIF(learn={"decay": "neuron"})
    with pytest.raises(UserError, match=r"^LIF: learn.decay is neuron: make the layer with shaped\(\*sample_shape\)"):
        neuron(torch.zeros(1, 1, 1))
    with pytest.raises(SettingError, match=r"^shape: 0 is less than 1$"):
        neuron.shaped(0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"learn": {"decya": "layer"}}, r"^learn: 'decya' can't be learned in LIF: it is none of \['decay', 'tau', "),
        ({"learn": {"dt": "layer"}}, r"^learn: 'dt' can't be learned in LIF"),
        ({"learn": {"decay": "batch"}}, r"^learn.decay: 'batch' is none of layer, neuron$"),
        ({"learn": {"tau": "layer"}}, r"^learn.tau: 'layer' needs a value of tau to start from$"),
        ({"learn": {"decay": "layer"}, "tau": 5.0}, r"^learn.decay: 'layer' needs a value of decay to start from$"),
        ({"learn": ["decay"]}, r"^learn: \['decay'\] is no mapping from str to layer or neuron$"),
        ({"learn": {"decay": "layer"}, "decay": 1.0}, r"^decay: 1.0 can't be learned from there: .* inside \(0, 1\)$"),
        ({"learn": {"decay": "neuron"}, "decay": 0.0}, r"^decay: 0.0 can't be learned from there"),
    ],
)
def test_what_cannot_be_learned_is_refused_by_name(settings, message):
    with pytest.raises(SettingError, match=message):
        LIF(**settings)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda neuron: pickle.loads(pickle.dumps(neuron))])
def test_copies_and_pickles_keep_settings_and_values(copied):
    neuron = LIF(decay=0.7, reset="subtract", learn={"threshold": "neuron"}).shaped(5)
    with torch.no_grad():
        neuron.free_threshold.normal_()
    again = copied(neuron)
    x = torch.randn(30, 2, 5)
    assert repr(again) == repr(neuron)
    (spikes, state), (expected, final) = again(x), neuron(x)
    assert torch.equal(spikes, expected)
    assert torch.equal(copied(state.detach()).u, final.u)
    assert again.free_threshold is not neuron.free_threshold


def test_compiled_without_a_break_it_gives_the_same():
    neuron = LIF(learn={"decay": "layer", "threshold": "neuron"}).shaped(3)
    x = torch.randn(5, 2, 3)
    compiled = torch.compile(neuron, fullgraph=True, backend="eager")
    assert torch.equal(compiled(x)[0], neuron(x)[0])


def test_neurons_with_a_spread_start_at_values_of_their_own_within_the_factor():
    torch.manual_seed(0)
    layer = LIF(tau=20.0, learn={"tau": "neuron", "threshold": "neuron"}, spread={"tau": 4.0}).shaped(40, 50)
    exponents = (layer.tau / 20).log() / torch.tensor(4.0).log()
    assert -1 < exponents.min() < -0.99
    assert 0.99 < exponents.max() < 1
    assert abs(exponents.mean()) < 0.05
    assert exponents.var().item() == pytest.approx(1 / 3, rel=0.1)
    assert (layer.threshold == layer.threshold[0, 0]).all()
    again = LIF(tau=20.0, learn={"tau": "neuron"}, spread={"tau": 4.0}).shaped(40, 50)
    assert not torch.equal(again.tau, layer.tau)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"spread": {"tau": 2.0}}, "spread.tau: 2.0 needs learn.tau to be neuron"),
        ({"learn": {"tau": "layer"}, "spread": {"tau": 2.0}}, "spread.tau: 2.0 needs learn.tau to be neuron"),
        ({"learn": {"tau": "neuron"}, "spread": {"tau": 0.5}}, r"spread.tau: 0.5 is outside \[1, inf\)"),
        ({"learn": {"tau": "neuron"}, "spread": 2.0}, "spread: 2.0 is no mapping"),
    ],
)
def test_a_spread_that_makes_no_sense_is_refused(settings, message):
    with pytest.raises(SettingError, match=message):
        LIF(tau=20.0, **settings)


def test_a_spread_out_of_the_interval_is_refused():
    with pytest.raises(SettingError, match=r"decay: 1\.8 can't be learned from there"):
        LIF(decay=0.9, learn={"decay": "neuron"}, spread={"decay": 2.0})


def test_a_spread_changes_no_kernel():
    settings = {"tau": 20.0, "learn": {"tau": "neuron"}}
    assert LIF(**settings).key() == LIF(**settings, spread={"tau": 4.0}).key()
