"""How large the numbers of a network become: it is run on samples in floating point, each operation by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from litspike.engine.ir.program import Program
from litspike.export.c.operations import Neurons
from litspike.export.c.twin import Twin

FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    **{"add": torch.add, "sub": torch.sub, "mul": torch.mul, "div": torch.div, "neg": torch.neg, "abs": torch.abs},
    **{"floor": torch.floor, "max": torch.maximum, "min": torch.minimum, "power_of_two": torch.exp2},
    **{"lt": torch.lt, "le": torch.le, "gt": torch.gt, "ge": torch.ge, "eq": torch.eq, "ne": torch.ne},
    **{"and": torch.logical_and, "or": torch.logical_or, "not": torch.logical_not},
    **{"float": lambda truth: truth.double(), "select": torch.where},
}
"""Each operation of a step, on numbers in double precision."""


class Ranges(NamedTuple):
    """The largest absolute values that were seen."""

    tensors: dict[int, float]
    """Of each tensor, by its number; of the samples by −1."""
    values: dict[int, list[float]]
    """Of each value of a step, by the number of the tensor that it puts out."""
    feedback: dict[int, float]
    """Of what a recurrent layer gives itself."""
    inside: dict[str, list[float]]
    """Of the values of the readout's neurons and of the encoder's receptive fields."""


@torch.no_grad()
def measured(twin: Twin, samples: Tensor) -> Ranges:
    r"""Run samples [B, \*], and note how large everything becomes."""
    tensors = twin.tensors(samples)
    seen = {number: largest(tensor) for number, tensor in tensors.items()}
    found = Ranges({-1: largest(samples), **seen}, {}, {}, {})
    for operation in twin.operations:
        if isinstance(operation, Neurons):
            values, feedback = largest_of(operation, tensors[operation.inputs[0]])
            found.values[operation.output], found.feedback[operation.output] = values, feedback
    if twin.readout.neurons is not None:
        found.inside["readout"], _ = largest_of(twin.readout.neurons, tensors[twin.output])
    fields = twin.encoder.fields
    if fields is not None:
        x = samples.double().unsqueeze(-1)
        responses = evaluated(fields.program, [x, fields.centres.double()])
        found.inside["encoder"] = [largest(response) for response in responses]
    return found


def largest(tensor: Tensor) -> float:
    """The largest absolute value; 0 of nothing."""
    return float(tensor.double().abs().max()) if tensor.numel() else 0.0


def largest_of(neurons: Neurons, x: Tensor) -> tuple[list[float], float]:
    """The largest absolute value of each value of a step, and of the feedback, for an input [T, B, N]."""
    found, feedback = [0.0] * len(neurons.program.nodes), 0.0
    for step in stepped(neurons, x):
        feedback = max(feedback, 0.0 if step.feedback is None else largest(step.feedback))
        found = [max(before, largest(value)) for before, value in zip(found, step.values, strict=True)]
    return found, feedback


class OneStep(NamedTuple):
    """A step of neurons in double precision."""

    given: Tensor
    """The input, [B, N]."""
    feedback: Tensor | None
    """What a recurrent layer gives itself."""
    before: Sequence[Tensor]
    """The states."""
    values: list[Tensor]
    """Every value of the step."""
    after: Sequence[Tensor]
    """The new states."""


def stepped(neurons: Neurons, x: Tensor) -> Iterator[OneStep]:
    """The steps of neurons for an input [T, B, N], each from the states that the one before left."""
    constants = [torch.as_tensor(value, dtype=torch.float64) for value in neurons.constants]
    states = [torch.as_tensor(value, dtype=torch.float64).expand(x.shape[1:]) for value in neurons.rest]
    last, back = torch.zeros(x.shape[1:], dtype=torch.float64), None
    for given in x.double():
        if neurons.weight is not None:
            back = last @ neurons.weight.double().T + (0 if neurons.bias is None else neurons.bias.double())
        values = evaluated(neurons.program, [given if back is None else given + back, *states, *constants])
        last, *after = (values[output].expand(x.shape[1:]) for output in neurons.program.outputs)
        yield OneStep(given, back, states, values, after)
        states = after


def evaluated(program: Program, leaves: Sequence[Tensor]) -> list[Tensor]:
    """Every value of a step in double precision; 0 for those that its results don't need."""
    zero: Any = torch.zeros((), dtype=torch.float64)
    values = [zero] * len(program.nodes)
    for value in program.needed(program.outputs):
        node = program.nodes[value]
        if node.operation == "leaf":
            values[value] = leaves[value]
        elif node.operation == "literal":
            values[value] = torch.tensor(float.fromhex(node.literal), dtype=torch.float64)
        else:
            values[value] = FUNCTIONS[node.operation](*(values[operand] for operand in node.operands))
    return values
