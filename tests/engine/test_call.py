"""What the engines' one call accepts, refuses and falls back from."""

import copy
import logging
import os
import pickle
import subprocess
import sys
import threading

import pytest
import torch

from litspike.engine import call, exp, run, sigmoid, tanh
from litspike.engine.cpu import jit
from litspike.networks import SpikingSequential
from litspike.neurons import LIF, Recurrent, RecurrentState
from litspike.settings import SettingError, UserError
from litspike.surrogates import ArcTan
from tests.conftest import LIMIT

from .steps import leaky

STEP = leaky(ArcTan())
X = torch.randn(20, 3, 7, generator=torch.Generator().manual_seed(0))


def lif(current, states=(0.0,), constants=(0.9, 1.0), engine="fused"):
    return run(STEP, "leaky", current, states, constants, engine, "LIF")


def sine(x, u):
    return torch.sin(x) + u, u


def branching(x, u):
    return (x, u) if x > 0 else (u, u)


def torch_exp(x, u):
    return torch.exp(x), u


def summing(x, u):
    return x.sum() + x, u


CAPTURED = torch.randn(1)


def capturing(x, u):
    return x + CAPTURED, u


@pytest.mark.parametrize(
    ("step", "operation", "line"),
    [
        (sine, "aten::sin", "torch.sin(x) + u"),
        (branching, "__bool__", "if x > 0"),
        (torch_exp, "litspike.engine.exp", "torch.exp(x)"),
        (summing, "aten::sum", "x.sum()"),
        (capturing, "neither an argument", "x + CAPTURED"),
    ],
)
def test_a_step_that_no_kernel_can_run_is_refused_with_its_operation_and_line(step, operation, line, caplog):
    x = torch.randn(3, 1, 1)
    with pytest.raises(UserError) as problem:
        run(step, step, x, (0.0,), (), "fused", "Mine")
    text = str(problem.value)
    assert text.startswith("Mine: engine: 'fused' can't run ")
    assert step.__qualname__ in text
    assert operation in text
    assert f"{__file__}:" in text
    assert line in text
    assert "\n" not in text


def test_auto_falls_back_to_the_reference_and_says_so_once(caplog):
    x = torch.randn(3, 2, 2)
    with caplog.at_level(logging.WARNING, "litspike"):
        first = run(sine, "fallback", x, (0.0,), (), "auto", "Mine")
        run(sine, "fallback", x, (0.0,), (), "auto", "Mine")
    assert torch.equal(first[0], torch.sin(x))
    assert len(caplog.records) == 1
    assert "aten::sin" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((torch.zeros(3, 2, 2, dtype=torch.int64),), "LIF takes a real input, not int64 of shape [3, 2, 2]"),
        ((torch.zeros(0, 2, 2),), "LIF takes [T, B, *] with T ≥ 1, not [0, 2, 2]"),
        ((torch.zeros(3),), "LIF takes [T, B, *] with T ≥ 1, not [3]"),
        ((X, (torch.zeros(4, 7),)), "LIF: the state is [4, 7], the input asks for [3, 7]"),
        (
            (X, (torch.zeros(3, 7, dtype=torch.float64),)),
            "LIF: a state or parameter is float64 on cpu, the input float32 on cpu",
        ),
        (
            (X, (torch.zeros(3, 7, device="meta"),)),
            "LIF: a state or parameter is float32 on meta, the input float32 on cpu",
        ),
        ((X, (0.0,), (torch.zeros(6), 1.0)), "LIF: a parameter is [6], which doesn't broadcast to [3, 7]"),
    ],
)
@pytest.mark.parametrize("engine", ["reference", "fused", "auto"])
def test_a_wrong_input_is_refused_in_one_line(arguments, text, engine):
    with pytest.raises(UserError) as problem:
        lif(*arguments, engine=engine)
    assert str(problem.value) == text


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("engine", ["reference", "fused"])
def test_half_precision_runs_in_single_and_gives_its_output_in_half(dtype, engine):
    x = X.to(dtype).requires_grad_()
    output, (u,) = lif(x, engine=engine)
    expected, (wanted,) = lif(X.to(dtype).float(), engine="reference")
    assert output.dtype == dtype
    assert u.dtype == torch.float32
    assert torch.equal(output.float(), expected)
    assert torch.equal(u, wanted)
    output.sum().backward()
    assert x.grad.dtype == dtype
    assert x.grad.any()


def test_without_gradient_the_result_is_the_same_and_has_none():
    expected, _ = lif(X, engine="reference")
    with torch.no_grad():
        output, _ = lif(X.clone().requires_grad_())
    assert torch.equal(output, expected)
    assert not output.requires_grad
    with torch.inference_mode():
        assert torch.equal(lif(X)[0], expected)


