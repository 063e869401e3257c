"""Programs of torch.export and ONNX give what the network gives, for any batch and length, without litspike."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from litspike.coding import (
    ConstantCurrent,
    EveryStep,
    FirstSpike,
    LeakyIntegratorReadout,
    MeanOverTime,
    PoissonRate,
    TimeFirst,
)
from litspike.export.artefact import Artefact, Refused, Subject
from litspike.export.formats import format_named
from litspike.networks import Perceptron, SpikingSequential
from litspike.neurons import LIF, AdaptiveExponential, AdaptiveLIF, LeakyIntegrator, Recurrent
from litspike.tasks import Task
from tests.conftest import LIMIT
from tests.export.subjects import Drawing, dyadic, normalising, same, task_of, written_and_run

POINTS = torch.tensor([[0.5, 2.25], [-1.0, 3.0], [0.0, 1.5]])
SEQUENCES = torch.randint(-8, 16, (3, 8, 2), generator=torch.Generator().manual_seed(2)) / 8
IMAGES = torch.randint(0, 24, (2, 2, 6, 6), generator=torch.Generator().manual_seed(1)) / 8
FORMATS = ["torch", "onnx"]

pytestmark = pytest.mark.integration


def recurrent() -> Task:
    network = dyadic(Perceptron([2, 17, 3], Recurrent(AdaptiveLIF(learn={"decay": "neuron"}), bias=True)))
    return task_of(network, TimeFirst(), LeakyIntegratorReadout("last"))


def image() -> Task:
    layers = [nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), Recurrent(LIF()).shaped(4, 4, 4), nn.AvgPool2d(2), nn.Flatten()]
    return task_of(dyadic(normalising(SpikingSequential([*layers, nn.Linear(16, 3)]))))


def exponential() -> nn.Module:
    return dyadic(Perceptron([2, 17, 3], AdaptiveExponential()))


def exported(to: str, task: Task, x: Tensor) -> Artefact:
    if to == "onnx":
        pytest.importorskip("onnxruntime")
        pytest.importorskip("onnxscript")
    return format_named(to)(Subject(task, x), "network")


@pytest.mark.slow
@pytest.mark.parametrize("to", FORMATS)
def test_a_sequence_of_any_length_and_batch_gives_what_the_network_gives(to: str, tmp_path: Path):
    task = recurrent()
    artefact = exported(to, task, SEQUENCES)
    longer = torch.cat([SEQUENCES, SEQUENCES.flip(1)], 1)
    artefact.write(tmp_path)
    with artefact.reader(tmp_path) as run:
        for x in (SEQUENCES, SEQUENCES[:1], longer):
            own, other = Subject(task, x).run(x), run(x)
            assert 0 < own.layers[0].mean() < 1
            assert own.layers[0].equal(other.layers[0])
            torch.testing.assert_close(other.values, own.values)
    facts = artefact.facts(tmp_path)
    assert facts["sample"] == "[batch, T, 2]"
    assert facts["largest difference step by step"] < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("to", FORMATS)
def test_images_with_shortcut_shapes_and_an_exponential_step_give_what_the_network_gives(to: str, tmp_path: Path):
    for number, (task, x) in enumerate(
        [(image(), IMAGES), (task_of(exponential(), ConstantCurrent(64)), POINTS * 2000)]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        own, other = Subject(task, x).run(x), written_and_run(exported(to, task, x), x, folder)
        assert own.layers[0].mean() > 0
        assert all(one.flatten().equal(two.flatten()) for one, two in zip(own.layers, other.layers, strict=True))
        torch.testing.assert_close(other.values, own.values)


_WITHOUT_LITSPIKE = """\
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("litspike", "lightning"):
            raise ImportError(name + " is not here")

sys.meta_path.insert(0, Blocked())
import numpy as np
import torch
folder = sys.argv[1]
whole = torch.export.load(folder + "/network.pt2").module()
step = torch.export.load(folder + "/network_step.pt2").module()
rest = np.load(folder + "/network_rest.npz")
x = torch.from_numpy(np.load(folder + "/x.npy"))
values, outputs = whole(x)
states = [torch.from_numpy(rest[name]).expand(len(x), *rest[name].shape[1:]) for name in rest]
stepped = []
for current in x.transpose(0, 1):
    output, *states = step(current, *states)
    stepped.append(output)
