"""The C file gives what the network gives: sums of multiples of 1/64 are exact, so that no order of them matters."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn

from litspike.coding import (
    ConstantCurrent,
    DeltaModulation,
    EveryStep,
    FirstSpike,
    Latency,
    LeakyIntegratorReadout,
    LogarithmicLatency,
    MeanOverTime,
    Population,
    TimeFirst,
)
from litspike.export.artefact import Refused, Subject
from litspike.networks import (
    AxonalDelay,
    ConvNet,
    Pass,
    Perceptron,
    SEWResNet,
    SpikingNetwork,
    SpikingSequential,
    TimeDropout,
)
from litspike.networks.nir.layers import Threshold
from litspike.neurons import (
    IF,
    LIF,
    AdaptiveExponential,
    AdaptiveLIF,
    Izhikevich,
    LeakyIntegrator,
    Neuron,
    QuadraticIF,
    Recurrent,
    RefractoryLIF,
    ResonateAndFire,
    SynapticLIF,
)
from litspike.neurons.declaration import param
from tests.export.subjects import Drawing, c_file, dyadic, normalising, same, same_bits, task_of, written_and_run

POINTS = torch.tensor([[0.5, 2.25], [-1.0, 3.0], [0.0, 1.5]])
IMAGES = torch.randint(0, 24, (2, 2, 9, 7), generator=torch.Generator().manual_seed(1)) / 8
SEQUENCES = torch.randint(-8, 16, (3, 16, 4), generator=torch.Generator().manual_seed(2)) / 8


class Steep(Neuron):
    """A user's own: it keeps two states, and does what the table of operations has."""

    rest: ClassVar[dict[str, float]] = {"u": 0.25, "w": 0.0}
    leak: float = param(0.7, "[0, 1]", "share that remains")

    def constants(self):
        return self.leak, self.leak * 3

    def step(self, x, u, w, leak, limit):
        u = torch.where(x > 0, u * leak + x, torch.clamp(u - w.abs(), -1, 1))
        s = self.spike(torch.minimum(u, limit) - 1)
        return s, torch.maximum(u - s, -u.square()), torch.floor(w * 0.5) + s - torch.sign(x)


NEURONS = {
    "IF": IF(),
    "LIF": LIF(decay=0.9),
    "LIF, all otherwise": LIF(
        decay=0.8, reset="subtract", leak="before_input", input_gain="one_minus_decay", fires="above"
    ),
    "LIF, learned": LIF(learn={"decay": "neuron", "threshold": "layer"}, spread={"decay": 1.1}),
    "RefractoryLIF": RefractoryLIF(),
    "SynapticLIF": SynapticLIF(),
    "AdaptiveLIF": AdaptiveLIF(),
    "AdaptiveExponential": AdaptiveExponential(),
    "Izhikevich": Izhikevich(),
    "ResonateAndFire": ResonateAndFire(),
    "QuadraticIF": QuadraticIF(),
    "Steep": Steep(),
}
STRONG = {"AdaptiveExponential": 2000.0, "Izhikevich": 64.0}


@pytest.mark.parametrize("name", NEURONS)
def test_a_layer_of_any_declared_model_spikes_in_c_as_in_torch(name: str, tmp_path: Path):
    network = dyadic(Perceptron([2, 17, 3], NEURONS[name]))
    x = POINTS * STRONG.get(name, 1.0)
    task = task_of(network, ConstantCurrent(64))
    own, other = Subject(task, x).run(x), written_and_run(c_file(task, x), x, tmp_path)
    assert 0 < own.layers[0].mean() < 1
    assert same(own, other)


@pytest.mark.parametrize("model", [LIF(), AdaptiveLIF(learn={"decay": "neuron"})], ids=["LIF", "AdaptiveLIF"])
@pytest.mark.parametrize("bias", [False, True])
def test_a_recurrent_layer_spikes_in_c_as_in_torch(model: Neuron, bias: bool, tmp_path: Path):
    task = task_of(dyadic(Perceptron([2, 17, 5, 3], Recurrent(model, bias))), ConstantCurrent(32))
    own, other = Subject(task, POINTS).run(POINTS), written_and_run(c_file(task, POINTS), POINTS, tmp_path)
    assert 0 < own.layers[0].mean() < 1
    assert same(own, other)


def head(*layers: nn.Module) -> SpikingSequential:
    """Layers, and what follows them."""
    return SpikingSequential([*layers, nn.Flatten(), nn.LazyLinear(3)])


