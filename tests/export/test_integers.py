"""The C file in integers gives what its twin in torch gives, bit for bit, and next to what the network gives."""

from __future__ import annotations

import copy
import re
import subprocess
from fractions import Fraction
from math import floor
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn

from litspike.coding import (
    ConstantCurrent,
    DeltaModulation,
    FirstSpike,
    Latency,
    LeakyIntegratorReadout,
    Population,
    TimeFirst,
)
from litspike.export.artefact import Answer, Refused, Subject
from litspike.export.integer.file import IntegerFile
from litspike.export.integer.fixed import Settings
from litspike.export.integer.precision import findings
from litspike.networks import Perceptron, SpikingSequential
from litspike.networks.quantised import weight_integers, weight_scales
from litspike.neurons import IF, LIF, AdaptiveLIF, LeakyIntegrator, Neuron, Recurrent
from litspike.tasks import Task
from tests.export.subjects import c_file, compiled_and_run, dyadic, normalising, task_of
from tests.export.test_c_layers import CODINGS, IMAGES, LAYERS, NEURONS, POINTS, SEQUENCES, STRONG, TwoPaths, late

FREE, POWERS = Settings(8, "free", 16), Settings(8, "power_of_two", 32)
BOTH = pytest.mark.parametrize("settings", [FREE, POWERS], ids=["free, 16 bits", "powers of two, 32 bits"])
CHECKED = ("-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")


def integer_file(task: Task, x: Tensor, settings: Settings) -> IntegerFile:
    """The export of a task in integers; without a C compiler the test is skipped."""
    c_file(task, x)
    return IntegerFile(Subject(task, x), "network", settings, x)


def run(file: IntegerFile, x: Tensor, folder: Path) -> Answer:
    """What the compiled file gives; it ends at the first thing that C doesn't define."""
    return compiled_and_run(file, x, folder, CHECKED)


def checked(task: Task, x: Tensor, settings: Settings, folder: Path) -> tuple[Answer, Answer]:
    """The network's answer and that of the file, which is that of the twin."""
    file = integer_file(task, x, settings)
    found, twin = run(file, x, folder), file.exact()[1](x)
    own = Subject(task, x).run(x)
    for one, other in zip([*found.layers, found.outputs, found.values], [*twin.layers, twin.outputs, twin.values],
                          strict=True):  # fmt: skip
        assert one.flatten().equal(other.flatten())
    return own, found


def equal(own: Answer, other: Answer) -> float:
    """The least share of equal outputs of a layer."""
    return min(
        float((one.flatten() == two.flatten()).double().mean())
        for one, two in zip(own.layers, other.layers, strict=True)
    )


@pytest.mark.parametrize("name", NEURONS)
def test_any_declared_model_gives_in_integers_of_32_bits_the_spikes_that_it_gives_in_torch(name: str, tmp_path: Path):
    torch.manual_seed(1)
    network = dyadic(Perceptron([2, 17, 3], NEURONS[name]))
    x = POINTS * STRONG.get(name, 1.0)
    own, found = checked(task_of(network, ConstantCurrent(64)), x, POWERS, tmp_path)
    assert 0 < own.layers[0].mean() < 1
    assert equal(own, found) > 0.99


@pytest.mark.thorough
@pytest.mark.parametrize("name", sorted(NEURONS.keys() - {"AdaptiveExponential"}))
def test_any_declared_model_but_one_gives_most_of_its_spikes_in_16_bits(name: str, tmp_path: Path):
    torch.manual_seed(1)
    network = dyadic(Perceptron([2, 17, 3], NEURONS[name]))
    own, found = checked(task_of(network, ConstantCurrent(64)), POINTS * STRONG.get(name, 1.0), FREE, tmp_path)
    assert equal(own, found) > 0.94


def found_in(file: IntegerFile, x: Tensor) -> list[tuple[str, str]]:
    """What the report says of the states, once samples have gone through the network."""
    file.exact()[1](x)
    return list(findings(file.plan, file.twin, file.integers, file.samples))


