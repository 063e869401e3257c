"""The GPU's kernels against the reference engine: on a GPU, or by Triton's interpreter on the CPU.

test_gpu.py runs this file in a process of its own, as the interpreter must be chosen before Triton is imported.
"""

import os

import pytest
import torch

from litspike.engine import call, operator, recurrent, run
from litspike.engine.cpu.recurrent import CpuRecurrentKernel
from litspike.engine.gpu.kernel import GpuKernel
from litspike.engine.gpu.recurrent import GpuRecurrentKernel
from litspike.neurons import LIF, AdaptiveLIF, LeakyIntegrator, Recurrent
from litspike.settings import UserError
from litspike.surrogates import Rectangle

from .steps import STEPS, SURROGATES, leaky
from .test_parity import compare, inputs, strided

DEVICE = "cpu" if os.environ.get("TRITON_INTERPRET") == "1" else "cuda"


@pytest.fixture(autouse=True)
def kernels_of_the_gpu(monkeypatch):
    monkeypatch.setitem(operator.KERNELS, DEVICE, GpuKernel)
    monkeypatch.setitem(recurrent.KERNELS, DEVICE, GpuRecurrentKernel)
    monkeypatch.setattr(call, "_kernels", {})


def check(name, shape, dtype, surrogate=SURROGATES[0], size=1.0, view=lambda current: current, per_neuron=False):
    make, current, starts, constants = inputs(name, shape, dtype, per_neuron=per_neuron)
    current = view((current * size).to(DEVICE))
    starts, constants = [s.to(DEVICE) for s in starts], [c.to(DEVICE) for c in constants]
    compare(make(surrogate), (name, surrogate), current, starts, constants)
    assert all(isinstance(made.kernel, GpuKernel) for made in call._kernels.values())


@pytest.mark.parametrize("surrogate", SURROGATES, ids=str)
@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_spikes_states_and_gradients_are_those_of_the_reference(name, surrogate, dtype):
    check(name, (17, 1, 33), dtype, surrogate)


