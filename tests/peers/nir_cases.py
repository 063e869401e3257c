"""Networks that leave for other libraries by NIR, and what these get as input."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from litspike.coding import TimeFirst
from litspike.export.artefact import Subject
from litspike.export.nir import NIRFile
from litspike.networks import SpikingSequential
from litspike.networks.stepwise import StepByStep, Use
from litspike.neurons import IF, LIF, LeakyIntegrator, Neuron, Recurrent, SynapticLIF
from litspike.neurons.affine import MultiSpikeLIF
from tests.export.subjects import dyadic, task_of

STEPS, BATCH = 30, 2


def chain(neuron: Callable[[], Neuron]) -> SpikingSequential:
    return SpikingSequential([nn.Linear(4, 8), neuron(), nn.Linear(8, 6), neuron()])


def image(neuron: Callable[[], Neuron], pooling: nn.Module) -> SpikingSequential:
    return SpikingSequential([
        nn.Conv2d(2, 3, 3, padding=1), neuron(), pooling, nn.Conv2d(3, 4, 3, padding=1), neuron(), nn.AvgPool2d(2),
        nn.Flatten(), nn.Linear(16, 6),
    ])  # fmt: skip


def recurrent(neuron: Neuron) -> SpikingSequential:
    return SpikingSequential([nn.Linear(4, 8), Recurrent(neuron, bias=True).shaped(8), nn.Linear(8, 6)])


def looped(neuron: Callable[[], Neuron]) -> SpikingSequential:
    """Two layers of neurons, the second with weights back to the first."""
    layers = nn.ModuleDict(
        {"one": neuron(), "on": nn.Linear(8, 6), "two": neuron(), "back": nn.Linear(6, 8, bias=False)}
    )
    uses = [
        Use("x", None, ()),
        Use("sum", None, ("x",), ("back",)),
        *(Use(name, name, (before,)) for before, name in pairwise(["sum", *layers])),
    ]
    loop = StepByStep(uses, "two", layers, {"back": (8,)})
    return SpikingSequential([nn.Linear(4, 8), loop, nn.Linear(6, 5)])


def several() -> Neuron:
    return MultiSpikeLIF(decay=0.75)


COMMON: dict[str, Callable[[], SpikingSequential]] = {
    "default": lambda: chain(LIF),
    "above": lambda: chain(lambda: LIF(decay=0.75, leak="before_input", fires="above", threshold=0.5)),
    "scaled": lambda: chain(lambda: LIF(decay=0.5, input_gain="one_minus_decay", threshold=0.25)),
    "integrate": lambda: chain(IF),
    "synaptic": lambda: chain(lambda: SynapticLIF(decay=0.75, synapse_decay=0.5)),
    "image": lambda: image(lambda: LIF(decay=0.75, threshold=0.5), nn.MaxPool2d(2)),
    "recurrent": lambda: recurrent(LIF(decay=0.75)),
    "loop": lambda: looped(lambda: LIF(decay=0.75, threshold=0.5)),
    "loop-synaptic": lambda: looped(lambda: SynapticLIF(decay=0.75, synapse_decay=0.5, threshold=0.5)),
    "recurrent-synaptic": lambda: recurrent(SynapticLIF(decay=0.75, synapse_decay=0.5)),
}
CASES: dict[str, dict[str, Callable[[], SpikingSequential]]] = {
    "snntorch": COMMON,
    "spikingjelly": COMMON,
    "norse": COMMON,
    "sinabs": {
        "several": lambda: chain(several),
        "integrate": lambda: chain(lambda: MultiSpikeLIF(decay=1.0)),
        "image": lambda: image(several, nn.AvgPool2d(2)),
        "integrator": lambda: SpikingSequential(
            [nn.Linear(4, 8), several(), nn.Linear(8, 6), LeakyIntegrator(decay=0.5)]
        ),
    },
}


def write(peer: str, name: str, folder: Path, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Write a case's file and input; the input and what the network itself makes of it, [T, B, *]."""
    torch.manual_seed(seed)
    network = dyadic(CASES[peer][name]())
    shape = (2, 8, 8) if name == "image" else (4,)
    x = (torch.rand(BATCH, STEPS, *shape) * 32).round() / 8
    subject = Subject(task_of(network, TimeFirst()), x)
    NIRFile(subject, name, dialect=peer).write(folder)
    current = x.transpose(0, 1).contiguous()
    np.save(folder / f"{name}.npy", current.numpy())
    return current, subject.run(x).outputs
