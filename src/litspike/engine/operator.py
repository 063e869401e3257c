"""The engines as operators of torch's library, for graphs that are compiled or exported.

A graph holds no Python object, so an operator is given its step as text: the traced program. A graph that is saved
and loaded elsewhere has all that it needs, and needs litspike to be imported.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

from litspike.engine.autograd import rows
from litspike.engine.cpu.kernel import CpuKernel
from litspike.engine.ir.numbers import trace_with_numbers
from litspike.engine.ir.schedule import SEGMENT
from litspike.engine.ir.surroundings import Surroundings
from litspike.engine.ir.trace import Node, Program
from litspike.engine.rule import Rule

_DTYPES = {str(dtype): dtype for dtype in (torch.float32, torch.float64)}


def text_of(rule: Rule, states: int, letters: str, dtype: torch.dtype) -> tuple[str, list[float]]:
    """The program of a step as text, and the numbers that it takes as further constants.

    The text is empty where no fused engine can run the step.
    """
    try:
        modes = torch.utils._python_dispatch._disable_current_modes()  # those of a graph that is being made
        with modes, Surroundings(rule.step):
            program, numbers = trace_with_numbers(rule.step, states, letters, dtype)
    except Exception:  # the reference runs, and shows what is wrong
        return "", []
    return json.dumps([str(dtype), *program[1:]]), numbers


# What torch.compiler.assume_constant_result does, without importing torch's compiler, which takes seconds.
text_of._dynamo_marked_constant = True  # type: ignore[attr-defined]


@cache
def _kernel(text: str, letters: str) -> CpuKernel:
    dtype, states, constants, nodes, outputs, gradients = json.loads(text)
    made = tuple(Node(operation, tuple(operands), literal) for operation, operands, literal in nodes)
    program = Program(_DTYPES[dtype], states, constants, made, tuple(outputs), tuple(gradients))
    return CpuKernel(program, letters.lower(), [letter.isupper() for letter in letters])


def in_graph(
    key: Hashable, current: Tensor, leaves: Sequence[Tensor | float], letters: str, states: int, steps: int
) -> Sequence[Tensor] | None:
    """Output and last states in a graph that is being made, or None where no operator can stand for the step."""
    if current.device.type != "cpu" or not isinstance(key, Rule):
        return None
    text, further = text_of(key, states, letters, current.dtype)
    if not text:
        return None
    tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
    numbers = [*[leaf for leaf in leaves if not isinstance(leaf, Tensor)], *further]
    results: Sequence[Tensor] = forward(current, tensors, numbers, text, letters + "n" * len(further), steps)
    return results[:-1]


def _leaves(letters: str, tensors: Sequence[Tensor], numbers: Sequence[float]) -> list[Tensor | float]:
    """States and constants in their order: numbers where the letter says so, tensors elsewhere."""
    each_tensor, each_number = iter(tensors), iter(numbers)
    return [next(each_number) if letter == "n" else next(each_tensor) for letter in letters[1:]]


@torch.library.custom_op("litspike::run", mutates_args=())
def forward(
    current: Tensor, tensors: Sequence[Tensor], numbers: Sequence[float], text: str, letters: str, steps: int
) -> list[Tensor]:
    """Output, last states, and the states kept for the way back."""
    kernel = _kernel(text, letters)
    memory, steps, batch = rows(current, steps if letters[0] in "lL" else None)
    kept = current.new_empty((steps - 1) // SEGMENT, kernel.states, *batch)
    return [*kernel.run(memory, steps, batch, _leaves(letters, tensors, numbers), kept), kept]


@forward.register_fake
def _(
    current: Tensor, tensors: Sequence[Tensor], numbers: Sequence[float], text: str, letters: str, steps: int
) -> list[Tensor]:
    states = json.loads(text)[1]
    batch = current.shape if letters[0] in "lL" else current.shape[1:]
    lasts = [current.new_empty(batch) for _ in range(states)]
    return [current.new_empty(steps, *batch), *lasts, current.new_empty((steps - 1) // SEGMENT, states, *batch)]


@torch.library.custom_op("litspike::run_back", mutates_args=())
def backward(
    grads: Sequence[Tensor],
    current: Tensor,
    kept: Tensor,
    tensors: Sequence[Tensor],
    numbers: Sequence[float],
    text: str,
    letters: str,
    steps: int,
) -> list[Tensor]:
    """The gradients that capitals among the letters ask for."""
    memory, steps, batch = rows(current, steps if letters[0] in "lL" else None)
    kernel = _kernel(text, letters)
    gradients = kernel.adjoint(memory, steps, batch, _leaves(letters, tensors, numbers), kept, grads)
    return [gradient for gradient in gradients if gradient is not None]


@backward.register_fake
def _(
    grads: Sequence[Tensor],
    current: Tensor,
    kept: Tensor,
    tensors: Sequence[Tensor],
    numbers: Sequence[float],
    text: str,
    letters: str,
    steps: int,
) -> list[Tensor]:
    each = iter(tensors)
    leaves = [current, *[next(each) for letter in letters[1:] if letter != "n"]]
    letters = letters.replace("n", "")
    return [leaf.new_empty(leaf.shape) for leaf, letter in zip(leaves, letters, strict=True) if letter.isupper()]


def _setup(ctx: Any, inputs: Any, output: list[Tensor]) -> None:
    current, tensors, numbers, *ctx.rest = inputs
    ctx.numbers = list(numbers)
    ctx.save_for_backward(current, output[-1], *tensors)


def _backward(ctx: Any, grads: Sequence[Tensor]) -> tuple[Any, ...]:
    current, kept, *tensors = ctx.saved_tensors
    text, letters, steps = ctx.rest
    each = iter(backward(list(grads[:-1]), current, kept, tensors, ctx.numbers, text, letters, steps))
    gradients = [next(each) if letter.isupper() else None for letter in letters if letter != "n"]
    return gradients[0], gradients[1:], None, None, None, None


forward.register_autograd(_backward, setup_context=_setup)
