"""A network in integers, run in torch: what the C file must give to the last bit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from litspike.export.artefact import Answer
from litspike.export.c.operations import Convolution, Neurons, Operation, Pooling, watched_neurons
from litspike.export.c.twin import flat, padded, window_sizes, windows
from litspike.export.integer.cells import WORD
from litspike.export.integer.fixed import Fixed
from litspike.export.integer.lower import Step
from litspike.export.integer.plan import Plan, Weights

_MOST = (1 << WORD) - 1


class IntegerTwin:
    """A network in integers.

    Args:
        plan: the network.
        in_unit: from the readout's values to the unit of the targets.
    """

    def __init__(self, plan: Plan, in_unit: Callable[[Tensor], Tensor]) -> None:
        self.plan, self.in_unit = plan, in_unit
        self._limited: dict[int, list[int]] = {}  # numbers of each state at its bounds, then of all of one state

    @torch.no_grad()
    def __call__(self, x: Tensor) -> Answer:
        """Samples [B, *]. Layers and outputs are flat, [T, B, N]; all are numbers in double precision."""
        plan = self.plan
        tensors = {0: self.encoded(plan.sample.of(x))}
        for operation in plan.operations:
            tensors[operation.output] = self._run(operation, [tensors[number] for number in operation.inputs])
        layers = [tensors[layer.output] for layer in watched_neurons(plan.operations)]
        outputs = tensors[plan.output]
        return plan.meaning(Answer(self.read(outputs), outputs, layers), len(outputs), self.in_unit)

    def encoded(self, sample: Tensor) -> Tensor:
        """Samples as integers [B, *] → the network's input [T, B, N]."""
        encoder = self.plan.encoder
        if "encoder" in self.plan.inside:
            step = self.plan.inside["encoder"]
            sample = run_step(step, [sample.unsqueeze(-1)])[0].flatten(-2)
        match encoder.kind:
            case "constant":
                assert encoder.steps is not None
                return sample.flatten(1).expand(encoder.steps, -1, -1)
            case "sequence":
                return flat(sample.transpose(0, 1))
            case "latency":
                least = least_integers(encoder.least(), self.plan.coded)
                came = sample.flatten(1) >= least[:, None, None]
                before = torch.cat([torch.zeros_like(came[:1]), came[:-1]])
                return (came & ~before).long()
        threshold = change_of(encoder.threshold, self.plan.coded)
        moving = flat(sample.transpose(0, 1))
        change = torch.diff(moving, dim=0, prepend=moving[:1])
        return torch.cat([change > threshold, change < -threshold], -1).long()

    def _run(self, operation: Operation, given: list[Tensor]) -> Tensor:
        plan, x = self.plan, given[0]
        if isinstance(operation, Pooling):
            return _pooling(operation, x, plan.formats[operation.inputs[0]], plan.formats[operation.output])
        if isinstance(operation, Neurons):
            weights = plan.weights.get(operation.output)
            forms = plan.states[operation.output]
            states = [rest_of(value, form) for value, form in zip(operation.rest, forms, strict=True)]
            outputs, all_states = _over_time(plan.steps[operation.output], x, states, weights)
            self._note(operation.output, forms, all_states)
            return outputs
        if isinstance(operation, Convolution):
            return _convolution(operation, x, plan.weights[operation.output])
        if operation.output in plan.weights:
            return scaled(sums(x, plan.weights[operation.output]), plan.weights[operation.output])
        return run_step(plan.steps[operation.output], given)[0]

    def _note(self, number: int, forms: Sequence[Fixed], states: Sequence[Tensor]) -> None:
        before = self._limited.setdefault(number, [0] * (len(forms) + 1))
        counts = [int(((one == form.low) | (one == form.high)).sum()) for one, form in zip(states, forms, strict=True)]
        size = states[0].numel() if states else 0
        self._limited[number] = [old + new for old, new in zip(before, [*counts, size], strict=True)]

    def limited_shares(self, number: int) -> list[float]:
        """Share of the numbers of each state that lay at a bound, of the layer that puts out a tensor."""
        *counts, size = self._limited.get(number, [0] * (len(self.plan.states[number]) + 1))  # it may not have run
        return [count / max(size, 1) for count in counts]

    def read(self, outputs: Tensor) -> Tensor:
        """The readout's values as integers, [B, *], of outputs [T, B, N]."""
        readout = self.plan.readout
        if readout.neurons is not None:
            step = self.plan.inside["readout"]
            states = [rest_of(value, form) for value, form in zip(readout.neurons.rest, step.formats[1:], strict=True)]
            outputs, _ = _over_time(step, outputs, states, None)
        match readout.kind:
            case "every":
                return outputs.transpose(0, 1)
            case "max":
                return outputs.amax(0)
            case "last":
                return outputs[-1]
            case "first":
                return (1 - outputs).cumprod(0).sum(0)
        total = torch.zeros_like(outputs[0])
        for output in outputs:
            total = (total + output).clamp(-_MOST, _MOST)
        return total


