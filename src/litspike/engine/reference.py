"""The reference engine: a plain loop over time under autograd. It is the definition of what every engine computes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

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
    if current.device.type != "cpu" and not torch.compiler.is_compiling():
        with _ExactDivision():
            return _loop(step, current, states, constants, name)
    return _loop(step, current, states, constants, name)


class _ExactDivision(TorchFunctionMode):
    """Divides by a number as by a tensor. CUDA would multiply by its reciprocal, which rounds twice."""

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if function in _DIVISIONS and len(args) == 2 and isinstance(args[1], (int, float)):
            dividend, divisor = args
            if isinstance(dividend, Tensor) and dividend.is_floating_point():
                args = dividend, dividend.new_full((), divisor)
        return function(*args, **kwargs or {})


_DIVISIONS = {
    torch.div, torch.true_divide, torch.divide, Tensor.div, Tensor.div_, Tensor.true_divide, Tensor.true_divide_,
    Tensor.divide, Tensor.divide_, Tensor.__truediv__, Tensor.__itruediv__,
}  # fmt: skip


def _loop(
    step: Step, current: Tensor, states: Sequence[Tensor], constants: Sequence[Tensor], name: str
) -> tuple[Tensor, tuple[Tensor, ...]]:
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
