"""A file in NIR is the network: read back to the last bit, and run from NIR's equations by an oracle of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

pytest.importorskip("nir", reason="files in NIR need the extra: pip install 'litspike[nir]'")
import nir

from litspike.coding import LeakyIntegratorReadout, TimeFirst
from litspike.export.artefact import Refused, Subject
from litspike.export.nir import NIRFile
from litspike.networks import (
    AxonalDelay,
    ConvNet,
    FromNIR,
    Pass,
    Perceptron,
    SEWResNet,
    SpikingNetwork,
    SpikingSequential,
)
from litspike.networks.nir.layers import Scale, SumPool2d, Threshold
from litspike.neurons import (
    IF,
    LIF,
    AdaptiveLIF,
    Izhikevich,
    LeakyIntegrator,
    Neuron,
    Recurrent,
    RefractoryLIF,
    SynapticLIF,
)
from litspike.neurons.affine import AffineLIF, MultiSpikeLIF
from litspike.settings import SettingError
from litspike.tasks import Task
from tests.export.subjects import c_file, normalising, same, same_bits, task_of, written_and_run
from tests.networks.nir_oracle import run_neuron, write
from tests.peers.nir_cases import looped

SEQUENCES = torch.rand(3, 24, 4, generator=torch.Generator().manual_seed(0)) * 3 - 0.5
IMAGES = torch.randint(0, 24, (2, 2, 8, 8), generator=torch.Generator().manual_seed(1)) / 8
LEARNED = {"decay": "neuron", "threshold": "neuron"}

EXACT = {
    "LIF": LIF(),
    "LIF of a time constant": LIF(tau=7.0, dt=2.0),
    "leak before the input": LIF(decay=0.7, leak="before_input", input_gain="one_minus_decay", threshold=0.3),
    "leak before the reset": LIF(decay=0.7, leak="before_reset"),
    "fires above": LIF(fires="above", threshold=0.75),
    "reset to a value": LIF(decay=0.6, reset="value", reset_value=-0.25),
    "learned": LIF(learn=LEARNED, spread={"decay": 1.1, "threshold": 1.5}),
    "no leak": LIF(decay=1.0),
    "nothing remains": LIF(decay=0.0, threshold=0.4),
    "IF": IF(reset="value", reset_value=-0.5),
    "without a refractory time": RefractoryLIF(refractory=0.0),
    "without adaptation": AdaptiveLIF(adaptation=0.0),
    "SynapticLIF": SynapticLIF(reset="value", reset_value=0.125),
    "SynapticLIF without a leak": SynapticLIF(decay=1.0, synapse_decay=0.5),
    "SynapticLIF, learned": SynapticLIF(
        decay=None, tau=9.0, synapse_tau=3.0, learn={"tau": "neuron", "synapse_tau": "neuron"}, spread={"tau": 2.0}
    ),
    "recurrent": Recurrent(LIF(decay=0.8)),
    "recurrent with a bias": Recurrent(SynapticLIF(), bias=True),
    "LeakyIntegrator": LeakyIntegrator(tau=4.0, input_gain="one_minus_decay"),
    "affine": AffineLIF(decay=0.75, gain=0.5, threshold=0.25, fires="above", reset="value", reset_value=-0.125),
}


def perceptron(neuron: Any, **more: Any) -> Task:
    network = Perceptron([4, 12, 3], neuron, **more)
    with torch.no_grad():
        for name, value in network.named_parameters():
            if name.endswith("bias"):
                value.uniform_(-0.1, 0.1)
    return task_of(network, TimeFirst())


def written(task: Task, x: Tensor, folder: Path, **options: Any) -> tuple[Any, Any, NIRFile]:
    """What the task gives, what the file gives, and the export."""
    artefact = NIRFile(Subject(task, x), "network", **options)
    return Subject(task, x).run(x), written_and_run(artefact, x, folder), artefact


@pytest.mark.parametrize("how", ["euler", "exact"])
@pytest.mark.parametrize("name", EXACT)
def test_neurons_come_back_to_the_last_bit(name: str, how: str, tmp_path: Path):
    task = perceptron(EXACT[name])
    own, other, _ = written(task, SEQUENCES, tmp_path, discretisation=how)
    assert own.layers[0].std() > 0
    assert same_bits(own, other)


@pytest.mark.parametrize("dt", [1e-4, 0.014, 1.0, 1 / 3])
def test_any_step_gives_the_same_bits(dt: float, tmp_path: Path):
    own, other, _ = written(perceptron(LIF(learn=LEARNED)), SEQUENCES, tmp_path, dt=dt)
    assert same_bits(own, other)
    graph = nir.read(tmp_path / "network.nir")
    assert graph.metadata["dt"] == dt
    np.testing.assert_allclose(graph.nodes["layers_1"].tau, dt / (1 - 0.9), rtol=1e-5)


@pytest.mark.parametrize("how", ["euler", "exact"])
@pytest.mark.parametrize("name", ["LIF", "learned", "reset to a value", "IF", "SynapticLIF", "recurrent with a bias"])
def test_the_file_integrated_from_nirs_equations_spikes_as_the_network_does(name: str, how: str, tmp_path: Path):
    task = perceptron(EXACT[name])
    own, _, _ = written(task, SEQUENCES, tmp_path, discretisation=how)
    graph = nir.read(tmp_path / "network.nir")  # with nir's own check of all shapes
    first, node, last = (graph.nodes[name] for name in ("layers_0", "layers_1", "layers_2"))
    recurrent = None
    if isinstance(node, nir.NIRGraph):
        way = node.nodes["w_rec"]
        recurrent, node = (way.weight.astype(float), way.bias), node.nodes["lif"]
    x = SEQUENCES.transpose(0, 1).double().numpy() @ first.weight.astype(float).T + first.bias
    spikes = run_neuron(node, x, 1e-4, how == "exact", recurrent)
    np.testing.assert_array_equal(own.layers[0].numpy(), spikes)
    assert 0.02 < spikes.mean() < 0.9
    np.testing.assert_allclose(own.outputs.numpy(), spikes @ last.weight.T + last.bias, atol=1e-5)


def test_a_potential_at_the_threshold_fires_in_the_file_too(tmp_path: Path):
    network = SpikingSequential(
        [nn.Linear(1, 2, bias=False), IF(threshold=0.75, learn={"threshold": "neuron"}).shaped(2)]
    )
    network.layers[0].weight.data.fill_(1.0)
    task = task_of(network, TimeFirst())
    (threshold,) = network.layers[1].threshold.detach().unique().tolist()
    x = torch.tensor([threshold, np.nextafter(np.float32(threshold), np.float32(0))]).view(2, 1, 1)
    own, other, _ = written(task, x, tmp_path)
    assert own.layers[0][0].tolist() == [[1.0, 1.0], [0.0, 0.0]]
    assert same_bits(own, other)


def test_what_was_read_goes_on_to_c(tmp_path: Path):
    """Numbers for each neuron, a gain and a drift, pooling by sums, and scales after a convolution and before it."""
    rng = np.random.default_rng(0)
    image = (2, 4, 4)
    lif = nir.LIF(
        **{
            "tau": rng.uniform(2e-4, 9e-4, image),
            "r": rng.uniform(2, 6, image),
            "v_leak": rng.uniform(-0.1, 0.1, image),
        },
        **{"v_threshold": rng.uniform(0.5, 1.5, image), "v_reset": rng.uniform(-0.5, 0.2, image)},
    )
    path = write(
        tmp_path / "n.nir",
        nir.Scale(rng.uniform(0.5, 1, (2, 8, 8))),
        nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])),
        nir.Conv2d((4, 4), rng.normal(0.1, 0.2, (2, 2, 3, 3)), 1, 1, 1, 1, np.zeros(2)),
        nir.Scale(rng.uniform(0.5, 1, image)),
        lif,
        nir.Flatten({"input": np.array(image)}, 0, -1),
        nir.Linear(rng.normal(size=(3, 32))),
        shape=(2, 8, 8),
    )
    task = task_of(FromNIR(path, dt=1e-4))
    artefact = c_file(task, IMAGES)
    other = written_and_run(artefact, IMAGES, tmp_path)
    own = Subject(task, IMAGES).run(IMAGES)
    assert 0 < own.layers[0].mean() < 1
    assert same_bits(artefact.exact()[1](IMAGES), other)
    torch.testing.assert_close(other.values, own.values)


@pytest.mark.parametrize("neuron", [LIF, SynapticLIF])
def test_a_loop_through_several_layers_is_written_and_read_back(neuron: type[Neuron], tmp_path: Path):
    torch.manual_seed(0)
    task = task_of(looped(neuron), TimeFirst())
    own = Subject(task, SEQUENCES).run(SEQUENCES)
    assert all(0.05 < spikes.mean() < 0.9 for spikes in own.layers)
    assert same_bits(own, written_and_run(NIRFile(Subject(task, SEQUENCES), "n"), SEQUENCES, tmp_path))
    assert ("layers_1_layers_back", "layers_1_layers_one") in nir.read(tmp_path / "n.nir").edges
    with pytest.raises(Refused, match=r"nir: .* a loop through several layers is nothing that sinabs's reader knows"):
        NIRFile(Subject(task, SEQUENCES), "n", dialect="sinabs")
    with pytest.raises(Refused, match=r"c: model\.network: a loop through several layers has no C"):
        c_file(task, SEQUENCES)


class Twice(SpikingNetwork):
    """A sum with a tensor in it twice, and a path that goes around."""

    def __init__(self) -> None:
        super().__init__()
        self.first = SpikingSequential([nn.Linear(4, 5), LIF()])
        self.last = nn.Linear(5, 3)

    def through(self, x: Tensor, apply: Pass) -> Tensor:
        spikes = apply(self.first, x)
        return apply(self.last, spikes + spikes + spikes) + apply(self.last, spikes)


IMAGE_NETWORKS = {
    "averages": ConvNet([2, 8, 8], [4, "pool", 6], [8, 3], LIF(threshold=0.25), pooling="average", batch_norm=False),
    "maxima of spikes": ConvNet([2, 8, 8], [4, "pool", 6, "pool"], [8, 3], LIF(), batch_norm=False),
    "residual": SEWResNet([2, 8, 8], [4, 6], [1, 2], 3, LIF(decay=0.75)),
    "batch norm": ConvNet([2, 8, 8], [4, "pool", 6], [8, 3], LIF(), pooling="average"),
    "batch norm without weights before it": SpikingSequential(
        [nn.BatchNorm2d(2), LIF(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.BatchNorm1d(8), nn.Linear(8, 3)]
    ),
    "groups": SpikingSequential(
        [nn.Conv2d(2, 4, (3, 2), (2, 1), padding=(1, 0), groups=2, bias=False), LIF(), nn.Flatten(1), nn.Linear(112, 3)]
    ),
    "lines": SpikingSequential(
        [nn.Flatten(2), nn.Conv1d(2, 3, 3, padding="same"), LIF(), nn.MaxPool1d(2), nn.AvgPool1d(2), nn.Flatten(),
         nn.Linear(48, 3)]
    ),
    "NIR's own": SpikingSequential(
        [SumPool2d((2, 2), (2, 2), (0, 0)), Scale(torch.tensor(0.5)), Threshold(torch.tensor(3.0)), nn.Flatten(),
         AxonalDelay([32], 3), nn.Linear(32, 3)]
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", IMAGE_NETWORKS)
def test_layers_without_neurons_come_back(name: str, tmp_path: Path):
    network = IMAGE_NETWORKS[name]
    own, other, artefact = written(task_of(normalising(network)), IMAGES, tmp_path)
    assert all(layer.mean() > 0 for layer in own.layers)
    assert [one.shape for one in own.layers] == [one.shape for one in other.layers]
    unequal = sum(int((one != two).sum()) for one, two in zip(own.layers, other.layers, strict=True))
    assert unequal <= (0 if artefact.lowered.same else 5)
    torch.testing.assert_close(own.values, other.values, atol=1e-4 if unequal == 0 else 0.2, rtol=1e-4)
    if artefact.lowered.same:
        assert same_bits(own, other)


def test_a_sum_with_the_same_output_several_times_comes_back(tmp_path: Path):
    own, other, _ = written(task_of(Twice(), TimeFirst()), SEQUENCES, tmp_path)
    torch.testing.assert_close(own.outputs, other.outputs)
    nodes = nir.read(tmp_path / "network.nir").nodes
    assert {name: node.scale[0] for name, node in nodes.items() if hasattr(node, "scale")} == {
        "first_layers_1_times_3": 3.0
    }


def test_the_metadata_says_what_was_meant(tmp_path: Path):
    task = task_of(Perceptron([4, 8, 3], LIF()), TimeFirst(), LeakyIntegratorReadout())
    _, _, artefact = written(task, SEQUENCES, tmp_path, discretisation="exact", dt=0.01)
    metadata = nir.read(tmp_path / "network.nir").metadata
    assert metadata.pop("writer").startswith("litspike ")
    assert metadata == {
        **{"dialect": "nir", "discretisation": "exact", "dt": 0.01},
        **{"encoder": "TimeFirst", "readout": "LeakyIntegratorReadout"},
        "layout": "one time step of one sample; images are channels, height, width",
    }
    facts = artefact.facts(tmp_path)
    assert facts["discretisation"] == "exact for an input constant in a step"
    assert facts["nodes"] == "1 Input, 2 Affine, 1 LIF, 1 Output"


REFUSED: dict[str, tuple[nn.Module, str]] = {
    "subtract": (
        Perceptron([4, 8, 3], LIF(reset="subtract")),
        "layer 1 (LIF, 8): reset: subtract has no place in NIR; --approximate writes it as a reset to zero",
    ),
    "adaptive": (
        Perceptron([4, 8, 3], AdaptiveLIF()),
        "layer 1 (AdaptiveLIF, 8): an adaptive threshold has no place in NIR; --approximate writes it as a threshold "
        "that stays",
    ),
    "refractory": (
        Perceptron([4, 8, 3], RefractoryLIF(refractory=2.0)),
        "layer 1 (RefractoryLIF, 8): refractory: 2 has no place in NIR; --approximate writes it as neurons without a "
        "refractory time",
    ),
    "several": (
        SpikingSequential([nn.Linear(4, 8), MultiSpikeLIF()]),
        "layer 1 (MultiSpikeLIF, 8): reset: subtract has no place in NIR; --approximate",
    ),
    "rest": (
        Perceptron([4, 8, 3], IF(initial=0.5)),
        "layer 1 (IF, 8): a potential at rest other than where it settles has no place in NIR; --approximate writes it "
        "as one that starts where it settles",
    ),
    "model": (Perceptron([4, 8, 3], Izhikevich()), "layer 1 (Izhikevich, 8): Izhikevich is none of NIR's neurons"),
    "layer": (SpikingSequential([nn.LayerNorm(4)]), "layers.0 (LayerNorm): LayerNorm is none of NIR's nodes"),
    "activation": (SpikingSequential([nn.ReLU()]), "layers.0 (ReLU): ReLU is none of NIR's nodes"),
    "shape": (
        SpikingSequential([nn.Unflatten(1, (1, 4))]),
        "layers.0 (Unflatten): Unflatten is none of NIR's nodes",
    ),
}
REFUSED_IMAGES: dict[str, tuple[nn.Module, str]] = {
    "maximum": (
        SpikingSequential([nn.MaxPool2d(2)]),
        "layers.0 (MaxPool2d): MaxPool2d has no place in NIR, but for a maximum of spikes",
    ),
    "padding": (
        SpikingSequential([nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular")]),
        "layers.0 (Conv2d): padding_mode: circular has no place in NIR, zeros has",
    ),
    "average": (
        SpikingSequential([nn.AvgPool2d(3, 2, 1, count_include_pad=False)]),
        "layers.0 (AvgPool2d): count_include_pad: false has no place in NIR",
    ),
    "ceiling": (SpikingSequential([nn.AvgPool2d(3, 2, ceil_mode=True)]), "layers.0 (AvgPool2d): ceil_mode: true has"),
    "many sizes": (SpikingSequential([nn.AdaptiveAvgPool2d(3)]), "layers.0 (AdaptiveAvgPool2d): Adaptive"),
    "recurrent": (
        SpikingSequential([Recurrent(LIF()).shaped(2, 8, 8)]),
        "layer 1 (Recurrent LIF, 2×8×8): connections to itself over an image have no place in NIR",
    ),
    "linear": (SpikingSequential([nn.Linear(8, 3)]), "layers.0 (Linear): a Linear that takes samples [2, 8, 8], of"),
}  # fmt: skip


@pytest.mark.parametrize("name", [*REFUSED, *(f"image: {name}" for name in REFUSED_IMAGES)])
def test_what_nir_has_no_place_for_is_a_line_with_layer_setting_and_way_out(name: str):
    images = name.startswith("image: ")
    network, line = REFUSED_IMAGES[name.removeprefix("image: ")] if images else REFUSED[name]
    task = task_of(network) if images else task_of(network, TimeFirst())
    with pytest.raises(Refused) as refused:
        NIRFile(Subject(task, IMAGES if images else SEQUENCES), "network")
    assert str(refused.value).startswith(f"nir: {line}")


@pytest.mark.parametrize("name", ["subtract", "adaptive", "refractory", "several", "rest"])
def test_what_is_approximated_is_written_and_said(name: str, tmp_path: Path):
    network, line = REFUSED[name]
    task = task_of(network, TimeFirst())
    own, other, artefact = written(task, SEQUENCES * 2, tmp_path, approximate=True)
    said = artefact.facts(tmp_path)["approximated"]
    setting, _, instead = line.split(": ", 1)[1].partition(" has no place in NIR; --approximate")
    assert said.startswith(f"{line.split(': ')[0]}: {setting} is written as {instead.removeprefix(' writes it as ')}")
    assert not same(own, other)
    assert nir.read(tmp_path / "network.nir").nodes["layers_1"].v_reset.tolist() == [0.0] * 8


@pytest.mark.parametrize(
    "name",
    [
        *("LIF", "leak before the input", "fires above", "IF", "no leak", "nothing remains"),
        "SynapticLIF",
        "recurrent with a bias",
    ],
)
@pytest.mark.parametrize("dialect", ["snntorch", "spikingjelly", "norse"])
def test_a_dialect_is_read_back_as_the_same_network(name: str, dialect: str, tmp_path: Path):
    task = perceptron(EXACT[name])
    if (name, dialect) in {("nothing remains", "spikingjelly")}:
        with pytest.raises(Refused, match=r"layer 1 \(LIF, 12\): decay: 0 is nothing that spikingjelly's reader knows"):
            written(task, SEQUENCES, tmp_path, dialect=dialect)
        return
    if name == "SynapticLIF":
        task = perceptron(SynapticLIF())
    if name == "IF":
        task = perceptron(IF())
    own, other, artefact = written(task, SEQUENCES, tmp_path, dialect=dialect)
    assert own.layers[0].mean() > 0
    assert own.layers[0].equal(other.layers[0])
    torch.testing.assert_close(own.values, other.values)
    assert artefact.notes.made == []


@pytest.mark.parametrize("neuron", [MultiSpikeLIF(decay=0.75), MultiSpikeLIF(decay=1.0), LeakyIntegrator(decay=0.75)])
def test_sinabs_gets_what_its_reader_makes_of_it(neuron: Any, tmp_path: Path):
    own, other, _ = written(perceptron(neuron), SEQUENCES * 2, tmp_path, dialect="sinabs")
    assert own.layers[0].max() > 1
    torch.testing.assert_close(own.layers[0], other.layers[0], rtol=1e-5, atol=1e-5)


NOT_FOR: list[tuple[str, Any, str]] = [
    ("sinabs", LIF(), "reset: zero is nothing that the reader knows; --approximate writes it as reset: subtract"),
    ("sinabs", LIF(reset="subtract"), "neurons that fire once in a step are nothing that the reader knows; --approx"),
    ("sinabs", SynapticLIF(), "a synaptic current is nothing that sinabs's reader knows"),
    ("sinabs", Recurrent(MultiSpikeLIF()), "connections to itself is nothing that sinabs's reader knows"),
    ("norse", LIF(reset="value", reset_value=-0.5), "reset: value is nothing that the reader knows; --approximate"),
    ("snntorch", LIF(learn=LEARNED, spread={"threshold": 2.0}), "a threshold for each neuron is nothing"),
    (
        "spikingjelly",
        LIF(learn=LEARNED, spread={"decay": 1.05}),
        "numbers for each neuron (tau) are",
    ),
    ("spikingjelly", LIF(reset="value", reset_value=-0.5), "reset: value is nothing that spikingjelly's reader knows"),
    ("spikingjelly", LeakyIntegrator(), "a layer without spikes is nothing that spikingjelly's reader knows"),
    ("norse", LeakyIntegrator(), "a layer without spikes is nothing that norse's reader knows"),
    ("snntorch", LeakyIntegrator(), "a layer without spikes is nothing that snntorch's reader knows"),
]


@pytest.mark.parametrize(("dialect", "neuron", "line"), NOT_FOR)
def test_what_a_librarys_reader_does_not_know_is_a_line(dialect: str, neuron: Any, line: str):
    with pytest.raises(Refused) as refused:
        NIRFile(Subject(perceptron(neuron), SEQUENCES), "network", dialect=dialect)
    assert line in str(refused.value)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"dialect": "brian"}, "export: dialect: 'brian' is none of snntorch, spikingjelly, norse, sinabs"),
        ({"discretisation": "heun"}, "export: discretisation: 'heun' is none of euler, exact"),
        ({"dt": 0.0}, "export: dt: 0.0 is outside (0, inf)"),
        ({"dialect": "snntorch", "dt": 1e-3}, "export: dt: 0.001 is not that of snntorch, which has 0.0001"),
        (
            {"dialect": "norse", "discretisation": "exact"},
            "export: discretisation: 'exact' is not that of norse: euler",
        ),
    ],
)
def test_a_setting_that_does_not_go_with_the_rest_is_a_line(options: dict[str, Any], line: str):
    with pytest.raises(SettingError) as refused:
        NIRFile(Subject(perceptron(LIF()), SEQUENCES), "network", **options)
    assert str(refused.value) == line


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "a\\b", "a\0b"])
def test_what_names_no_file_of_the_folder_is_refused(name: str):
    with pytest.raises(Refused, match="is no name of a file"):
        NIRFile(Subject(perceptron(LIF()), SEQUENCES), name)


def test_a_name_may_have_digits(tmp_path: Path):
    NIRFile(Subject(perceptron(LIF()), SEQUENCES), "run10").write(tmp_path)
    assert (tmp_path / "run10.nir").is_file()
