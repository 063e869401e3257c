"""A network in integers, as data: what the printer to C and the twin in torch both read."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from litspike.engine.ir.nest import Kind, Leaf
from litspike.engine.ir.program import Program
from litspike.engine.ir.trace import trace
from litspike.export.artefact import Answer, Refused
from litspike.export.c.coding import Encoder, Readout
from litspike.export.c.operations import Convolution, Neurons, Operation, Pooling, Product, Scale, Sum, watched_neurons
from litspike.export.integer.fixed import SPIKES, Fixed, Settings, as_multipliers, as_shifts, format_for
from litspike.export.integer.lower import Place, Room, Step, lowered
from litspike.export.integer.measure import Ranges
from litspike.networks.quantised import weight_integers, weight_scales

_WORD = (1 << 31) - 1
_BIAS = 1 << 29
"""What a bias may add to a sum at most."""
_SAMPLE = 16
"""Bits of a number that is multiplied by weights, with its sign."""


class Weights(NamedTuple):
    """A product or convolution in integers: sums of weights, then scaled to the format of what it gives."""

    integers: Tensor
    """[O, *]."""
    bias: Tensor | None
    """[O], in the unit of the sums."""
    multiplier: Tensor | None
    """Of each sum, [O]; None where all are powers of two."""
    shift: Tensor
    """What it is then divided by, as a power of two, rounded to nearest, [O]. Below 0 only without a multiplier."""
    result: Fixed


@dataclass(frozen=True)
class Plan:
    """A network in integers: the operations, and for each what it is in integers, by the tensor that it puts out."""

    settings: Settings
    operations: list[Operation]
    output: int
    encoder: Encoder
    readout: Readout
    sample: Fixed
    formats: dict[int, Fixed] = field(default_factory=dict)
    """Of each tensor."""
    weights: dict[int, Weights] = field(default_factory=dict)
    """Of products and convolutions, and of the feedback of recurrent layers."""
    steps: dict[int, Step] = field(default_factory=dict)
    """Of neurons, functions, sums and scales."""
    states: dict[int, tuple[Fixed, ...]] = field(default_factory=dict)
    inside: dict[str, Step] = field(default_factory=dict)
    """The readout's neurons and the encoder's receptive fields."""

    @property
    def coded(self) -> Fixed:
        """Format of the sample after the receptive fields."""
        return self.inside["encoder"].formats[0] if "encoder" in self.inside else self.sample

    @property
    def values(self) -> Fixed:
        """Format of what the readout takes in."""
        return self.inside["readout"].formats[0] if "readout" in self.inside else self.formats[self.output]

    def meaning(self, answer: Answer, steps: int, in_unit: Callable[[Tensor], Tensor]) -> Answer:
        """What the integers of an answer stand for, in double precision.

        Args:
            answer: integers.
            steps: of the samples.
            in_unit: from the readout's values to the unit of the targets.
        """
        forms = [self.formats[layer.output] for layer in watched_neurons(self.operations)]
        return Answer(
            in_unit(answer.values.double() * self.value_unit(steps)),
            self.formats[self.output].numbers(answer.outputs),
            [form.numbers(layer) for form, layer in zip(forms, answer.layers, strict=True)],
        )

    def value_unit(self, steps: int) -> float:
        """What an integer of the answer stands for, of a sample of so many steps."""
        if self.readout.kind == "first":
            return -1 / self.readout.tau
        return self.values.unit / (steps if self.readout.kind == "mean" else 1)


def plan_of(
    format: str,
    settings: Settings,
    operations: list[Operation],
    output: int,
    coding: tuple[Encoder, Readout],
    ranges: Ranges,
) -> Plan:
    """A network in integers.

    Args:
        format: name of the format, for the line that refuses.
        settings: how.
        operations: in the order of their use.
        output: number of the tensor that comes out.
        coding: encoder and readout.
        ranges: how large its numbers become.

    Raises:
        Refused: for what fixed point has no place for.
    """
    planner = _Planner(format, settings, ranges)
    return planner.plan_of(operations, output, *coding)


class _Planner:
    """Makes a plan, operation after operation."""

    plan: Plan

    def __init__(self, format: str, settings: Settings, ranges: Ranges) -> None:
        self.format, self.settings, self.ranges = format, settings, ranges
        self._scales: dict[int, tuple[Tensor, Tensor]] = {}  # and the integers

    def plan_of(self, operations: list[Operation], output: int, encoder: Encoder, readout: Readout) -> Plan:
        for operation in operations:
            weight = getattr(operation, "weight", None)
            if weight is not None:
                scales = weight_scales(weight, self.settings.bits, self.settings.scale)
                self._scales[operation.output] = scales, weight_integers(weight, scales, self.settings.bits)
        self._most = self._largest_integers(operations, output, encoder, readout)
        for number, seen in self.ranges.tensors.items():
            if not math.isfinite(seen):
                name = "the input" if number == 0 else next(op.about for op in operations if op.output == number)
                raise Refused(self.format, name, "it becomes infinite or no number, which has no place in fixed point")
        sample, first, inside = self._encoded(encoder)
        self.plan = Plan(self.settings, operations, output, encoder, readout, sample, {0: first}, inside=inside)
        for operation in operations:
            self._add(operation)
        if readout.neurons is not None:
            self.plan.inside["readout"] = self._readout(readout, self.plan.formats[output])
        if readout.kind == "first" and self.plan.values != SPIKES:
            raise Refused(self.format, "model.readout", "FirstSpike of outputs that may be something else than 0 and 1")
        return self.plan

    def _largest_integers(
        self, operations: list[Operation], output: int, encoder: Encoder, readout: Readout
    ) -> dict[int, Room]:
        """Number of each tensor → its bits, and the largest integer with which no sum of its products overflows."""
        found = {operation.output: Room(self.settings.states, _WORD) for operation in operations}
        found[0] = Room(_SAMPLE, _WORD)
        if readout.kind == "mean":
            found[output] = _room_of_mean(encoder.steps)
        for operation in reversed(operations):
            taken = [operation.output] if isinstance(operation, Neurons) and operation.recurrent else []
            taken += list(operation.inputs) if isinstance(operation, (Product, Convolution)) else []
            for number in taken:
                sums = self._scales[operation.output][1].abs().flatten(1).sum(1).max()
                bits, most = found[number]
                found[number] = Room(min(bits, _SAMPLE), min(most, (_WORD - _BIAS) // max(int(sums), 1)))
            if isinstance(operation, Pooling):
                (number,) = operation.inputs
                (bits, most), (own, room) = found[number], found[operation.output]
                found[number] = Room(min(bits, own), min(most, room))
        return found

    def _encoded(self, encoder: Encoder) -> tuple[Fixed, Fixed, dict[str, Step]]:
        """Formats of the sample and of the network's input, and the receptive fields."""
        bits, most = self._most[0]
        spikes = encoder.kind in ("latency", "delta")
        first = SPIKES if spikes else format_for(self.ranges.tensors[0], bits, most)
        if encoder.fields is None:
            sample = first
            if spikes:
                sample = format_for(self.ranges.tensors[-1], _SAMPLE)
            return sample, first, {}
        sample = format_for(self.ranges.tensors[-1], _SAMPLE)
        place = Place(self.format, "model.encoder")
        target = format_for(1.0, _SAMPLE) if spikes else first
        constants = [encoder.fields.centres.double()]
        largest = self.ranges.inside["encoder"]
        step = lowered(encoder.fields.program, [sample], [], constants, largest, target, self.settings.states, place)
        return sample, first, {"encoder": step}

    def _add(self, operation: Operation) -> None:
        plan, output = self.plan, operation.output
        given = [plan.formats[number] for number in operation.inputs]
        room = self._most[output]
        match operation:
            case Product() | Convolution():
                result = format_for(self.ranges.tensors[output], *room)
                plan.weights[output] = self._weights(output, operation.bias, given[0], result)
                plan.formats[output] = result
            case Pooling():
                plan.formats[output] = given[0] if operation.maximum else _averaged(operation, given[0], room)
            case Neurons():
                self._neurons(operation, given[0], room)
            case Sum():
                self._elementwise(operation, given, room, _identity(), ())
            case Scale():
                size = operation.size // len(operation.factor)
                factors = [part.double().repeat_interleave(size) for part in (operation.factor, operation.offset)]
                self._elementwise(operation, given, room, _affine(), factors)

    def _elementwise(
        self, operation: Operation, given: list[Fixed], room: Room, program: Program, constants: Sequence[Tensor]
    ) -> None:
        place = Place(self.format, operation.about)
        seen = self.ranges.tensors[operation.output]
        apart = float(constants[1].abs().max()) if len(constants) else 0.0  # a product is the result less the offset
        largest = [seen + apart] * len(program.nodes)
        largest[program.outputs[0]] = seen
        step = lowered(program, given, [], constants, largest, room, self.settings.states, place)
        self.plan.steps[operation.output], self.plan.formats[operation.output] = step, step.formats[0]

    def _neurons(self, operation: Neurons, given: Fixed, room: Room) -> None:
        output, values = operation.output, self.ranges.values[operation.output]
        inputs = [given]
        target: Fixed | Room = room
        if operation.recurrent:
            target = self._step(operation, inputs, values, room, operation.about).formats[0]  # as without feedback
            feedback = format_for(self.ranges.feedback[output], self.settings.states)
            self.plan.weights[output] = self._weights(output, operation.bias, target, feedback)
            inputs.append(feedback)
        step = self._step(operation, inputs, values, target, operation.about)
        self.plan.steps[output], self.plan.formats[output] = step, step.formats[0]
        self.plan.states[output] = step.formats[1:]

    def _step(
        self, neurons: Neurons, inputs: list[Fixed], largest: list[float], target: Fixed | Room, name: str
    ) -> Step:
        program, bits = neurons.program, self.settings.states
        states = [
            format_for(max(largest[1 + index], largest[program.outputs[1 + index]]), bits)
            for index in range(program.states)
        ]
        return lowered(program, inputs, states, neurons.constants, largest, target, bits, Place(self.format, name))

    def _readout(self, readout: Readout, given: Fixed) -> Step:
        assert readout.neurons is not None
        largest = self.ranges.inside["readout"]
        room = Room(self.settings.states, _WORD)
        if readout.kind == "mean":
            room = _room_of_mean(self.plan.encoder.steps)
        return self._step(readout.neurons, [given], largest, room, "model.readout")

    def _weights(self, number: int, bias: Tensor | None, given: Fixed, result: Fixed) -> Weights:
        scales, integers = self._scales[number]
        added = None
        if bias is not None:
            unscaled = bias.double() * 2.0**given.fraction
            over = unscaled.abs() / scales > _BIAS  # of weights that are nothing beside their bias
            if bool(over.any()):
                power = self.settings.scale == "power_of_two"
                wider = unscaled.abs() / _BIAS
                wider = torch.exp2(torch.ceil(torch.log2(wider))) if power else wider
                weight = integers * scales.view(-1, *[1] * (integers.dim() - 1))
                scales = torch.where(over, wider, scales)
                integers = weight_integers(weight, scales, self.settings.bits)
            added = torch.floor(unscaled / scales + 0.5).long()
        ratio = scales * 2.0 ** (result.fraction - given.fraction)
        multiplier, shift = as_shifts(ratio) if self.settings.scale == "power_of_two" else as_multipliers(ratio)
        return Weights(integers.long(), added, multiplier, shift, result)


def _room_of_mean(steps: int | None) -> Room:
    """With which the sum over all steps can't overflow; over as many as a sequence has it is limited."""
    return Room(_SAMPLE, _WORD if steps is None else _WORD // steps)


def _averaged(operation: Pooling, given: Fixed, room: Room) -> Fixed:
    """Format of an average: as many further places as say it exactly, or as there is room for."""
    sizes = {a * b for a in operation.rows.sizes for b in operation.columns.sizes}
    exact = all(size & (size - 1) == 0 for size in sizes)
    most = min(room.most, (1 << (room.bits - 1)) - 1)
    places = max(sizes).bit_length() - 1 if exact else _SAMPLE - 2
    while places and given.largest << places > most:
        places -= 1
    return Fixed(given.fraction + places, given.low << places, given.high << places)


def _identity() -> Program:
    return trace(lambda x: (x,), 0, [Leaf(Kind.PER_STEP)], torch.float32)


def _affine() -> Program:
    constant = Leaf(Kind.PER_NEURON)
    return trace(lambda x, factor, offset: (x * factor + offset,), 0, [Leaf(Kind.PER_STEP), constant, constant],
                 torch.float32)  # fmt: skip
