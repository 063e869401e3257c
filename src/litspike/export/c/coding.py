"""Encoder and readout in C: what a sample becomes step by step, and what becomes of the network's outputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

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
from litspike.engine import exp
from litspike.engine.ir.nest import Kind
from litspike.engine.ir.program import Program
from litspike.export.artefact import Refused, Subject, forward_of
from litspike.export.c.lower import FORMAT, neurons_of
from litspike.export.c.operations import Neurons
from litspike.export.traced import traced
from litspike.tasks import Regression, Task

_STILL = {ConstantCurrent.forward: "constant", Latency.forward: "latency", LogarithmicLatency.forward: "latency"}
_MOVING = {TimeFirst.forward: "sequence", DeltaModulation.forward: "delta"}


@dataclass(frozen=True)
class Fields:
    """Receptive fields: each number of a sample becomes the responses of all of them."""

    program: Program
    centres: Tensor


@dataclass(frozen=True)
class Encoder:
    """What a sample becomes step by step."""

    kind: str
    """``constant``, ``latency``, ``sequence`` or ``delta``."""
    steps: int | None
    """T; None where it is that of the sample."""
    sample: int
    """Numbers in a sample, or in one step of it."""
    coded: int
    """The same after the receptive fields."""
    size: int
    """Numbers that the network gets at one step."""
    fields: Fields | None
    module: nn.Module
    """The encoder without its fields."""

    @property
    def threshold(self) -> float:
        """Of a change, where changes are spikes."""
        module: Any = self.module
        return float(module.threshold)

    def least(self) -> Tensor:
        """For each step, the least number whose spike has come by then; infinite where there is none, [T].

        The larger the number the earlier its spike, so that these say all that the encoder does, to the last bit.
        """
        assert self.steps is not None
        most = 1.0 if isinstance(self.module, Latency) else torch.finfo(torch.float32).max
        step = torch.arange(self.steps)
        low = torch.zeros(self.steps, dtype=torch.int32)
        high = torch.full((self.steps,), most).view(torch.int32) + 1  # whose bits are in the order of the numbers
        while bool((low < high).any()):
            middle = low + (high - low) // 2
            number = torch.where(low < high, middle, 0).view(torch.float32)
            spikes: Tensor = self.module(number[None])[:, 0]  # [T, T]
            came = torch.where(spikes.any(0), spikes.argmax(0), self.steps) <= step
            high = torch.where((low < high) & came, middle, high)
            low = torch.where((low < high) & ~came, middle + 1, low)
        found = torch.where(high.view(torch.float32) <= most, high.view(torch.float32), torch.inf)
        return found

    def respond(self, x: Tensor) -> Tensor:
        """The encoder in the order of C's operations, [B, *] → [T, B, *]."""
        if self.fields is not None:
            x = _response(x.unsqueeze(-1), self.fields.centres, self.narrowness).flatten(-2)
        result: Tensor = self.module(x)
        return result

    narrowness: float = 0.0
    """What the distance from a centre is multiplied by."""


def encoder_of(subject: Subject) -> Encoder:
    """The encoder of a task; raises :class:`Refused` where C has none."""
    module: Any = subject.task.encoder
    x = subject.samples
    fields, scale = None, 0.0
    if forward_of(module) is Population.forward:
        if x.dim() < 2:
            raise Refused(FORMAT, "model.encoder", "Population of samples of single numbers")
        scale = module.gamma / ((module.high - module.low) / (module.fields - 2))
        fields = _fields(module, scale)
        module = module.encoder
    name, forward = type(module).__name__, forward_of(module)
    if forward not in _STILL and forward not in _MOVING:
        known = "ConstantCurrent, TimeFirst, DeltaModulation, Latency, LogarithmicLatency, Population"
        raise Refused(FORMAT, "model.encoder", f"{name} is none of those without random numbers: {known}")
    moving = forward in _MOVING
    if moving and x.dim() == 2 and fields is not None:
        raise Refused(
            FORMAT, "model.encoder", "Population of sequences of single numbers, without a dimension for them"
        )
    sample = x[0].numel() // (x.shape[1] if moving else 1)
    coded = sample * (1 if fields is None else len(fields.centres))
    kind = _MOVING[forward] if moving else _STILL[forward]
    size = subject.encoded_shape.numel()
    return Encoder(kind, None if moving else module.steps, sample, coded, size, fields, module, scale)


