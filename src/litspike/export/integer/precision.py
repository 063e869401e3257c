"""Whether a layer's states have the bits that they need: what was limited, and what rounding a step takes away."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from litspike.export.c.operations import Neurons
from litspike.export.c.twin import Twin
from litspike.export.integer.fixed import Fixed
from litspike.export.integer.measure import stepped
from litspike.export.integer.plan import Plan
from litspike.export.integer.twin import IntegerTwin, run_step

MOST_LIMITED = 1e-3
"""Share of a state's numbers that may lie at its bounds without a word."""
MOST_ROUNDED = 1.0
"""What rounding may take of a state in a step, as a part of what changes in one, without a word."""


@torch.no_grad()
def rounded(plan: Plan, neurons: Neurons, x: Tensor) -> list[float]:
    """What rounding takes of each state in a step, as a part of what changes in one: the quotient of the medians.

    Each step starts from the states that the network has in floating point, so that no error adds up.

    Args:
        plan: the network in integers.
        neurons: one of its layers, with states.
        x: what comes into it, [T, B, N], in floating point.
    """
    forms, feedback = plan.states[neurons.output], plan.weights.get(neurons.output)
    errors, changes = ([list[Tensor]() for _ in forms] for _ in range(2))
    for one in stepped(neurons, x):
        leaves = [plan.formats[neurons.inputs[0]].of(one.given)]
        if feedback is not None and one.feedback is not None:
            leaves.append(feedback.result.of(one.feedback))
        leaves += [form.of(state) for form, state in zip(forms, one.before, strict=True)]
        _, *found = run_step(plan.steps[neurons.output], leaves)
        for index, form in enumerate(forms):
            errors[index].append((form.numbers(found[index]) - one.after[index]).abs().flatten())
            changes[index].append((one.after[index] - one.before[index]).abs().flatten())
    pairs = [(torch.cat(error), torch.cat(change)) for error, change in zip(errors, changes, strict=True)]
    return [_quotient(float(error.median()), change[change > 0]) for error, change in pairs]


def _quotient(error: float, changes: Tensor) -> float:
    return error / float(changes.median()) if error and changes.numel() else 0.0


def findings(plan: Plan, twin: Twin, ran: IntegerTwin, samples: Tensor) -> Iterator[tuple[str, str]]:
    """Name of a layer, and what is wrong with one of its states.

    Args:
        plan: the network in integers.
        twin: the network in floating point.
        ran: the integers, after they have run on the test data.
        samples: for what is rounded.
    """
    tensors = twin.tensors(samples)
    for operation in plan.operations:
        if not isinstance(operation, Neurons):
            continue
        shares = ran.limited_shares(operation.output)
        parts = rounded(plan, operation, tensors[operation.inputs[0]])
        named = zip(operation.states, plan.states[operation.output], shares, parts, strict=True)
        for state, form, share, part in named:
            for problem in _problems(state, form, share, part, plan.settings.states):
                yield operation.about, problem


def _problems(state: str, form: Fixed, share: float, part: float, bits: int) -> Iterator[str]:
    remedy = ": --states 32 has more" if bits < 32 else ""
    if share > MOST_LIMITED:
        most = form.high * form.unit
        yield f"{share:.2%} of state {state} lie at the bounds of its {bits} bits, ±{most:.4g}{remedy}"
    if part > MOST_ROUNDED:
        yield f"rounding takes {part:.3g} times of state {state} what a step changes in it{remedy}"