@pytest.mark.parametrize(
    "shape",
    [(1, 1, 1), (1, 3, 5), (16, 1, 32), (33, 1, 1), (48, 2, 3, 4, 5), (2, 1, 63), (1, 2, 65), (1, 1, 513)],
    ids=str,
)
@pytest.mark.parametrize("name", ["leaky", "two_states"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_every_shape_gives_what_the_reference_gives(name, shape, dtype):
    check(name, shape, dtype)


@pytest.mark.parametrize("name", STEPS)
def test_a_constant_for_each_neuron_gets_its_gradient(name):
    check(name, (20, 2, 19), torch.float64, per_neuron=True)


@pytest.mark.parametrize("size", [1e4, -1e4])
@pytest.mark.parametrize("surrogate", SURROGATES, ids=str)
def test_an_extreme_input_makes_no_differences(size, surrogate):
    check("two_states", (18, 2, 9), torch.float64, surrogate, size)


@pytest.mark.parametrize("view", [strided, lambda current: current[:1].expand(20, -1, -1)])
def test_an_input_of_any_layout_is_read_and_gets_its_gradient(view):
    check("leaky", (20, 3, 7), torch.float64, view=view)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_numbers_are_rounded_as_the_reference_rounds_them(dtype):
    x = torch.randn(20, 2, 5, generator=torch.Generator().manual_seed(0), dtype=dtype).to(DEVICE)
    found, wanted = (
        run(leaky(SURROGATES[0]), "leaky", x, (0.1,), (0.9, 0.7), engine) for engine in ("fused", "reference")
    )
    assert torch.equal(found[0], wanted[0])
    assert torch.equal(found[1][0], wanted[1][0])


def tiny(x, u):
    return torch.floor(x) / torch.abs(x), torch.maximum(-x, u) - torch.sign(x)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_numbers_at_the_ends_of_their_range_come_out_as_the_reference_has_them(dtype):
    least = torch.finfo(dtype).tiny / 4
    ends = [0.0, -0.0, least, -least, -0.5, 1e30, float("inf"), -float("inf"), float("nan")]
    x = torch.tensor(ends, dtype=dtype, device=DEVICE).expand(3, 1, -1)
    found, wanted = (run(tiny, "tiny", x, (0.0,), (), engine) for engine in ("fused", "reference"))
    for a, b in zip([found[0], *found[1]], [wanted[0], *wanted[1]], strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0, equal_nan=True)


def test_the_gradient_of_the_outputs_or_of_the_last_state_may_be_missing():
    for use in (lambda output, last: output.sum(), lambda output, last: last.sum()):
        gradients = []
        for engine in ("fused", "reference"):
            x = torch.full((20, 2, 3), 0.3, dtype=torch.float64, device=DEVICE, requires_grad=True)
            output, (last,) = run(leaky(SURROGATES[0]), "leaky", x, (0.0,), (0.9, 1.0), engine)
            gradients += torch.autograd.grad(use(output, last), x)
        torch.testing.assert_close(*gradients)


def test_an_empty_batch_gives_empty_results():
    x = torch.zeros(3, 0, 4, device=DEVICE, requires_grad=True)
    decay = torch.tensor(0.9, device=DEVICE, requires_grad=True)
    output, _ = run(leaky(SURROGATES[0]), "leaky", x, (0.0,), (decay, 1.0), "fused")
    output.sum().backward()
    assert output.shape == x.grad.shape == (3, 0, 4)
    assert decay.grad.item() == 0


@pytest.mark.parametrize("held", [False, True])
def test_a_compiled_layer_is_one_operation_and_gives_the_same(held):
    layer = LIF(decay=0.9, learn={"threshold": "layer"}).to(DEVICE)
    x = torch.randn(20, 2, 5, generator=torch.Generator().manual_seed(0)).to(DEVICE)
    graphs = []

    def backend(graph, inputs):
        graphs.append(graph.code)
        return graph

    def call(layer, x):
        return layer(x[0], steps=20)[0] if held else layer(x)[0]

    outcomes = []
    for run_layer in (call, torch.compile(call, backend=backend, fullgraph=True)):
        leaf = x.clone().requires_grad_()
        output = run_layer(layer, leaf)
        outcomes.append([output, torch.autograd.grad(output.sum(), leaf)[0]])
    for found, wanted in zip(*outcomes, strict=True):
        assert torch.equal(found, wanted)
    assert sum(code.count("litspike.run") for code in graphs) == 1


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("shape", [(1, 1, 1), (17, 3, 33)], ids=str)
def test_half_precision_is_read_and_written_as_such(dtype, shape):
    draw = torch.Generator().manual_seed(0)
    x, upstream = (torch.randn(shape, generator=draw).to(dtype).to(DEVICE) for _ in range(2))
    found = []
    for current, grad, engine in ((x, upstream, "fused"), (x.float(), upstream.float(), "reference")):
        current = current.clone().requires_grad_()
        output, (last,) = run(leaky(SURROGATES[3]), "half", current * 1, (0.1,), (0.9, 0.7), engine)
        found.append([output.detach(), *torch.autograd.grad(output, current, grad), last.detach()])
    assert found[0][0].dtype is found[0][1].dtype is dtype
    assert torch.equal(found[0][0], found[1][0].to(dtype))
    # Triton's interpreter cuts off what a GPU rounds.
    off = 2.0**-7 if DEVICE == "cpu" and dtype is torch.bfloat16 else 0.0
    torch.testing.assert_close(found[0][1], found[1][1].to(dtype), rtol=off, atol=0)
    assert torch.equal(found[0][2], found[1][2])


def both_recurrent(model, shape, dtype, half=None, bias=True):
    """Results and gradients of a recurrent layer on the GPU's kernel, and of the same on the reference."""
    torch.manual_seed(0)
    layers = [
        Recurrent(model(engine), bias).shaped(*shape[2:]).to(dtype).to(DEVICE) for engine in ("fused", "reference")
    ]
    layers[1].load_state_dict(layers[0].state_dict())
    x = torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=dtype).to(DEVICE)
    found = []
    for layer in layers:
        current = (x.clone() if half is None else x.to(half)).requires_grad_()
        before = layer(current[: max(len(x) // 3, 1)])[1]
        output, after = layer(current * 1, before)
        results = [output, *after.neuron, after.output]
        draw = torch.Generator().manual_seed(2)
        upstream = [torch.randn(r.shape, generator=draw, dtype=torch.float64).to(r) for r in results]
        asked = [current, *layer.parameters()]
        found.append(([r.detach() for r in results], torch.autograd.grad(results, asked, upstream)))
    return found


RECURRENT = {
    "lif": lambda engine: LIF(threshold=0.5, engine=engine),
    "learned": lambda engine: AdaptiveLIF(
        threshold=0.5, engine=engine, learn={"decay": "layer", "threshold": "neuron"}, surrogate=Rectangle(1.0)
    ),
    "graded": lambda engine: LeakyIntegrator(engine=engine),
}


@pytest.mark.parametrize("shape", [(1, 1, 1), (17, 3, 33), (40, 2, 5), (9, 1, 2, 32)], ids=str)
@pytest.mark.parametrize("model", RECURRENT)
@pytest.mark.parametrize("bias", [False, True])
def test_a_recurrent_layer_gives_what_the_reference_gives(model, shape, bias):
    found, wanted = both_recurrent(RECURRENT[model], shape, torch.float64, bias=bias)
    for a, b in zip([*found[0], *found[1]], [*wanted[0], *wanted[1]], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)
    if model != "graded":
        assert torch.equal(found[0][0], wanted[0][0])
    assert all(isinstance(made.kernel, GpuRecurrentKernel) for made in call._kernels.values())


@pytest.mark.parametrize("shape", [(2, 1, 63), (1, 2, 65), (3, 1, 513)], ids=str)
@pytest.mark.parametrize("size", [-20.0, 20.0])
def test_no_spike_at_all_and_every_neuron_firing_are_those_of_the_reference(shape, size):
    found = []
    for engine in ("fused", "reference"):
        torch.manual_seed(0)
        layer = Recurrent(LIF(engine=engine), bias=True).shaped(shape[-1]).to(DEVICE)
        x = torch.full(shape, size, device=DEVICE, requires_grad=True)
        for run_layer in (layer, layer.neuron):
            output = run_layer(x)[0]
            assert output.detach().unique().tolist() == [float(size > 0)]
            found.append([output, *torch.autograd.grad(output.sum(), x)])
    for a, b in zip(found[0] + found[1], found[2] + found[3], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_a_compiled_recurrent_layer_is_one_operation_and_gives_the_same():
    layer = Recurrent(RECURRENT["learned"]("auto"), bias=True).shaped(5).to(DEVICE)
    x = torch.randn(20, 2, 5, generator=torch.Generator().manual_seed(0)).to(DEVICE)
    graphs, outcomes = [], []

    def backend(graph, inputs):
        graphs.append(graph.code)
        return graph

    for run_layer in (layer, torch.compile(layer, backend=backend, fullgraph=True)):
        leaf = x.clone().requires_grad_()
        output = run_layer(leaf)[0]
        outcomes.append([output, *torch.autograd.grad(output.sum(), [leaf, *layer.parameters()])])
    for found, wanted in zip(*outcomes, strict=True):
        assert torch.equal(found, wanted)
    assert sum(code.count("litspike.recur") for code in graphs) == 1


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("model", ["lif", "graded"])
def test_a_recurrent_layer_reads_and_writes_half_precision(dtype, model):
    found, wanted = both_recurrent(RECURRENT[model], (17, 3, 33), torch.float32, half=dtype)
    assert found[0][0].dtype is found[1][0].dtype is dtype
    for a, b in zip([*found[0], *found[1]], [*wanted[0], *wanted[1]], strict=True):
        torch.testing.assert_close(a, b, rtol=2e-2, atol=1e-2)


def test_a_recurrent_layer_on_the_gpu_sums_its_spikes_in_the_order_that_the_cpu_does():
    layer = Recurrent(LIF(threshold=0.5, engine="fused"), bias=True).shaped(65)
    x = torch.randn(40, 3, 65, generator=torch.Generator().manual_seed(1))
    found = layer.to(DEVICE)(x.to(DEVICE))
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(recurrent.KERNELS, "cpu", CpuRecurrentKernel)
        wanted = layer.cpu()(x)
    assert torch.equal(found[0].cpu(), wanted[0])
    assert torch.equal(found[1].neuron.u.cpu(), wanted[1].neuron.u)
    assert 0.05 < wanted[0].mean() < 0.9


def test_more_neurons_than_a_block_has_run_on_the_reference(monkeypatch):
    monkeypatch.setattr(GpuRecurrentKernel, "largest", 5)
    x = torch.ones(3, 1, 6, device=DEVICE)
    layer = Recurrent(LIF()).shaped(6).to(DEVICE)
    assert layer(x)[0].shape == x.shape
    assert not call._kernels
    with pytest.raises(UserError, match="engine: 'fused' can't run here"):
        Recurrent(LIF(engine="fused")).shaped(6).to(DEVICE)(x)