def test_a_second_order_gradient_is_an_error():
    x = X.clone().requires_grad_()
    output, _ = lif(x)
    (gradient,) = torch.autograd.grad(output.sum(), x, create_graph=True)
    with pytest.raises(UserError, match="no second-order gradients"):
        gradient.sum().backward()


@pytest.mark.parametrize("view", [lambda x: x, lambda x: x.transpose(0, 1).contiguous().transpose(0, 1)])
@pytest.mark.parametrize(
    ("recurrent", "which"), [(False, "input"), (True, "input"), (True, "weight"), (True, "bias"), (True, "first")]
)
def test_a_penalty_on_a_gradient_is_refused_whatever_it_is_a_gradient_of_and_never_left_out(view, recurrent, which):
    x = torch.randn(10, 3, 20, requires_grad=which == "input")
    if recurrent:
        layer = Recurrent(LIF(engine="fused"), bias=True).shaped(20).requires_grad_(False)
        asked = {"input": x, "first": torch.zeros(3, 20), **dict(layer.connections.named_parameters())}[which]
        asked.requires_grad_()
        state = RecurrentState(layer.neuron.start(x), asked) if which == "first" else None
        output, _ = layer(view(x), state)
    else:
        asked, (output, _) = x, LIF(engine="fused")(view(x))
    (gradient,) = torch.autograd.grad(output.square().sum(), asked, create_graph=True)
    with pytest.raises(UserError, match="no second-order gradients"):
        torch.autograd.grad(gradient.square().sum() + asked.sum(), asked)


def test_further_shapes_and_numbers_make_no_further_machine_code():
    def learn(steps, batch, size, decay):
        x = torch.rand(steps, batch, size, requires_grad=True)
        for layer in (LIF(decay=decay), Recurrent(LIF(decay=decay)).shaped(size)):
            layer(x)[0].sum().backward()

    learn(3, 2, 5, 0.9)
    made = len(jit._ENGINES)
    for steps, batch, size, decay in [(1, 1, 1, 0.9), (40, 3, 63, 0.8), (17, 1, 65, 0.7), (2, 9, 513, 0.123)]:
        learn(steps, batch, size, decay)
    assert len(jit._ENGINES) == made


def test_one_graph_may_use_the_kernel_twice_and_go_back_twice():
    x = X.clone().requires_grad_()
    loss = (lif(lif(x)[0] * 3)[0]).sum()
    loss.backward(retain_graph=True)
    once = x.grad.clone()
    loss.backward()
    assert torch.equal(x.grad, 2 * once)


def test_a_module_survives_copying_and_pickling():
    neuron = LIF(decay=0.7)
    expected, state = neuron(X)
    for twin in (copy.deepcopy(neuron), pickle.loads(pickle.dumps(neuron))):
        assert torch.equal(twin(X)[0], expected)
    assert torch.equal(pickle.loads(pickle.dumps(state)).u, state.u)


