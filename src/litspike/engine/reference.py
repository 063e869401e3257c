"""The reference engine: a plain loop over time under autograd. It is the definition of what every engine computes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Step = Callable[..., tuple[Tensor, ...]]
"""``step(input, *states, *constants) → (output, *states)``: one time step, elementwise."""


def run_reference(
    step: Step, current: Tensor, states: Sequence[Tensor], constants: Sequence[Tensor | float]
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Run ``step`` over the first dimension of ``current``.

    Args:
        step: the neuron's time step.
        current: input of every time step, [T, B, *] with T ≥ 1.
        states: state before the first step, each [B, *].
        constants: what does not change over time: numbers, or tensors that broadcast against [B, *].

    Returns:
        The outputs [T, B, *] and the states after the last step, each [B, *].
    """
    outputs = []
    for x in current.unbind(0):
        output, *states = step(x, *states, *constants)
        outputs.append(output if output.shape == x.shape else output.expand_as(x))  # constant, or the same for all
    return torch.stack(outputs), tuple(state.expand(current.shape[1:]) for state in states)
