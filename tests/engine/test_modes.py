"""What goes wrong, or is asked for, around one call is not remembered against the step."""

import logging
import warnings

import pytest
import torch
from torch._subclasses import FakeTensorMode
from torch.autograd import forward_ad
from torch.func import functional_call, grad, hessian, jacfwd, jacrev, jvp, vjp, vmap
from torch.fx.experimental.proxy_tensor import make_fx
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from litspike.engine import Rule, call, operator, run
from litspike.engine.cpu import jit
from litspike.neurons import LIF, AdaptiveExponential, AdaptiveLIF, Izhikevich, Recurrent
from litspike.settings import UserError
from litspike.surrogates import ArcTan

from .steps import leaky

pytestmark = pytest.mark.integration

X = torch.randn(6, 3, 4, generator=torch.Generator().manual_seed(0)) * 2


@pytest.fixture(autouse=True)
def anew(monkeypatch):
    """No kernel is made yet."""
    for name in ("_kernels", "_compiled"):
        monkeypatch.setattr(call, name, {})
    monkeypatch.setattr(call, "_logged", set())


@pytest.fixture
def fused(monkeypatch):
    """How often a kernel has run."""
    count = []
    run_kernel = operator.CpuKernel.__call__
    monkeypatch.setattr(operator.CpuKernel, "__call__", lambda *args: (count.append(1), run_kernel(*args))[1])
    return count


LAYERS = {engine: LIF(engine=engine, learn={"decay": "layer"}) for engine in ("auto", "fused", "reference")}


def neuron(engine="auto"):
    return LAYERS[engine]


def spikes(x, engine="auto"):
    return neuron(engine)(x)[0]


def loss(x, engine="auto"):
    output, (u,) = neuron(engine)(x)
    return (output * 0.3 + u).square().sum()


class Watching(TorchFunctionMode):
    def __torch_function__(self, func, types, args=(), kwargs=None):
        return func(*args, **(kwargs or {}))


def dual(engine):
    with forward_ad.dual_level():
        found = neuron(engine)(forward_ad.make_dual(X, X))[0]
        return forward_ad.unpack_dual(found).tangent


def fake(engine):
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        shape = spikes(mode.from_tensor(X), engine).shape
    return torch.tensor(shape)


def per_sample(engine):
    layer = neuron(engine)
    parameters = dict(layer.named_parameters())
    of_one = grad(lambda values, x: functional_call(layer, values, (x[:, None],))[0].square().sum())
    return vmap(of_one, (None, 1))(parameters, X)["free_decay"]


def watched(mode, engine):
    with mode:
        return spikes(X, engine)


WAYS = {
    "vmap": lambda engine: vmap(lambda x: spikes(x, engine), 1, 1)(X[:, :, None]),
    "vmap_of_gradient": per_sample,
    "grad": lambda engine: grad(lambda x: loss(x, engine))(X),
    "vjp": lambda engine: vjp(lambda x: spikes(x, engine), X)[1](X)[0],
    "jvp": lambda engine: jvp(lambda x: loss(x, engine), (X,), (X,))[1],
    "jacrev": lambda engine: jacrev(lambda x: spikes(x, engine))(X[:2]),
    "jacfwd": lambda engine: jacfwd(lambda x: spikes(x, engine))(X[:2]),
    "hessian": lambda engine: hessian(lambda x: loss(x, engine))(X[:2, :1]),
    "dual_numbers": dual,
    "fake_tensors": fake,
    "make_fx": lambda engine: make_fx(lambda x: spikes(x, engine))(X)(X * 0.5),
    "make_fx_symbolic": lambda engine: make_fx(
        lambda x: spikes(x, engine), None, "symbolic", _allow_non_fake_inputs=True
    )(X)(X * 0.5),
    "jit_trace": lambda engine: torch.jit.trace(neuron(engine), (X,), strict=False)(X[:, :2])[0],
    "function_mode": lambda engine: watched(Watching(), engine),
    "dispatch_mode": lambda engine: watched(FlopCounterMode(display=False), engine),
    "checkpoint": lambda engine: torch.utils.checkpoint.checkpoint(spikes, X, engine, use_reentrant=False),
    "default_device": lambda engine: watched(torch.device("cpu"), engine),
}


@pytest.mark.parametrize("name", WAYS)
def test_a_transform_tracer_or_mode_gives_what_the_reference_gives_and_the_next_call_is_fused(name, fused, caplog):
    with caplog.at_level(logging.WARNING, "litspike"):
        found, wanted = WAYS[name]("auto"), WAYS[name]("reference")
    assert torch.equal(found, wanted)
    assert not caplog.records
    before = len(fused)
    assert torch.equal(spikes(X), spikes(X, "reference"))
    assert len(fused) == before + 1


def test_gradients_of_transforms_are_those_of_autograd():
    x = X.clone().requires_grad_()
    loss(x).backward()
    torch.testing.assert_close(grad(loss)(X), x.grad)
    each = vmap(grad(lambda x: loss(x[:, None])), 1, 1)(X)
    torch.testing.assert_close(each, x.grad)
    torch.testing.assert_close(jvp(loss, (X,), (X,))[1], (x.grad * X).sum())
    torch.testing.assert_close(jacfwd(loss)(X), x.grad)
    torch.testing.assert_close(jacrev(loss)(X), x.grad)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("model", [LIF, AdaptiveExponential, Izhikevich])