def test_a_result_does_not_depend_on_the_number_of_threads():
    x = torch.randn(90, 16, 500)  # large enough for huge pages
    before = torch.get_num_threads()
    results = []
    for threads in (1, 2, 5):
        torch.set_num_threads(threads)
        leaf, decay = x.clone().requires_grad_(), torch.tensor(0.9, requires_grad=True)
        output, (u,) = lif(leaf, constants=(decay, 1.0))
        (output.sum() + u.sum()).backward()
        results.append((output.detach(), u.detach(), leaf.grad, decay.grad))
    torch.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_several_threads_may_call_at_once():
    x = torch.randn(60, 16, 400)
    expected, _ = lif(x, engine="reference")
    found = []
    callers = [threading.Thread(target=lambda: found.append(lif(x)[0])) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(found) == 4
    assert all(torch.equal(output, expected) for output in found)


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_process_runs_without_its_parents_threads():
    program = """
import os, torch
from litspike.neurons import LIF
torch.set_num_threads(2)
x = torch.randn(60, 16, 400)
spikes = LIF()(x)[0].numpy().tobytes()
child = os.fork()
if child == 0:
    os._exit(0 if LIF()(x)[0].numpy().tobytes() == spikes else 3)  # torch.equal would wait for its threads for ever
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    assert subprocess.run([sys.executable, "-c", program], timeout=LIMIT).returncode == 0


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="this system does not list a process's threads")
def test_torchs_own_threads_share_the_blocks():
    program = """
import os, torch
from litspike.engine.cpu.openmp import _ALONE
from litspike.neurons import LIF
torch.set_num_threads(3)
threads = lambda: len(os.listdir("/proc/self/task"))
before = threads()
LIF()(torch.randn(_ALONE // 1024, 1, 2048))
assert threads() == before + 2, threads() - before
torch.set_num_threads(3)
torch.ones(1 << 22).mul_(2)
assert threads() == before + 2, threads() - before
"""
    assert subprocess.run([sys.executable, "-c", program], timeout=LIMIT).returncode == 0


class Hiding(LIF):
    """A model whose step reads a number that no engine hears of."""

    def step(self, x, u, *constants):
        return super().step(x * self.scale, u, *constants)


@pytest.mark.parametrize("engine", ["auto", "fused", "reference"])
def test_a_step_may_not_read_what_its_kernel_would_keep_for_ever(engine):
    neuron = Hiding(engine=engine)
    neuron.scale = 2.0
    with pytest.raises(UserError, match=r"step can't read self\.scale"):
        neuron(X)


@pytest.mark.parametrize("learn", [None, {"threshold": "layer"}])
def test_a_step_may_not_read_a_parameter_past_its_arguments(learn):
    class Reading(LIF):
        def step(self, x, u, *constants):
            return super().step(x * self.threshold, u, *constants)

    with pytest.raises(UserError, match=r"step can't read self\.threshold"):
        Reading(learn=learn, engine="reference")(X)


@pytest.mark.parametrize(("setting", "value"), [("reset", "subtract"), ("threshold", 2.0)])
@pytest.mark.parametrize("twin", [lambda n: n, copy.deepcopy, lambda n: pickle.loads(pickle.dumps(n))])
def test_a_setting_of_a_finished_layer_stays(setting, value, twin):
    neuron = twin(LIF(learn={"threshold": "layer"}).shaped(3))
    with pytest.raises(SettingError, match=f"{setting}: .* comes too late: make a new LIF"):
        setattr(neuron, setting, value)


@pytest.mark.slow
@pytest.mark.integration
def test_a_key_is_found_again_in_another_process():
    program = """
import pickle, sys, torch
from litspike.engine import call
neuron = pickle.loads(bytes.fromhex(sys.argv[1]))
from litspike.neurons import LIF
x = torch.randn(2, 3, 4)
LIF(decay=0.7)(x)
before = len(call._kernels)
neuron(x)
raise SystemExit(len(call._kernels) - before)
"""
    neuron = LIF(decay=0.7)
    neuron(X)
    hash(neuron.key())
    command = [sys.executable, "-c", program, pickle.dumps(neuron).hex()]
    assert subprocess.run(command, timeout=LIMIT).returncode == 0


def test_the_state_dict_holds_parameters_alone_and_a_layer_moves_to_another_dtype():
    neuron = LIF(learn={"decay": "neuron"}).shaped(7)
    assert [*neuron.state_dict()] == ["free_decay"]
    assert [name for name, _ in neuron.named_modules()] == [""]
    assert not LIF().state_dict()
    output, (u,) = neuron.to(torch.float64)(X.double())
    assert output.dtype == u.dtype == torch.float64
    torch.testing.assert_close(output.float(), LIF()(X)[0])
    meta = neuron.to("meta")
    assert meta(X.double().to("meta"))[0].shape == X.shape


def test_under_autocast_the_state_stays_in_single_precision():
    network = SpikingSequential([torch.nn.Linear(7, 5), LIF(learn={"decay": "layer"})])
    with torch.autocast("cpu", torch.bfloat16):
        output, ((u,),) = network(X)
        assert network.layers[0](X).dtype == torch.bfloat16
    assert output.dtype == u.dtype == torch.float32
    expected, _ = LIF()(network.layers[0].to(torch.bfloat16)(X.bfloat16()))
    torch.testing.assert_close(output, expected.float())
    output.sum().backward()
    assert network.layers[1].free_decay.grad.dtype == torch.float32


def test_equal_steps_share_one_kernel():
    lif(X)
    before = len(call._kernels)
    lif(X[:5])
    assert len(call._kernels) == before


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_exponential_is_within_a_unit_in_the_last_place(dtype):
    x = torch.cat([torch.linspace(-87, 88, 100001, dtype=dtype), torch.randn(10000, dtype=dtype)])
    exact = torch.exp(x.double()) if dtype == torch.float32 else torch.exp(x)
    unit = torch.finfo(dtype).eps * exact / 2
    assert ((exp(x).double() - exact).abs() / unit).max() <= (2 if dtype == torch.float32 else 4)
    ends = torch.tensor([1e4, -1e4, float("inf"), -float("inf"), 0.0, float("nan")], dtype=dtype)
    torch.testing.assert_close(exp(ends), torch.exp(ends), rtol=0, atol=0, equal_nan=True)
    torch.testing.assert_close(sigmoid(ends), torch.sigmoid(ends), equal_nan=True)
    torch.testing.assert_close(tanh(ends), torch.tanh(ends), equal_nan=True)
