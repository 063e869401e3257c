"""Networks drawn from a seed: the C file gives every bit that it must, in floating point and in integers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from litspike.coding import ConstantCurrent, DeltaModulation, LeakyIntegratorReadout, MeanOverTime, TimeFirst
from litspike.export.artefact import Subject
from litspike.export.c import CFile
from litspike.export.integer.file import IntegerFile
from litspike.export.integer.fixed import Settings
from litspike.networks import AxonalDelay, ConvNet, Pass, Perceptron, SEWResNet, SpikingNetwork, SpikingSequential
from litspike.neurons import (
    IF,
    LIF,
    AdaptiveExponential,
    AdaptiveLIF,
    BalancedResonateAndFire,
    GradedLIF,
    Izhikevich,
    LeakyIntegrator,
    Neuron,
    QuadraticIF,
    Recurrent,
    RefractoryLIF,
    ResonateAndFire,
    SymplecticAdaptiveLIF,
    SynapticLIF,
)
from litspike.tasks import Task
from tests.export.subjects import c_file, compiled_and_run, normalising, same_bits, task_of

pytestmark = [pytest.mark.integration, pytest.mark.slow]


class Draw:
    """Choices from a seed."""

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)

    def below(self, count: int) -> int:
        return int(torch.randint(count, (), generator=self.generator))

    def one(self, values: list[Any]) -> Any:
        return values[self.below(len(values))]

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=self.generator))

    def maybe(self) -> bool:
        return bool(self.below(2))

    def numbers(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self.generator) * 1.5 + 0.5


MODELS: dict[type[Neuron], Callable[[Draw], Neuron]] = {
    IF: lambda draw: IF(threshold=draw.between(0.3, 1.5), reset=draw.one(["zero", "subtract"])),
    LIF: lambda draw: LIF(
        decay=draw.between(0.3, 1.0), threshold=draw.between(0.3, 1.5), reset=draw.one(["zero", "subtract"]),
        leak=draw.one(["before_input", "after_reset", "before_reset"]), fires=draw.one(["at", "above"]),
        input_gain=draw.one(["one", "one_minus_decay"]), learn=draw.one([None, {"decay": "neuron"}]),
    ),
    LeakyIntegrator: lambda draw: LeakyIntegrator(decay=draw.between(0.3, 1.0)),
    RefractoryLIF: lambda draw: RefractoryLIF(refractory=float(draw.below(4))),
    SynapticLIF: lambda draw: SynapticLIF(decay=draw.between(0.3, 0.99), synapse_decay=draw.between(0.1, 0.9)),
    AdaptiveLIF: lambda draw: AdaptiveLIF(adaptation=draw.between(0.0, 1.0)),
    GradedLIF: lambda draw: GradedLIF(decay=draw.between(0.3, 1.0), threshold=draw.between(0.3, 1.5)),
    ResonateAndFire: lambda draw: ResonateAndFire(),
    BalancedResonateAndFire: lambda draw: BalancedResonateAndFire(),
    SymplecticAdaptiveLIF: lambda draw: SymplecticAdaptiveLIF(),
    QuadraticIF: lambda draw: QuadraticIF(),
    Izhikevich: lambda draw: Izhikevich(),
    AdaptiveExponential: lambda draw: AdaptiveExponential(),
}  # fmt: skip


def neurons(draw: Draw) -> Neuron | Recurrent:
    model = MODELS[draw.one(list(MODELS))](draw)
    return Recurrent(model, bias=draw.maybe()) if draw.below(3) == 0 else model


class Residual(SpikingNetwork):
    """Two layers of neurons whose outputs are added."""

    def __init__(self, draw: Draw, size: int) -> None:
        super().__init__()
        self.one = SpikingSequential([nn.Linear(size, 7), neurons(draw).shaped(7)])
        self.two = SpikingSequential([nn.Linear(7, 7, bias=draw.maybe()), neurons(draw).shaped(7)])
        self.last = nn.Linear(7, 3)

    def through(self, x: Tensor, apply: Pass) -> Tensor:
        one = apply(self.one, x)
        return apply(self.last, one + apply(self.two, one))


def chain(draw: Draw, size: int) -> SpikingNetwork:
    return Perceptron([size, *(3 + draw.below(9) for _ in range(1 + draw.below(3))), 3], neurons(draw),
                      batch_norm=draw.maybe())  # fmt: skip


def delayed(draw: Draw, size: int) -> SpikingNetwork:
    delay = AxonalDelay([6], 5, [draw.between(0.0, 5.0) for _ in range(6)], learn=draw.maybe())
    return SpikingSequential([nn.Linear(size, 6), neurons(draw).shaped(6), delay, nn.Linear(6, 3)])


def image(draw: Draw) -> SpikingNetwork:
    neuron = draw.one(list(MODELS))
    if draw.maybe():
        return SEWResNet([2, 6, 6], [3, 4], [1, 1], 3, MODELS[neuron](draw))
    channels: list[int | str] = [2 + draw.below(3), "pool", 3]
    pooling = draw.one(["max", "average"])
    return ConvNet([2, 6, 6], channels, [5, 3], MODELS[neuron](draw), pooling=pooling, batch_norm=draw.maybe())


def drawn(seed: int) -> tuple[Task, Tensor]:
    """A network with encoder and readout, and samples for it."""
    draw = Draw(seed)
    torch.manual_seed(seed)
    readout = draw.one([MeanOverTime, LeakyIntegratorReadout])()
    kind = draw.below(5)
    strength = draw.one([1.0, 1.0, 8.0])
    if kind == 4:
        x = draw.numbers(3, 2, 6, 6) * strength
        return task_of(normalising(image(draw)), ConstantCurrent(2 + draw.below(6)), readout), x
    size, steps = 1 + draw.below(5), 4 + draw.below(12)
    encoder = draw.one([TimeFirst, lambda: ConstantCurrent(steps), lambda: DeltaModulation(0.2)])()
    inputs = 2 * size if isinstance(encoder, DeltaModulation) else size
    network = [chain, chain, Residual, delayed][kind](draw, inputs)
    x = draw.numbers(3, size) if isinstance(encoder, ConstantCurrent) else draw.numbers(3, steps, size)
    return task_of(normalising(network), encoder, readout), x * strength


def check(file: CFile, x: Tensor, folder: Path) -> None:
    """What the compiled file gives is what it must give."""
    found = compiled_and_run(file, x, folder, ("-O1",))
    assert same_bits(file.exact()[1](x), found)


@pytest.mark.parametrize(
    "seed", [*range(6), *(pytest.param(seed, marks=pytest.mark.thorough) for seed in range(6, 60))]
)
def test_the_file_of_a_drawn_network_gives_every_bit(seed: int, tmp_path: Path):
    task, x = drawn(seed)
    draw = Draw(seed)
    check(c_file(task, x), x, tmp_path)
    settings = Settings(draw.one([4, 8]), draw.one(["free", "power_of_two"]), draw.one([16, 32]))
    check(IntegerFile(Subject(task, x), "network", settings, x), x, tmp_path)