found = {"values": values, "outputs": outputs, "stepped": torch.stack(stepped)}
np.savez(folder + "/answer.npz", **{name: value.detach() for name, value in found.items()})
assert not [name for name in sys.modules if name.startswith(("litspike", "lightning."))]
"""


@pytest.mark.slow
def test_the_programs_of_torch_run_in_a_process_that_has_no_litspike(tmp_path: Path):
    task = recurrent()
    exported("torch", task, SEQUENCES).write(tmp_path)
    np.save(tmp_path / "x.npy", SEQUENCES.numpy())
    command = [sys.executable, "-c", _WITHOUT_LITSPIKE, str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    found = {name: torch.from_numpy(value) for name, value in np.load(tmp_path / "answer.npz").items()}
    own = Subject(task, SEQUENCES).run(SEQUENCES)
    for name, wanted in {"values": own.values, "outputs": own.outputs, "stepped": own.outputs}.items():
        torch.testing.assert_close(found[name], wanted.detach())


def test_the_states_at_rest_are_those_of_the_neurons(tmp_path: Path):
    artefact = exported("torch", task_of(Perceptron([2, 5, 3], AdaptiveExponential())), POINTS)
    artefact.write(tmp_path)
    rest = np.load(tmp_path / "network_rest.npz")
    assert {name: (value.shape, float(value.max())) for name, value in rest.items()} == {
        "layer1_u": ((1, 5), float(np.float32(-70.6))), "layer1_w": ((1, 5), 0.0)
    }  # fmt: skip


@pytest.mark.parametrize(
    "readout", [FirstSpike(LIF(decay=0.5)), EveryStep(LeakyIntegrator(decay=0.5))], ids=lambda one: type(one).__name__
)
def test_a_readout_is_part_of_the_program(readout: nn.Module, tmp_path: Path):
    task = task_of(dyadic(Perceptron([2, 9, 3], LIF())), TimeFirst(), readout)
    own = Subject(task, SEQUENCES).run(SEQUENCES)
    other = written_and_run(exported("torch", task, SEQUENCES), SEQUENCES, tmp_path)
    assert same(own._replace(values=own.values.contiguous()), other)


class Deciding(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("line", "network", "encoder"),
    [
        ("layer 1 (Drawing, 2): its step can't be traced", SpikingSequential([Drawing()]), None),
        ("model: torch.export can't make a program of it", SpikingSequential([Deciding(), nn.Linear(2, 3)]), None),
        ("model: torch.export can't make a program of it", Perceptron([2, 5, 3], LIF()), PoissonRate(4)),
    ],
    ids=["neuron", "layer", "encoder"],
)
def test_what_is_no_graph_is_refused_by_a_line(line: str, network: nn.Module, encoder: nn.Module | None):
    with pytest.raises(Refused) as refusal:
        exported("torch", task_of(network, encoder), POINTS.clamp(0, 1))
    assert str(refusal.value).startswith(f"torch: {line}")


class Survival(MeanOverTime):
    """The share of steps before the first spike."""

    def forward(self, outputs, lengths=None):
        return (1 - outputs.clamp(0, 1)).cumprod(0).mean(0)


def test_a_readout_that_onnx_has_no_operation_for_is_refused():
    with pytest.raises(Refused, match=r"^onnx: model: torch.onnx can't make a graph of it: ONNX has nothing for"):
        exported("onnx", task_of(Perceptron([2, 5, 3], LIF()), readout=Survival()), POINTS)


@pytest.mark.slow
def test_the_first_spike_is_exported_to_onnx(tmp_path: Path):
    task = task_of(dyadic(Perceptron([2, 5, 3], LIF())), readout=FirstSpike(LIF()))
    own, other = Subject(task, POINTS).run(POINTS), written_and_run(exported("onnx", task, POINTS), POINTS, tmp_path)
    assert len(own.values.unique()) > 1
    torch.testing.assert_close(other.values, own.values)


def test_a_format_whose_packages_are_missing_names_the_extra(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.delitem(sys.modules, "litspike.export.graphs.onnx_graph", raising=False)
    pytest.importorskip("onnx")
    with pytest.raises(Refused, match=r"^onnx: onnxruntime is not installed: it needs the extra litspike\[onnx\]"):
        format_named("onnx")