LAYERS = {
    "ConvNet": ConvNet([2, 9, 7], [4, "pool", 6], [8, 3], LIF(), batch_norm=False, dropout=0.5),
    "average": ConvNet([2, 9, 7], [4, "pool", 6], [8, 3], LIF(), pooling="average", batch_norm=False),
    "SEWResNet": SEWResNet([2, 8, 8], [4, 8], [2, 1], 3, LIF(threshold=0.5)),
    "strides": head(nn.Conv2d(2, 6, (3, 2), (2, 3), (1, 2), (1, 2), groups=2, bias=False), IF()),
    "same": head(nn.Conv2d(2, 4, (2, 3), padding="same"), IF(), nn.Conv2d(4, 2, 3, padding="valid"), IF()),
    "maximum": head(IF(), nn.MaxPool2d(3, 2, 1, dilation=2, ceil_mode=True), nn.AdaptiveMaxPool2d((2, 1))),
    "mean": head(IF(), nn.AvgPool2d(2, padding=1, divisor_override=2), nn.AvgPool2d((1, 2), (2, 1), (0, 1))),
    "adaptive": head(IF(), nn.AvgPool2d((8, 4), ceil_mode=True), nn.AdaptiveAvgPool2d((1, 2))),
    "functions": head(nn.Conv2d(2, 4, 3), nn.ReLU(), IF(), TimeDropout(0.3), nn.Identity()),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers_without_state_give_in_c_what_they_give_in_torch(name: str, tmp_path: Path):
    network = copy.deepcopy(LAYERS[name]).eval()
    x = IMAGES if name != "SEWResNet" else IMAGES[:, :, :8, [0, 1, 2, 3, 4, 5, 6, 0]]
    network(x[None])  # which makes the lazy weights
    task = task_of(dyadic(network), ConstantCurrent(4))
    own, other = Subject(task, x).run(x), written_and_run(c_file(task, x), x, tmp_path)
    assert 0 < own.layers[0].mean() < 1
    if name == "SEWResNet":  # whose batch norms are folded, with another rounding
        torch.testing.assert_close(other.values, own.values)
        assert all(
            (a.flatten() == b.flatten()).float().mean() > 0.99 for a, b in zip(own.layers, other.layers, strict=True)
        )
    else:
        assert same(own, other)


@pytest.mark.parametrize("pooling", ["max", "average"])
def test_a_network_over_one_dimension_gives_in_c_what_it_gives_in_torch(pooling: str, tmp_path: Path):
    x = IMAGES[..., 0]
    network = dyadic(ConvNet([2, 9], [4, "pool", 6], [8, 3], LIF(), pooling=pooling, batch_norm=False))
    task = task_of(network, ConstantCurrent(4))
    assert same(Subject(task, x).run(x), written_and_run(c_file(task, x), x, tmp_path))


class TwoPaths(SpikingNetwork):
    """A user's own network: its layers meet in a sum, and one of them is used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.left = SpikingSequential([nn.Linear(2, 12), IF()])
        self.right, self.neurons, self.last = nn.Linear(2, 12), LIF(decay=0.5), nn.Linear(12, 3)

    def through(self, x: Tensor, apply: Pass) -> Tensor:
        right = apply(self.right, x)
        return apply(self.last, apply(self.left, x) + apply(self.neurons, right + apply(self.neurons, right)))


def test_a_network_of_ones_own_whose_paths_meet_gives_in_c_what_it_gives_in_torch(tmp_path: Path):
    task = task_of(dyadic(TwoPaths()))
    own, other = Subject(task, POINTS).run(POINTS), written_and_run(c_file(task, POINTS), POINTS, tmp_path)
    assert len(own.layers) == 3
    assert same(own, other)


def late(longest: float = 5.0) -> SpikingSequential:
    """Delays before neurons and after them, none among them, and thresholds of each one's own."""
    delays = [min(float(neuron % 4), longest) for neuron in range(12)]
    return SpikingSequential([
        AxonalDelay([2], 5, [min(2.0, longest), longest], learn=False), nn.Linear(2, 12), LIF(),
        AxonalDelay([12], 5, delays, learn=False), Threshold(torch.linspace(-0.5, 1.5, 12)), nn.Linear(12, 3), IF(),
    ])  # fmt: skip


@pytest.mark.parametrize("longest", [5.0, 0.0])
def test_delays_and_thresholds_give_in_c_what_they_give_in_torch(longest: float, tmp_path: Path):
    task = task_of(dyadic(late(longest)), ConstantCurrent(12))
    own, other = Subject(task, POINTS).run(POINTS), written_and_run(c_file(task, POINTS), POINTS, tmp_path)
    assert all(0 < layer.mean() < 1 for layer in own.layers)
    assert same(own, other)


CODINGS = {
    "mean of a sequence": (4, TimeFirst(), MeanOverTime(), SEQUENCES),
    "last": (4, TimeFirst(), LeakyIntegratorReadout("last"), SEQUENCES),
    "max": (4, TimeFirst(), LeakyIntegratorReadout("max", LeakyIntegrator(decay=0.5)), SEQUENCES),
    "every step": (4, TimeFirst(), EveryStep(), SEQUENCES),
    "every potential": (
        *(4, TimeFirst()),
        EveryStep(LeakyIntegrator(tau=3.0, learn={"tau": "neuron"}, spread={"tau": 2}), 3),
        SEQUENCES,
    ),
    "changes": (8, DeltaModulation(0.5), MeanOverTime(), SEQUENCES),
    "latency": (2, Latency(16, 0.1), FirstSpike(LIF(decay=0.5), tau=2.0), torch.rand(20, 2)),
    "logarithmic": (2, LogarithmicLatency(16), FirstSpike(IF()), torch.rand(20, 2) * 5),
}


@pytest.mark.parametrize("name", CODINGS)
def test_encoders_and_readouts_give_in_c_what_they_give_in_torch(name: str, tmp_path: Path):
    inputs, encoder, readout, x = CODINGS[name]
    task = task_of(dyadic(Perceptron([inputs, 16, 3], IF(threshold=0.5))), encoder, readout)
    own, other = Subject(task, x).run(x), written_and_run(c_file(task, x), x, tmp_path)
    assert 0 < own.layers[0].mean() < 1
    assert same(own, other)


@pytest.mark.parametrize("encoder", [TimeFirst(), DeltaModulation(0.1), ConstantCurrent(5), Latency(8, 0.1)])
def test_receptive_fields_respond_in_c_as_in_torch_to_a_rounding(encoder: nn.Module, tmp_path: Path):
    moving = isinstance(encoder, (TimeFirst, DeltaModulation))
    x = SEQUENCES.abs() if moving else SEQUENCES[:, 0].abs()
    inputs = 4 * 8 * (2 if isinstance(encoder, DeltaModulation) else 1)
    task = task_of(Perceptron([inputs, 16, 3], IF()), Population(encoder, fields=8, high=2.0))
    artefact = c_file(task, x)
    other = written_and_run(artefact, x, tmp_path)
    (_, exact), own = artefact.exact(), Subject(task, x).run(x)
    assert same_bits(exact(x), other)
    torch.testing.assert_close(other.values, own.values, atol=1e-5, rtol=0)


def test_the_folded_batch_norm_is_that_of_the_double_precision_formula():
    network = normalising(Perceptron([2, 5, 3], LIF(), batch_norm=True)).eval()
    task = task_of(network)
    operation = c_file(task, POINTS).operations[0]
    linear, norm = network.layers[0], network.layers[1]
    scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    torch.testing.assert_close(operation.weight.double(), linear.weight.double() * scale[:, None], rtol=1e-6, atol=0)
    torch.testing.assert_close(operation.bias.double(), norm.bias - norm.running_mean * scale, rtol=1e-5, atol=1e-7)


def test_a_batch_norm_that_follows_no_weights_scales_each_channel(tmp_path: Path):
    network = normalising(SpikingSequential([nn.BatchNorm2d(2), IF(), nn.Flatten(), nn.Linear(126, 3)]))
    task = task_of(network)
    artefact = c_file(task, IMAGES)
    other = written_and_run(artefact, IMAGES, tmp_path)
    assert same_bits(artefact.exact()[1](IMAGES), other)
    torch.testing.assert_close(other.values, Subject(task, IMAGES).run(IMAGES).values)


class Own(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * 2


class Halved(SpikingNetwork):
    def through(self, x: Tensor, apply: Pass) -> Tensor:
        return x * 0.5


class Concatenated(SpikingNetwork):
    def through(self, x: Tensor, apply: Pass) -> Tensor:
        return torch.cat([x, x], -1)


def hooked() -> nn.Module:
    layer = nn.Linear(2, 3)
    layer.register_forward_hook(lambda *_: None)
    return SpikingSequential([layer])


REFUSED = {
    "layers.0 (LayerNorm): there is no C for a LayerNorm": SpikingSequential([nn.LayerNorm(2)]),
    "layers.0 (Hardtanh): there is no C for a Hardtanh": SpikingSequential([nn.Hardtanh()]),
    "layers.0 (Softmax): there is no C for a Softmax": SpikingSequential([nn.Softmax(-1)]),
    "layers.0 (Own): there is no C for a Own": SpikingSequential([Own(2, 3)]),
    "layers.1 (BatchNorm1d): track_running_stats: false": SpikingSequential(
        [IF(), nn.BatchNorm1d(2, track_running_stats=False)]
    ),
    "layers.1 (Conv1d): padding_mode: circular": SpikingSequential(
        [nn.Unflatten(1, (1, 2)), nn.Conv1d(1, 2, 1, padding_mode="circular")]
    ),
    "layers.0 (Linear): a hook": hooked(),
    "layer 1 (Drawing, 2): its step can't be traced": SpikingSequential([Drawing()]),
    "model.network: its through takes .__mul__": Halved(),
    "model.network: its through calls cat": Concatenated(),
}


@pytest.mark.parametrize("line", REFUSED)
@pytest.mark.filterwarnings("ignore")
def test_what_has_no_c_is_refused_by_a_line_that_names_layer_and_setting(line: str):
    with pytest.raises(Refused, match=r"^c: ") as refusal:
        c_file(task_of(REFUSED[line]), POINTS)
    assert str(refusal.value).startswith(f"c: {line}")