def test_states_whose_resolution_is_too_small_are_reported_with_what_rounding_takes():
    torch.manual_seed(1)
    task = task_of(dyadic(Perceptron([2, 17, 3], NEURONS["AdaptiveExponential"])), ConstantCurrent(64))
    x = POINTS * STRONG["AdaptiveExponential"]
    layers, said = zip(*found_in(integer_file(task, x, FREE), x), strict=True)
    assert {*layers} == {"layer 1 (AdaptiveExponential, 17)"}
    for state in "uw":
        (line,) = [line for line in said if f"times of state {state} what a step changes in it" in line]
        assert line.startswith("rounding takes ")
        assert line.endswith(": --states 32 has more")
    assert found_in(integer_file(task, x, POWERS), x) == []


def test_states_that_are_limited_are_reported_with_their_share_and_bounds():
    task = task_of(Perceptron([2, 3, 1], IF(threshold=1e4)), ConstantCurrent(8))
    with torch.no_grad():
        task.network.layers[0].weight.fill_(1.0)
        task.network.layers[0].bias.zero_()
    file = integer_file(task, POINTS.abs(), FREE)
    assert found_in(file, POINTS.abs()) == []
    ((layer, said),) = found_in(file, POINTS.abs() * 0 + 1e9)
    assert layer == "layer 1 (IF, 3)"
    high = file.plan.states[file.operations[1].output][0]
    assert said.startswith(f"{file.integers.limited_shares(file.operations[1].output)[0]:.2%} of state u lie at")
    assert f"±{high.high * high.unit:.4g}" in said


@BOTH
@pytest.mark.parametrize("model", [LIF(), AdaptiveLIF(learn={"decay": "neuron"})], ids=["LIF", "AdaptiveLIF"])
def test_a_recurrent_layer_gives_in_c_what_its_twin_gives(model: Neuron, settings: Settings, tmp_path: Path):
    torch.manual_seed(0)
    task = task_of(dyadic(Perceptron([2, 17, 5, 3], Recurrent(model, True))), ConstantCurrent(32))
    own, found = checked(task, POINTS, settings, tmp_path)
    assert 0 < own.layers[0].mean() < 1
    assert equal(own, found) > 0.9


@BOTH
def test_delays_and_thresholds_give_in_integers_the_spikes_that_they_give_in_torch(settings: Settings, tmp_path: Path):
    torch.manual_seed(1)
    own, found = checked(task_of(dyadic(late()), ConstantCurrent(12)), POINTS, settings, tmp_path)
    assert equal(own, found) > 0.99


@pytest.mark.thorough
@pytest.mark.parametrize("name", LAYERS)
def test_layers_without_state_give_in_c_what_their_twins_give(name: str, tmp_path: Path):
    torch.manual_seed(0)
    network = copy.deepcopy(LAYERS[name]).eval()
    x = IMAGES if name != "SEWResNet" else IMAGES[:, :, :8, [0, 1, 2, 3, 4, 5, 6, 0]]
    network(x[None])  # which makes the lazy weights
    own, found = checked(task_of(dyadic(network), ConstantCurrent(4)), x, FREE, tmp_path)
    assert 0 < own.layers[0].mean() < 1
    assert equal(own, found) > 0.85


@pytest.mark.thorough
@BOTH
@pytest.mark.parametrize("name", CODINGS)
def test_encoders_and_readouts_give_in_c_what_their_twins_give(name: str, settings: Settings, tmp_path: Path):
    torch.manual_seed(0)
    inputs, encoder, readout, x = CODINGS[name]
    own, found = checked(
        task_of(dyadic(Perceptron([inputs, 16, 3], IF(threshold=0.5))), encoder, readout), x, settings, tmp_path
    )
    assert 0 < own.layers[0].mean() < 1
    assert equal(own, found) > 0.95


