"""The engines as operators of torch's library, for graphs that are compiled or exported.

A graph holds no Python object, so an operator is given its step as text: the traced program. A graph that is saved
and loaded elsewhere has all that it needs, and needs litspike to be imported.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from litspike.engine.autograd import rows
from litspike.engine.cpu.kernel import CpuKernel
from litspike.engine.ir.numbers import trace_with_numbers
from litspike.engine.ir.schedule import SEGMENT
from litspike.engine.ir.surroundings import Surroundings
from litspike.engine.ir.text import from_text, to_text
from litspike.engine.rule import Rule
from litspike.settings import UserError


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
    return to_text(program), numbers


# What torch.compiler.assume_constant_result does, without importing torch's compiler, which takes seconds.
text_of._dynamo_marked_constant = True  # type: ignore[attr-defined]


@cache
def _kernel(text: str, letters: str) -> CpuKernel:
    return CpuKernel(from_text(text, letters), letters.lower(), [letter.isupper() for letter in letters])


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


class _Arguments(NamedTuple):
    """What a kernel takes, once it is known that it holds what the kernel reads."""

    kernel: CpuKernel
    memory: Tensor
    leaves: list[Tensor | float]
    batch: Sequence[int]

    @classmethod
    def checked(
        cls, current: Tensor, tensors: Sequence[Tensor], numbers: Sequence[float], text: str, letters: str, steps: int
    ) -> _Arguments:
        """The arguments of the operators; a graph from a file may hold anything.

        Raises:
            UserError: if they don't fit each other.
        """
        kernel = _kernel(text, letters)
        held = letters[0] in "lL"
        batch = current.shape if held else current.shape[1:]
        _check(steps >= 1 and len(batch) >= 1 and (held or current.shape[:1] == (steps,)), "the input's shape", current)
        counts = letters[1:].count("n"), len(letters[1:]) - letters[1:].count("n")
        _check((len(numbers), len(tensors)) == counts, f"{len(tensors)} tensors and {len(numbers)} numbers", current)
        each_tensor, each_number = iter(tensors), iter(numbers)
        leaves: list[Tensor | float] = []
        for letter in letters[1:]:
            shape = () if letter in "sS" else batch
            leaves.append(next(each_number) if letter == "n" else _plain(next(each_tensor), kernel.dtype, shape))
        memory, _, _ = rows(_plain(current, kernel.dtype, current.shape), steps if held else None)
        return cls(kernel, memory, leaves, batch)


def _plain(tensor: Tensor, dtype: torch.dtype, shape: Sequence[int]) -> Tensor:
    """A tensor's values laid out as a kernel reads them."""
    fits = tensor.dtype == dtype and tensor.device.type == "cpu" and tensor.layout == torch.strided
    _check(fits and tensor.shape == torch.Size(shape), f"{list(shape)} in {dtype} is asked for", tensor)
    return tensor.resolve_neg().contiguous()


def _check(right: bool, what: str, got: Tensor) -> None:
    if not right:
        got_text = f"{list(got.shape)} in {got.dtype} on {got.device}"
        raise UserError(f"litspike::run: the arguments don't fit the step ({what}; got {got_text})")


@torch.library.custom_op("litspike::run", mutates_args=())
def forward(
    current: Tensor, tensors: Sequence[Tensor], numbers: Sequence[float], text: str, letters: str, steps: int
) -> list[Tensor]:
    """Output, last states, and the states kept for the way back."""
    kernel, memory, leaves, batch = _Arguments.checked(current, tensors, numbers, text, letters, steps)
    kept = current.new_empty((steps - 1) // SEGMENT, kernel.states, *batch)
    return [*kernel.run(memory, steps, batch, leaves, kept), kept]


@forward.register_fake
def _(
    current: Tensor, tensors: Sequence[Tensor], numbers: Sequence[float], text: str, letters: str, steps: int
) -> list[Tensor]:
    states = from_text(text, letters).states
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
    kernel, memory, leaves, batch = _Arguments.checked(current, tensors, numbers, text, letters, steps)
    _check(kernel.learns and len(grads) == 1 + kernel.states, f"{len(grads)} gradients", current)
    kept = _plain(kept, kernel.dtype, ((steps - 1) // SEGMENT, kernel.states, *batch))
    upstream, *lasts = grads
    grads = [_plain(upstream, kernel.dtype, (steps, *batch)), *(_plain(g, kernel.dtype, batch) for g in lasts)]
    gradients = kernel.adjoint(memory, steps, batch, leaves, kept, grads)
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