def _fields(module: Population, scale: float) -> Fields:
    spacing = (module.high - module.low) / (module.fields - 2)
    centres = module.low + (torch.arange(module.fields, dtype=torch.float32) - 0.5) * spacing

    def step(x: Tensor, centre: Tensor) -> tuple[Tensor]:
        return (_response(x, centre, scale),)

    return Fields(traced(FORMAT, "model.encoder", step, 0, [Kind.PER_NEURON]), centres)


def _response(x: Tensor, centre: Tensor, narrowness: float) -> Tensor:
    return exp(((x - centre) * narrowness).square().mul(-0.5))


@dataclass(frozen=True)
class Readout:
    """What becomes of the network's outputs: ``kind`` of them, or of the outputs of neurons that take them in."""

    kind: str
    """``mean``, ``max``, ``last``, ``every`` or ``first``, the steps before the first spike."""
    size: int
    neurons: Neurons | None
    tau: float
    scale: tuple[Tensor, Tensor] | None
    """Mean and standard deviation of the targets, each [size] in double precision."""

    def read(self, outputs: Tensor) -> Tensor:
        """The readout in the order of C's operations, [T, B, N] → [B, *], in the unit of the readout."""
        if self.neurons is not None:
            layer: Any = self.neurons.layer
            outputs = layer(outputs)[0]
        if self.kind == "every":
            return outputs.transpose(0, 1)
        if self.kind == "first":
            alive, total = torch.ones_like(outputs[0]), torch.zeros_like(outputs[0])
            for spikes in outputs:
                alive = alive * (1 - spikes)
                total = total + alive
            return total / -self.tau
        if self.kind != "mean":
            return outputs.amax(0) if self.kind == "max" else outputs[-1]
        total = torch.zeros_like(outputs[0])
        for output in outputs:
            total = total + output
        return total / len(outputs)


def readout_of(subject: Subject) -> Readout:
    """The readout of a task; raises :class:`Refused` where C has none."""
    module: Any = subject.task.readout
    shape = subject.answer.outputs.shape[2:]
    forward, name, tau = forward_of(module), type(module).__name__, 1.0
    inside: Any = None
    if forward is MeanOverTime.forward:
        kind = "mean"
    elif forward is LeakyIntegratorReadout.forward:
        kind, inside = module.read, module.integrator
    elif forward is EveryStep.forward:
        kind, inside = "every", module.integrator
    elif forward is FirstSpike.forward:
        kind, inside, tau = "first", module.neuron, module.tau
    else:
        known = "MeanOverTime, LeakyIntegratorReadout, EveryStep, FirstSpike"
        raise Refused(FORMAT, "model.readout", f"{name} is none of {known}")
    neurons = None
    if inside is not None:
        about: dict[str, Any] = {"inputs": (0,), "output": 0, "size": shape.numel(), "name": "readout"}
        neurons = Neurons(**about, **neurons_of(inside, shape, "model.readout"))
        if neurons.recurrent:
            raise Refused(FORMAT, "model.readout", "its neurons are connected to themselves")
    return Readout(kind, shape.numel(), neurons, tau, _scale(subject.task, shape.numel()))


def _scale(task: Task, size: int) -> tuple[Tensor, Tensor] | None:
    own = type(task).in_unit
    if own is Task.in_unit:
        return None
    if own is not Regression.in_unit or not isinstance(task, Regression):
        raise Refused(FORMAT, "model", f"{type(task).__name__} has an in_unit of its own")
    state = task.targets.get_extra_state()
    if not state.numel():
        return None
    mean, deviation = state.double()
    return mean.expand(size), deviation.expand(size)