@pytest.mark.parametrize("encoder", [TimeFirst(), DeltaModulation(0.1), ConstantCurrent(5), Latency(8, 0.1)])
def test_receptive_fields_respond_in_c_as_in_their_twin(encoder: nn.Module, tmp_path: Path):
    torch.manual_seed(0)
    moving = isinstance(encoder, (TimeFirst, DeltaModulation))
    x = SEQUENCES.abs() if moving else SEQUENCES[:, 0].abs()
    inputs = 4 * 8 * (2 if isinstance(encoder, DeltaModulation) else 1)
    task = task_of(Perceptron([inputs, 16, 3], IF()), Population(encoder, fields=8, high=2.0))
    own, found = checked(task, x, FREE, tmp_path)
    assert equal(own, found) > 0.95


def test_paths_that_meet_and_a_lone_batch_norm_give_in_c_what_their_twins_give(tmp_path: Path):
    torch.manual_seed(0)
    norm = normalising(SpikingSequential([nn.BatchNorm2d(2), IF(), nn.Flatten(), nn.Linear(126, 3)]))
    for index, (network, x) in enumerate([(dyadic(TwoPaths()), POINTS), (norm, IMAGES)]):
        folder = tmp_path / str(index)
        folder.mkdir()
        own, found = checked(task_of(network), x, FREE, folder)
        assert equal(own, found) > 0.95


@BOTH
def test_numbers_far_outside_what_was_measured_are_limited_and_nothing_overflows(settings: Settings, tmp_path: Path):
    """The formats are those of small samples; the file gets the largest integers that there are."""
    torch.manual_seed(0)
    network = Perceptron([4, 16, 3], Recurrent(AdaptiveLIF(reset="subtract"), True), batch_norm=True)
    task = task_of(normalising(network), TimeFirst(), LeakyIntegratorReadout("last"))
    file = integer_file(task, SEQUENCES / 100, settings)
    for x in (SEQUENCES * 1e9, SEQUENCES * 0 + torch.inf, SEQUENCES.sign() * 1e30):
        found, twin = run(file, x, tmp_path), file.exact()[1](x)
        assert found.values.equal(twin.values)
        assert found.layers[0].flatten().equal(twin.layers[0].flatten())
        assert file.given(x).abs().max() == file.plan.sample.high


def test_a_leaky_neuron_gives_the_integers_that_its_equation_gives_by_hand(tmp_path: Path):
    """In Python's own integers and fractions: sums of weights, their scaling, leak, threshold and reset."""
    network = SpikingSequential([nn.Linear(2, 3), LIF(decay=0.9, threshold=1.0)])
    torch.manual_seed(2)
    network.layers[0].reset_parameters()
    file = integer_file(task_of(network, ConstantCurrent(20)), POINTS, FREE)
    plan, (product, neurons) = file.plan, file.operations
    half = Fraction(1, 2)
    places = plan.formats[0].fraction
    weights, current = plan.weights[product.output], plan.formats[product.output]
    (state,) = plan.states[neurons.output]
    spikes = run(file, POINTS, tmp_path).layers[0]
    decay = floor(Fraction(0.9) * 2**15 + half)
    for sample in range(3):
        x = [floor(Fraction(float(value)) * 2**places + half) for value in POINTS[sample]]
        for neuron in range(3):
            row = [Fraction(float(value)) for value in network.layers[0].weight[neuron]]
            scale = max(abs(value) for value in row) / 127
            whole = [floor(value / scale + half) for value in row]
            assert weights.integers[neuron].tolist() == whole
            bias = floor(Fraction(float(network.layers[0].bias[neuron])) * 2**places / scale + half)
            total = bias + sum(w * value for w, value in zip(whole, x, strict=True))
            given = floor(total * scale * Fraction(2) ** (current.fraction - places) + half)
            u = 0
            for step in range(20):
                finest = max(state.fraction, current.fraction)
                u = u * 2 ** (finest - state.fraction) + given * 2 ** (finest - current.fraction)
                fires = u >= 2**finest
                assert spikes[step, sample, neuron] == fires
                u = 0 if fires else floor(Fraction(u * decay, 2 ** (15 + finest - state.fraction)) + half)


