"""A file in NIR is the network that NIR's equations say, by an oracle that integrates them on its own."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

pytest.importorskip("nir", reason="files in NIR need the extra: pip install 'litspike[nir]'")
import nir

from litspike.networks import FromNIR
from litspike.networks.watch import LayerCall, watched
from litspike.neurons import IF, LIF, LeakyIntegrator, Recurrent, SynapticLIF
from litspike.settings import UserError
from litspike.surrogates import Sigmoid
from tests.networks.nir_oracle import neurons, run_neuron, step_neuron, write

DT = 1e-4
KINDS = ["I", "LI", "IF", "LIF", "CubaLI", "CubaLIF"]
X = np.random.default_rng(1).normal(0.25, 0.5, (40, 3, 6))


def run(network: nn.Module, x: np.ndarray) -> np.ndarray:
    return network(torch.tensor(x, dtype=torch.float32))[0].detach().numpy()


def uniform(**numbers: float) -> dict[str, np.ndarray]:
    return {name: np.full(6, value) for name, value in numbers.items()}


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_neurons_with_numbers_of_their_own_are_those_of_the_equations(kind: str, exact: bool, tmp_path: Path):
    node = neurons(kind)
    path = write(tmp_path / "n.nir", node)
    found = run(FromNIR(path, dt=DT, discretisation="exact" if exact else None), X)
    wanted = run_neuron(node, X, DT, exact)
    if kind.endswith("IF"):
        assert 0.05 < wanted.mean() < 0.9
        np.testing.assert_array_equal(found, wanted)
    else:
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_sequence_in_two_pieces_gives_what_the_whole_gives(kind: str, tmp_path: Path):
    network = FromNIR(write(tmp_path / "n.nir", neurons(kind)), dt=DT)
    x = torch.tensor(X, dtype=torch.float32)
    whole, _ = network(x)
    first, state = network(x[:17])
    assert torch.cat([first, network(x[17:], state)[0]]).equal(whole)


@pytest.mark.parametrize(
    ("node", "wanted"),
    [
        (nir.IF(**uniform(r=1 / DT, v_threshold=0.75)), IF),
        (nir.LIF(**uniform(tau=4 * DT, r=1.0, v_leak=0.0, v_threshold=0.75, v_reset=-0.5)), LIF),
        (nir.LIF(**uniform(tau=4 * DT, r=4.0, v_leak=0.0, v_threshold=0.75)), LIF),
        (nir.LI(**uniform(tau=4 * DT, r=1.0, v_leak=0.0)), LeakyIntegrator),
        (
            nir.CubaLIF(**uniform(tau_syn=2 * DT, tau_mem=4 * DT, r=4.0, v_leak=0.0, v_threshold=0.75, w_in=2.0)),
            SynapticLIF,
        ),
    ],
    ids=lambda one: getattr(one, "__name__", type(one).__name__),
)
def test_what_a_model_of_litspikes_says_is_that_model(node: object, wanted: type, tmp_path: Path):
    network = FromNIR(write(tmp_path / "n.nir", node), dt=DT)
    assert [type(layer) for layer in network.layers.values()] == [wanted]
    np.testing.assert_allclose(run(network, X), run_neuron(node, X, DT), rtol=1e-4, atol=1e-6)


def test_neurons_fire_above_their_threshold_and_not_at_it(tmp_path: Path):
    node = nir.IF(**uniform(r=1 / DT, v_threshold=1.0))
    network = FromNIR(write(tmp_path / "n.nir", node), dt=DT)
    assert run(network, np.ones((1, 1, 6))).sum() == 0
    assert run(network, np.full((1, 1, 6), 1.0001)).sum() == 6


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("kind", ["LIF", "CubaLIF"])
@pytest.mark.parametrize("way", ["Linear", "Affine", "Delay"])
def test_a_loop_of_neurons_and_weights_is_a_recurrent_layer(kind: str, way: str, nested: bool, tmp_path: Path):
    rng = np.random.default_rng(2)
    weight, bias = rng.normal(0, 0.4, (6, 6)), rng.normal(0.1, 0.1, 6) * (way == "Affine")
    node, size = neurons(kind), {"input": np.array([6])}
    nodes = {
        "input": nir.Input(size),
        "lif": node,
        "w": nir.Affine(weight, bias) if way == "Affine" else nir.Linear(weight),
        "output": nir.Output({"output": np.array([6])}),
    }
    edges = [("input", "lif"), ("lif", "w"), ("w", "lif"), ("lif", "output")]
    if way == "Delay":
        nodes["late"] = nir.Delay(np.full(6, DT))
        edges = [("input", "lif"), ("lif", "w"), ("w", "late"), ("late", "lif"), ("lif", "output")]
    graph = nir.NIRGraph(nodes, edges, type_check=False)
    path = tmp_path / "n.nir"
    if nested:
        write(path, graph, shape=(6,), output=nir.Output({"output": np.array([6])}))
    else:
        nir.write(path, graph)
    network = FromNIR(str(path), dt=DT)
    assert [type(layer) for layer in network.layers.values()] == [Recurrent]
    np.testing.assert_array_equal(run(network, X), run_neuron(node, X, DT, recurrent=(weight, bias)))


def looped(folder: Path) -> tuple[FromNIR, np.ndarray, np.ndarray]:
    """Two layers of neurons, the second with weights back to the first; an input, and what NIR's equations make of it.

    What leads back comes a step late, and is nothing before the first step.
    """
    rng = np.random.default_rng(3)
    there, back, bias = rng.normal(0.3, 0.5, (6, 6)), rng.normal(0, 0.5, (6, 6)), rng.normal(0, 0.2, 6)
    size = {"input": np.array([6])}
    nodes = {
        "input": nir.Input(size),
        "a": neurons("LIF"),
        "there": nir.Linear(there),
        "b": neurons("CubaLIF", seed=1),
        "own": nir.Linear(np.eye(6) * -0.3),
        "back": nir.Affine(back, bias),
        "output": nir.Output({"output": np.array([6])}),
    }
    edges = [*pairwise(["input", "a", "there", "b", "back", "a"]), ("b", "own"), ("own", "b"), ("b", "output")]
    nir.write(folder / "n.nir", nir.NIRGraph(nodes, edges, type_check=False))
    first, second = nodes["a"], nodes["b"]
    u, v = (np.broadcast_to(node.v_leak, X.shape[1:]) for node in (first, second))
    current, late, fired, outputs = 0 * X[0], 0 * X[0], 0 * X[0], []
    for x in 2 * X:
        spikes, u, _ = step_neuron(first, u, 0.0, x + late, lambda tau: DT / tau)
        taken = spikes @ there.T - 0.3 * fired
        fired, v, current = step_neuron(second, v, current, taken, lambda tau: DT / tau)
        late = fired @ back.T + bias
        outputs.append(fired)
    return FromNIR(str(folder / "n.nir"), dt=DT), 2 * X, np.stack(outputs)


def test_a_loop_through_several_layers_is_a_step_late(tmp_path: Path):
    network, x, wanted = looped(tmp_path)
    assert 0.05 < wanted.mean() < 0.9
    np.testing.assert_array_equal(run(network, x), wanted)
    layers = network.loop.layers
    assert isinstance(layers["b"], Recurrent)  # the loop of its own
    layers["back"].weight.data.zero_()
    assert (run(network, x) != wanted).any()


def test_a_loop_in_two_pieces_gives_what_the_whole_gives_and_is_trained(tmp_path: Path):
    network, x, _ = looped(tmp_path)
    given = torch.tensor(x, dtype=torch.float32)
    whole, _ = network(given)
    first, state = network(given[:17])
    assert torch.cat([first, network(given[17:], state)[0]]).equal(whole)
    with pytest.raises(UserError, match="with T ≥ 1"):
        network(given[:0], state)
    whole.sum().backward()
    assert all(value.grad.abs().sum() > 0 for value in network.parameters())


def test_the_layers_of_a_loop_are_watched_as_others_are(tmp_path: Path):
    network, x, wanted = looped(tmp_path)
    seen: list[LayerCall] = []
    with watched(network, seen.append):
        run(network, x)
    assert [call.label for call in seen] == ["layer 1 (AffineLIF, 6)", "layer 2 (Recurrent AffineSynapticLIF, 6)"]
    assert [call.arguments[0].shape for call in seen] == [x.shape] * 2
    np.testing.assert_array_equal(seen[1].output.detach().numpy(), wanted)


def test_neurons_that_lead_to_themselves_add_their_last_output(tmp_path: Path):
    node, size = neurons("LIF"), {"input": np.array([6])}
    nodes = {"input": nir.Input(size), "a": node, "output": nir.Output({"output": np.array([6])})}
    nir.write(tmp_path / "n.nir", nir.NIRGraph(nodes, [("input", "a"), ("a", "a"), ("a", "output")], type_check=False))
    wanted = run_neuron(node, X, DT, recurrent=(np.eye(6), np.zeros(6)))
    np.testing.assert_array_equal(run(FromNIR(str(tmp_path / "n.nir"), dt=DT), X), wanted)


def test_layers_without_neurons_do_what_torch_does(tmp_path: Path):
    rng = np.random.default_rng(3)
    weights = [rng.normal(size=shape).astype(np.float32) for shape in ((6, 1, 3, 2), (6,), (4, 12), (4,), (3, 4))]
    nodes = [
        nir.Conv2d((9, 8), weights[0], (2, 1), (1, 0), (1, 2), 2, weights[1]),
        nir.AvgPool2d(np.array([2, 2]), np.array([2, 2]), np.array([1, 0])),
        nir.SumPool2d(np.array([2, 1]), np.array([2, 2]), np.array([0, 0])),
        nir.Flatten({"input": np.array([6, 1, 2])}, 0, -1),
        nir.Affine(weights[2], weights[3]),
        nir.Scale(np.array([1.0, -2.0, 0.5, 3.0], np.float32)),
        nir.Linear(weights[4]),
        nir.Threshold(np.array([0.1, -0.2, 0.0], np.float32)),
    ]
    path = write(tmp_path / "n.nir", *nodes, shape=(2, 9, 8))
    x = torch.randn(5, 2, 2, 9, 8)
    y = torch.nn.functional.conv2d(
        x.flatten(0, 1), torch.tensor(weights[0]), torch.tensor(weights[1]), (2, 1), (1, 0), (1, 2), 2
    )
    y = torch.nn.functional.avg_pool2d(y, 2, 2, (1, 0))
    y = torch.nn.functional.avg_pool2d(y, (2, 1), (2, 2)) * 2
    y = y.flatten(1) @ torch.tensor(weights[2]).T + torch.tensor(weights[3])
    y = (y * torch.tensor([1.0, -2.0, 0.5, 3.0])) @ torch.tensor(weights[4]).T
    wanted = (y > torch.tensor([0.1, -0.2, 0.0])).float().view(5, 2, 3)
    found = FromNIR(path)(x)[0]
    assert 0 < wanted.mean() < 1
    assert found.equal(wanted)


def test_convolutions_over_a_line_and_paddings_by_name(tmp_path: Path):
    weight, bias = np.random.default_rng(4).normal(size=(3, 2, 3)), np.zeros(3)
    for padding, size in (("same", 8), ("valid", 6), (2, 10)):
        path = write(
            tmp_path / f"{padding}.nir",
            nir.Conv1d(8, weight, 1, padding, 1, 1, bias),
            shape=(2, 8),
            output=nir.Output({"output": np.array([3, size])}),
        )
        x = torch.randn(4, 2, 2, 8)
        wanted = torch.nn.functional.conv1d(x.flatten(0, 1), torch.tensor(weight).float(), padding=padding)
        torch.testing.assert_close(FromNIR(path)(x)[0].flatten(0, 1), wanted)


def test_edges_that_meet_are_a_sum_and_a_delay_is_steps_late(tmp_path: Path):
    delay = np.array([0, 1, 3]) * DT
    nodes = {
        "input": nir.Input({"input": np.array([3])}),
        "late": nir.Delay(delay),
        "twice": nir.Scale(np.full(3, 2.0)),
        "output": nir.Output({"output": np.array([3])}),
    }
    edges = [("input", "late"), ("input", "twice"), ("late", "output"), ("twice", "output")]
    nir.write(tmp_path / "n.nir", nir.NIRGraph(nodes, edges))
    network = FromNIR(str(tmp_path / "n.nir"), dt=DT)
    x = torch.randn(7, 2, 3)
    wanted = 2 * x
    for neuron, steps in enumerate((0, 1, 3)):
        wanted[steps:, :, neuron] += x[: 7 - steps, :, neuron]
    assert network(x)[0].equal(wanted)
    first, state = network(x[:2])
    assert torch.cat([first, network(x[2:], state)[0]]).equal(wanted)


def test_weights_and_scales_are_trained_and_the_surrogate_is_the_one_that_is_set(tmp_path: Path):
    path = write(
        tmp_path / "n.nir",
        nir.Affine(np.random.default_rng(5).normal(size=(6, 4)), np.zeros(6)),
        neurons("LIF"),
        nir.Scale(np.ones(6)),
        shape=(4,),
    )
    network = FromNIR(path, dt=DT, surrogate=Sigmoid(7.0))
    (firing,) = (layer for layer in network.layers.values() if hasattr(layer, "surrogate"))
    assert firing.surrogate == Sigmoid(7.0)
    network(torch.rand(20, 3, 4) * 3)[0].sum().backward()
    assert [name for name, value in network.named_parameters() if value.grad.abs().sum() > 0] == [
        "layers.n0.weight", "layers.n0.bias", "layers.n2.scale"
    ]  # fmt: skip


def test_a_file_that_does_not_say_its_step_asks_for_it(tmp_path: Path):
    path = write(tmp_path / "n.nir", neurons("LIF"))
    with pytest.raises(UserError, match=r"n0 \(LIF\): the file doesn't say how long a step is: set dt, in seconds"):
        FromNIR(path)
    with pytest.raises(UserError, match=r"tau: .* is below a step of 1, where forward Euler overshoots"):
        FromNIR(path, dt=1.0)


def test_a_file_of_snntorchs_asks_what_it_does_not_say(tmp_path: Path):
    path = write(tmp_path / "n.nir", nir.LIF(**uniform(tau=4 * DT, r=4.0, v_leak=0.0, v_threshold=1.0)))
    with pytest.raises(UserError, match="reset: None is missing: snnTorch's file doesn't say it"):
        FromNIR(path, dialect="snntorch")
    subtracting = FromNIR(path, dialect="snntorch", reset="subtract").layers["n0"]
    assert (subtracting.reset, subtracting.leak, subtracting.fires) == ("subtract", "before_reset", "above")
    assert FromNIR(path, dialect="snntorch", reset="zero").layers["n0"].reset == "zero"
