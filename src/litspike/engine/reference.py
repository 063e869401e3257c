"""The reference engine: a plain loop over time under autograd. It is the definition of what every engine computes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from litspike.settings import UserError

Step = Callable[..., tuple[Tensor, ...]]
"""``step(input, *states, *constants) → (output, *states)``: one time step, elementwise."""


def run_reference(
    step: Step, current: Tensor, states: Sequence[Tensor], constants: Sequence[Tensor], name: str = "the neuron"
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Run ``step`` over the first dimension of ``current``.

    Args:
        step: the neuron's time step.
        current: input of every time step, [T, B, *] with T ≥ 1.
        states: state before the first step, each [B, *].
        constants: what does not change over time: tensors that broadcast against [B, *].
        name: what an error calls the neuron.

    Returns:
        The outputs [T, B, *] and the states after the last step, each [B, *].

    Raises:
        UserError: if the step doesn't return its output and its states, each as tensors that broadcast to [B, *].
    """
    outputs, count = [], len(states)
    for x in current.unbind(0):
        results = step(x, *states, *constants)
        if not isinstance(results, (tuple, list)) or [isinstance(r, Tensor) for r in results] != [True] * (1 + count):
            raise UserError(f"{name}: step returns no tuple of tensors, its output and {count} states")
        output, *states = results
        outputs.append(output if output.shape == x.shape else _filling(name, output, x))
    return torch.stack(outputs), tuple(_filling(name, state, current[0]) for state in states)


def _filling(name: str, result: Tensor, x: Tensor) -> Tensor:
    """A result that is constant, or the same for all neurons, for each of them."""
    try:
        return result.expand(x.shape)
    except RuntimeError:
        problem = f"step returns {list(result.shape)}, which doesn't broadcast to its input's {list(x.shape)}"
        raise UserError(f"{name}: {problem}") from None