def rest_of(value: float | Tensor, form: Fixed) -> Tensor:
    """The state before the first step as integers."""
    return form.of(torch.as_tensor(value, dtype=torch.float64))


def least_integers(least: Tensor, form: Fixed) -> Tensor:
    """The least integer of a sample whose spike has come, for each step, [T]; above all where there is none."""
    scaled = torch.ceil(least.double() / form.unit)
    return scaled.clamp(max=form.high + 1).long()


def change_of(threshold: float, form: Fixed) -> int:
    """The greatest integer that is no more than a change's threshold."""
    return int(min(threshold / form.unit // 1, 2 * form.high + 1))


def run_step(step: Step, leaves: Sequence[Tensor]) -> list[Tensor]:
    """The output and the new states of a step, for its inputs and states."""
    known: dict[int, Any] = {}
    given = [*leaves, *step.tables]
    for cell in step.needed():
        operation, operands, number, low, high = step.cells[cell]
        values = [known[operand] for operand in operands]
        known[cell] = _cell(operation, values, number, low, high, given)
    shape = leaves[0].shape
    outputs = [known[output] for output in step.outputs]
    return [output if output.dim() else output.expand(shape) for output in outputs]


_FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    **{"add": torch.add, "sub": torch.sub, "mul": torch.mul, "neg": torch.neg, "abs": torch.abs},
    **{"max": torch.maximum, "min": torch.minimum},
    **{"lt": torch.lt, "le": torch.le, "gt": torch.gt, "ge": torch.ge, "eq": torch.eq, "ne": torch.ne},
    **{"and": torch.mul, "or": torch.maximum, "not": lambda a: 1 - a},
    "select": lambda truth, one, other: torch.where(truth != 0, one, other),
}


def _cell(operation: str, given: list[Tensor], number: int, low: int, high: int, leaves: Sequence[Tensor]) -> Tensor:
    match operation:
        case "leaf":
            return leaves[number]
        case "literal":
            return torch.tensor(number)
        case "up":
            return given[0] << number
        case "down":
            return (given[0] + (1 << (number - 1))) >> number
        case "floor":
            return given[0] >> number
        case "saturate":
            return given[0].clamp(low, high)
        case "power":
            exponent = given[0] + number
            return torch.where(exponent < 0, 0, 1 << exponent.clamp(0, WORD - 1))
        case "divide":
            return _divided(given[0] << number, given[1])
    return _FUNCTIONS[operation](*given).long()


def _divided(a: Tensor, b: Tensor) -> Tensor:
    quotient = torch.div(a, torch.where(b == 0, 1, b), rounding_mode="trunc")
    return torch.where(b == 0, a.sign() * _MOST, quotient.clamp(-_MOST, _MOST))


def _over_time(
    step: Step, x: Tensor, states: list[Tensor], weights: Weights | None
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The outputs [T, B, N], and of each state the numbers after each step."""
    outputs, after, last = [], list[list[Tensor]](), torch.zeros_like(x[0])
    states = [state.expand(x.shape[1:]) for state in states]
    for given in x:
        feedback = [] if weights is None else [scaled(sums(last, weights), weights)]
        last, *states = run_step(step, [given, *feedback, *states])
        outputs.append(last)
        after.append(states)
    return torch.stack(outputs), tuple(map(torch.stack, zip(*after, strict=True)))


def sums(x: Tensor, weights: Weights) -> Tensor:
    """Sums of weights for an input [*, N]. Double precision has every integer that can come up, exactly."""
    total = (x.double() @ weights.integers.double().T).long()
    return total if weights.bias is None else total + weights.bias


def scaled(total: Tensor, weights: Weights) -> Tensor:
    """Sums [*, O] in the format of the result."""
    left, right = (-weights.shift).clamp(min=0), weights.shift.clamp(min=0)
    product = (total << left) if weights.multiplier is None else total * weights.multiplier
    half = torch.where(right > 0, 1 << (right - 1).clamp(min=0), 0)
    return ((product + half) >> right).clamp(weights.result.low, weights.result.high)


def _convolution(operation: Convolution, x: Tensor, weights: Weights) -> Tensor:
    images, integers = padded(operation, x).double(), weights.integers.double()
    made = functional.conv2d(images, integers, None, operation.stride, 0, operation.dilation, operation.groups).long()
    channels = made.movedim(1, -1)
    total = channels if weights.bias is None else channels + weights.bias
    return scaled(total, weights).movedim(-1, 1).reshape(*x.shape[:2], operation.size)


def _pooling(operation: Pooling, x: Tensor, given: Fixed, result: Fixed) -> Tensor:
    found: Tensor | None = None
    for inside, values in windows(operation, x):
        if operation.maximum:
            values = torch.where(inside, values, -_MOST)
            found = values if found is None else torch.maximum(found, values)
        else:
            found = torch.where(inside, values, 0) + (0 if found is None else found)
    assert found is not None
    if not operation.maximum:
        summed = found << (result.fraction - given.fraction)
        found = torch.div(summed, window_sizes(operation), rounding_mode="trunc")
    return found.reshape(*x.shape[:2], operation.size)