def test_sixteen_bits_are_stored_in_sixteen(tmp_path: Path):
    file = integer_file(task_of(Perceptron([2, 100, 3], LIF())), POINTS, FREE)
    file.write(tmp_path)
    facts = file.facts(tmp_path)
    potentials, currents_and_spikes, sums, output = 2 * 100, 2 * (100 + 100 + 3), 4 * 100, 2 * 3
    assert facts["kB of RAM"] * 1000 == pytest.approx(potentials + currents_and_spikes + sums + output, abs=4)
    bias_multiplier_and_shift = 4 + 4 + 1
    assert facts["kB of constants"] * 1000 == 200 + 300 + 103 * bias_multiplier_and_shift


def test_the_object_needs_no_floating_point_and_nothing_of_a_library(tmp_path: Path):
    network = Perceptron([4, 8, 3], Recurrent(NEURONS["AdaptiveExponential"]))
    integer_file(task_of(network, Latency(8), LeakyIntegratorReadout("max")), SEQUENCES[:, 0].abs() / 4, POWERS).write(
        tmp_path
    )
    made = subprocess.run(["make", "-C", str(tmp_path)], capture_output=True, text=True)
    assert (made.returncode, made.stderr) == (0, "")
    symbols = subprocess.run(["nm", "-u", str(tmp_path / "network.o")], capture_output=True, text=True).stdout.split()
    assert set(symbols) - {"U"} <= {"memset", "memcpy", "_GLOBAL_OFFSET_TABLE_"}
    code = subprocess.run(["objdump", "-d", str(tmp_path / "network.o")], capture_output=True, text=True).stdout
    assert not re.search(r"\b(float|double)\b", (tmp_path / "network.c").read_text())
    assert "mulss" not in code


class Unbounded(Neuron):
    """It grows beyond all numbers."""

    rest: ClassVar[dict[str, float]] = {"u": 1.0}

    def constants(self):
        return ()

    def step(self, x, u):
        return torch.where(u > 0, 1.0, 0.0), u * u * 1e30 + 1


class Endless(Neuron):
    """Its potential is limited on one side alone, in a way that needs an infinite number."""

    rest: ClassVar[dict[str, float]] = {"u": 0.0}

    def constants(self):
        return ()

    def step(self, x, u):
        u = torch.clamp(u * 0.5 + x, -torch.inf, 5.0)
        return self.spike(u - 1), u


@pytest.mark.parametrize(
    ("network", "readout", "line"),
    [
        (
            Endless(),
            None,
            "c-int8: layer 1 (Endless, 3): its step has the constant -inf, which fixed point",
        ),
        (Unbounded(), None, "c-int8: layer 1 (Unbounded, 3): a value of its step becomes infinite or no number"),
        (LeakyIntegrator(), FirstSpike(), "c-int8: model.readout: FirstSpike of outputs that may be something else"),
    ],
)
def test_what_fixed_point_has_no_place_for_is_a_line_that_names_layer_and_setting(
    network: Neuron, readout: nn.Module | None, line: str
):
    task = task_of(SpikingSequential([nn.Linear(2, 3), network]), ConstantCurrent(16))
    subject = Subject(task, POINTS)
    if readout is not None:
        task.readout = readout
    with pytest.raises(Refused) as refusal:
        IntegerFile(subject, "network", FREE, POINTS)
    assert str(refusal.value).startswith(line)


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_a_weight_is_the_nearest_integer_of_its_channels_scale(bits: int):
    weight = torch.randn(5, 7, generator=torch.Generator().manual_seed(0)) * torch.tensor(
        [[1e-9], [1.0], [0.0], [3.0], [1e9]]
    )
    limit = 2 ** (bits - 1) - 1
    for rule in ("free", "power_of_two"):
        scales = weight_scales(weight, bits, rule)
        integers = weight_integers(weight, scales, bits)
        assert integers.abs().max() <= limit
        error = (integers * scales[:, None] - weight.double()).abs().amax(1)
        assert bool((error <= scales / 2).all())
        if rule == "power_of_two":
            assert scales.log2().equal(scales.log2().round())
        else:
            assert integers[[0, 1, 3, 4]].abs().amax(1).tolist() == [limit] * 4