@pytest.mark.parametrize("engine", ["auto", "reference"])
def test_what_jit_traced_is_saved_and_has_the_results_and_gradients_of_the_layer(model, engine, tmp_path):
    layer = model(engine=engine)
    torch.jit.save(torch.jit.trace(layer, (X,), strict=False), tmp_path / "layer.pt")
    found = []
    for module in (layer, torch.jit.load(tmp_path / "layer.pt")):
        x = (X * 20).requires_grad_()
        output, states = module(x)
        (output.sum() + states[0].square().sum()).backward()
        found.append((output.detach(), x.grad))
    assert torch.equal(found[0][0], found[1][0])
    torch.testing.assert_close(*(gradient for _, gradient in found))


@pytest.mark.parametrize("layer", [AdaptiveLIF(), Recurrent(LIF()).shaped(4)], ids=["adaptive", "recurrent"])
def test_other_layers_can_be_transformed_too(layer):
    def value(x):
        return layer(x)[0].square().sum()

    x = X.clone().requires_grad_()
    value(x).backward()
    torch.testing.assert_close(grad(value)(X), x.grad)
    torch.testing.assert_close(jvp(value, (X,), (X,))[1], (x.grad * X).sum())
    torch.testing.assert_close(vmap(lambda x: layer(x[:, None])[0][:, 0], 1, 1)(X), layer(X)[0])


class Failing:
    """Fails at its first call, as a machine may."""

    def __init__(self, problem, then):
        self.problem, self.then, self.calls = problem, then, 0

    def __call__(self, *args, **kwargs):
        self.calls += 1
        if self.calls == 1:
            raise self.problem
        return self.then(*args, **kwargs)


PLACES = [(call, "trace_with_numbers"), (jit, "_compile"), (jit, "load")]


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place[1])
@pytest.mark.parametrize(
    "problem",
    [RuntimeError("LLVM ERROR: out of memory"), MemoryError("none left"), torch.OutOfMemoryError("none left"),
     OSError("No space left on device"), RecursionError("too deep")],
    ids=lambda problem: type(problem).__name__,
)  # fmt: skip
def test_what_fails_once_is_one_line_and_is_tried_again(place, problem, fused, caplog, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(*place, Failing(problem, getattr(*place)))
    with caplog.at_level(logging.WARNING, "litspike"):
        for _ in range(3):
            assert torch.equal(spikes(X), spikes(X, "reference"))
    assert len(caplog.records) == 1
    assert str(problem) in caplog.text
    assert len(fused) == 2


def test_an_interrupt_while_a_kernel_is_made_goes_up_and_is_not_remembered(fused, monkeypatch):
    monkeypatch.setattr(call, "trace_with_numbers", Failing(KeyboardInterrupt(), call.trace_with_numbers))
    with pytest.raises(KeyboardInterrupt):
        spikes(X)
    spikes(X)
    assert len(fused) == 1


def test_a_global_that_changes_later_makes_another_kernel(fused, monkeypatch):
    def scaled(x, u):
        return x * SCALE, u

    for scale in (1.0, 3.0):
        monkeypatch.setitem(globals(), "SCALE", scale)
        output, _ = run(scaled, Rule(scaled, ("scaled",)), X, (0.0,), (), "fused")
        assert torch.equal(output, X * scale)
    assert len(fused) == 2


SCALE = 1.0


def test_the_fused_engine_refuses_a_transform_in_one_line():
    with pytest.raises(
        call.UserError, match=r"^LIF: engine: 'fused' can't run under a transform, tracer or mode"
    ) as it:
        vmap(lambda x: spikes(x, "fused"), 1, 1)(X[:, :, None])
    assert "\n" not in str(it.value)


def test_a_view_that_is_negated_later_is_read_with_its_sign():
    z = torch.complex(torch.zeros(1, 1, 1), torch.ones(1, 1, 1)).conj().imag
    assert z.is_neg()
    step = leaky(ArcTan())
    assert torch.equal(run(step, "leaky", z, (0.0,), (0.9, 1.0))[1][0], torch.full((1, 1), -0.9))


@pytest.mark.parametrize(
    "step",
    [lambda x, u: (x, u, u), lambda x, u: x, lambda x, u: (x,), lambda x, u: (x, 0.0), lambda x, u: (x, u[None, None])],
)
@pytest.mark.parametrize("engine", ["auto", "reference", "fused"])
def test_a_step_that_returns_something_else_is_refused_in_one_line(step, engine):
    with pytest.raises(call.UserError, match=r"^Mine: ") as problem:
        run(step, Rule(step, (step,)), X, (0.0,), (), engine, "Mine")
    assert "return" in str(problem.value) or engine == "fused"
    assert "\n" not in str(problem.value)


def test_a_search_for_nan_in_gradients_is_no_part_of_a_step(caplog):
    neuron, x = LIF(decay=0.9), X.clone().requires_grad_()
    with warnings.catch_warnings(), torch.autograd.set_detect_anomaly(True):
        warnings.simplefilter("ignore")
        neuron(x)[0].sum().backward()
    assert call._kernels
    assert "reference" not in caplog.text


@pytest.mark.parametrize("model", [LIF(engine="fused"), Recurrent(LIF(engine="fused")).shaped(4)])
def test_a_backward_pass_of_a_batch_at_once_is_refused_in_words(model):
    current = torch.ones(5, 2, 4, requires_grad=True)
    output = model(current)[0].mean((0, 1))
    with pytest.raises(UserError, match="no backward pass of a batch at once; set engine: 'reference'"):
        torch.autograd.grad(output, current, torch.eye(4), is_grads_batched=True)
