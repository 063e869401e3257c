"""Layers of neurons in graphs that torch compiles and exports."""

import subprocess
import sys

import pytest
import torch

from litspike.engine import feedback
from litspike.networks import ConvNet, Perceptron, SpikingSequential
from litspike.networks.sequence import neuron_layers
from litspike.neurons import LIF, AdaptiveLIF, Recurrent
from tests.conftest import LIMIT
from tests.grids import grid

pytestmark = pytest.mark.integration

X = torch.randn(20, 3, 7, generator=torch.Generator().manual_seed(0)) * 2

LAYERS = {
    "lif": LIF(),
    "learned": LIF(learn={"decay": "neuron", "threshold": "layer"}).shaped(7),
    "adaptive": AdaptiveLIF(),
    "reference": LIF(engine="reference"),
    "perceptron": Perceptron([7, 5, 2], LIF(learn={"decay": "neuron"})),
    "recurrent": Recurrent(LIF()).shaped(7),
    "recurrent, learned": Recurrent(AdaptiveLIF(learn={"decay": "neuron", "threshold": "layer"}), bias=True).shaped(7),
}


@pytest.fixture(autouse=True)
def compiled_anew():
    torch._dynamo.reset()  # it gives up after eight kinds of input to one function


def flat(result):
    return torch.utils._pytree.tree_leaves(result)


def gradients(module, x):
    x = x.clone().requires_grad_()
    results = flat(module(x))
    leaves = [x, *module.parameters()]
    return results, torch.autograd.grad(sum((r * r).sum() + r.sum() for r in results), leaves)


@pytest.mark.parametrize(("name", "backend"), grid(list(LAYERS), ["eager", "aot_eager"]))
def test_a_compiled_layer_gives_the_same(name, backend):
    compiled = torch.compile(LAYERS[name], fullgraph=True, backend=backend)
    found, wanted = gradients(compiled, X), gradients(LAYERS[name], X)
    assert wanted[1][0].any()
    for a, b in zip(found[0], wanted[0], strict=True):
        assert torch.equal(a, b)
    torch.testing.assert_close(found[1], wanted[1])


def test_a_compiled_layer_takes_a_held_current():
    compiled = torch.compile(Perceptron([7, 5, 2], LIF()), fullgraph=True, backend="aot_eager")
    held = X[0].expand(20, 3, 7)
    torch.testing.assert_close(compiled(held)[0], compiled._orig_mod(held)[0])


@pytest.mark.parametrize(
    ("layer", "operation", "most"), [(LIF(), "litspike.run", 8), (LAYERS["recurrent, learned"], "litspike.recur", 20)]
)
def test_a_compiled_layer_is_one_operation(layer, operation, most):
    graphs = []

    def backend(graph, inputs):
        graphs.append([node.target for node in graph.graph.nodes if node.op == "call_function"])
        return graph

    torch.compile(layer, fullgraph=True, backend=backend)(X)
    assert [str(target) for target in graphs[0]].count(f"{operation}.default") == 1
    assert len(graphs[0]) < most  # however many steps


@pytest.mark.parametrize(
    ("shape", "dtype", "size"),
    grid([(1, 1, 1), (17, 1, 63), (2, 3, 65), (1, 2, 513)], [torch.float32, torch.float64], [-9.0, 0.4, 9.0]),
)
def test_a_compiled_recurrent_layer_of_any_size_gives_what_the_reference_gives(shape, dtype, size):
    torch.manual_seed(0)
    ours, reference = (Recurrent(LIF(engine=e), bias=True).shaped(shape[-1]).to(dtype) for e in ("fused", "reference"))
    reference.load_state_dict(ours.state_dict())
    x = size + torch.randn(shape, dtype=dtype) * 0.5
    found, wanted = gradients(torch.compile(ours, fullgraph=True, backend="aot_eager"), x), gradients(reference, x)
    assert torch.equal(found[0][0], wanted[0][0])
    bound = 1e-9 if dtype is torch.float64 else 1e-4
    torch.testing.assert_close(list(found[1]), list(wanted[1]), rtol=bound, atol=bound)


def test_a_compiled_recurrent_layer_goes_on_from_a_state_and_gives_it_its_gradient():
    layer, found = LAYERS["recurrent, learned"], []
    before = layer(X)[1].detach()
    for run in (layer, torch.compile(layer, fullgraph=True, backend="aot_eager")):
        leaves = [leaf.clone().requires_grad_() for leaf in flat(before)]
        output, _ = run(X, torch.utils._pytree.tree_unflatten(leaves, torch.utils._pytree.tree_structure(before)))
        found.append([output, *torch.autograd.grad(output.square().sum() + output.sum(), leaves)])
    assert found[0][1].any()
    torch.testing.assert_close(*found)


def test_a_compiled_recurrent_layer_works_out_no_gradient_that_nobody_wants(monkeypatch):
    layer, asked, real = Recurrent(LIF()).shaped(7), [], feedback.RecurrentKernel.gradients
    layer.connections.weight.requires_grad_(False)
    monkeypatch.setattr(feedback.RecurrentKernel, "gradients", lambda *given: asked.append(given[-1]) or real(*given))
    x = X.clone().requires_grad_()
    torch.compile(layer, fullgraph=True, backend="aot_eager")(x)[0].sum().backward()
    assert [list(wanted) for wanted in asked] == [[True, False, False, False]]
    assert x.grad.any()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_a_compiled_recurrent_layer_takes_half_precision(dtype):
    layer = LAYERS["recurrent"]
    found, wanted = (run(X.to(dtype))[0] for run in (torch.compile(layer, backend="eager"), layer))
    assert found.dtype is dtype
    assert torch.equal(found, wanted)


@pytest.mark.parametrize(("name", "strict"), grid(["lif", "learned", "perceptron"], [True, False]))
def test_an_exported_layer_takes_another_batch(name, strict):
    program = torch.export.export(LAYERS[name], (X,), dynamic_shapes=({1: torch.export.Dim("batch")},), strict=strict)
    other = torch.randn(20, 5, 7)
    for a, b in zip(flat(program.module()(other)), flat(LAYERS[name](other)), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "dynamo"), grid(["lif", "perceptron", "recurrent", "reference"], [True, False]))
def test_an_onnx_file_gives_what_the_layer_gives(name, dynamo, tmp_path):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    from onnx.reference import ReferenceEvaluator

    torch.onnx.export(LAYERS[name], (X,), tmp_path / "layer.onnx", dynamo=dynamo)
    model = onnx.load(tmp_path / "layer.onnx")
    found = ReferenceEvaluator(model).run(None, {model.graph.input[0].name: X.numpy()})[0]
    torch.testing.assert_close(torch.from_numpy(found), LAYERS[name](X)[0].detach())


CONVOLUTIONS = ConvNet([1, 8, 8], [4, "pool"], [5, 3], LIF()).eval()
RECURRENT = SpikingSequential([torch.nn.Linear(7, 3), Recurrent(LIF()).shaped(3), torch.nn.Linear(3, 1)])
NETWORKS = {  # with sizes that it may be exported with, and another input
    "convolutional": (CONVOLUTIONS, {1: torch.export.Dim("batch")}, (4, 3, 1, 8, 8), (4, 5, 1, 8, 8)),
    "recurrent": (RECURRENT, {1: torch.export.Dim("batch")}, (4, 3, 7), (4, 5, 7)),
    "any length": (
        LAYERS["perceptron"],
        {0: torch.export.Dim("T"), 1: torch.export.Dim("batch")},
        (4, 3, 7),
        (9, 5, 7),
    ),
}


@pytest.mark.parametrize(("name", "strict"), grid(list(NETWORKS), [True, False]))
def test_an_exported_network_is_saved_and_takes_other_sizes(name, strict, tmp_path):
    network, free, shape, other = NETWORKS[name]
    program = torch.export.export(network, (torch.rand(shape),), dynamic_shapes=(free,), strict=strict)
    torch.export.save(program, tmp_path / "network.pt2")
    operations = [str(node.target) for node in program.graph.nodes if str(node.target).startswith("litspike")]
    assert len(operations) == len(list(neuron_layers(network)))
    x = torch.rand(other) * 3
    found, wanted = flat(torch.export.load(tmp_path / "network.pt2").module()(x)), flat(network(x))
    assert len(found) == len(wanted)
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.slow
def test_an_exported_program_runs_in_another_process(tmp_path):
    network = LAYERS["perceptron"]
    torch.export.save(torch.export.export(network, (X,)), tmp_path / "network.pt2")
    torch.save((X, network(X)[0].detach()), tmp_path / "expected.pt")
    program = f"""
import torch, litspike
x, expected = torch.load(r"{tmp_path}/expected.pt")
output = torch.export.load(r"{tmp_path}/network.pt2").module()(x)[0]
raise SystemExit(0 if torch.allclose(output, expected) else 3)
"""
    assert subprocess.run([sys.executable, "-c", program], timeout=LIMIT).returncode == 0
