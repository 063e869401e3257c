"""Recurrent layers as operators of torch's library, for graphs that are compiled or exported."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from math import prod
from typing import Any, List  # noqa: UP035  # the schemas of torch 2.6 know no other list

import torch
from torch import Tensor

from litspike.engine.autograd import Launch
from litspike.engine.cpu.memory import fresh
from litspike.engine.cpu.recurrent import CpuRecurrentKernel
from litspike.engine.feedback import RecurrentKernel
from litspike.engine.gpu.recurrent import GpuRecurrentKernel
from litspike.engine.inputs import Feedback, Inputs
from litspike.engine.ir.nest import Kind
from litspike.engine.ir.text import from_text
from litspike.engine.operator import Described, check, described, laid_out, launch_of, leaves_of, saved_shape

KERNELS: dict[str, type[RecurrentKernel]] = {"cpu": CpuRecurrentKernel, "cuda": GpuRecurrentKernel}
"""The class of kernels for each type of device."""


def in_graph(key: Hashable, inputs: Inputs, matrices: Sequence[Tensor]) -> Sequence[Tensor] | None:
    """Output, last output and last states in a graph that is being made; None where no operator can stand for it.

    Args:
        key: the step's :class:`Rule`.
        inputs: of the step; that of the input wants a gradient where anything does.
        matrices: the feedback's first output, weight, and bias if there is one.
    """
    found = described(key, inputs)
    if found is None:
        return None
    results: Sequence[Tensor] = forward(inputs.current, list(matrices), *found)
    return results[:-2]


def _launch(
    current: Tensor, matrices: Sequence[Tensor], step: Described
) -> tuple[RecurrentKernel, Launch, list[Tensor]]:
    """The kernel, its launch, and the matrices as it reads them."""
    check(current.dim() >= 2 and len(matrices) in (2, 3), f"{len(matrices)} matrices", current)
    per_step = [leaf.kind for leaf in leaves_of(step.letters)[:1]] == [Kind.PER_STEP]
    check(per_step, "an input of every step", current)
    kernel, launch = launch_of(KERNELS, current, step, len(current))
    size = prod(launch.batch[1:])
    check(kernel.largest is None or size <= kernel.largest, f"{kernel.largest} neurons at most", current)
    shapes = [launch.batch, (size, size), (size,)]
    return kernel, launch, [laid_out(m, kernel, current, s) for m, s in zip(matrices, shapes, strict=False)]


@torch.library.custom_op("litspike::recur", mutates_args=())
def forward(
    current: Tensor,
    matrices: Sequence[Tensor],
    tensors: Sequence[Tensor],
    numbers: Sequence[float],
    text: str,
    letters: str,
) -> List[Tensor]:  # noqa: UP006  # as above
    """Output, last output, last states; for the backward pass the total input of each step, and the saved states."""
    kernel, launch, (first, weight, *bias) = _launch(current, matrices, Described(tensors, numbers, text, letters))
    saved = current.new_empty(saved_shape(kernel, launch.steps, kernel.program, launch.batch))
    total = fresh(current, *(current.shape if kernel.learns else (0,)))
    feedback = Feedback(first, weight, bias[0] if bias else None)
    return [*kernel.run(launch._replace(saved=saved), feedback, total if kernel.learns else None), total, saved]


@forward.register_fake
def _(current: Tensor, *rest: Any) -> list[Tensor]:
    *_, text, letters = rest
    leaves = leaves_of(letters)
    program, batch = from_text(text, leaves), current.shape[1:]
    learns = any(leaf.wants_gradient for leaf in leaves)
    return [
        current.new_empty(current.shape),
        *[current.new_empty(batch) for _ in range(1 + program.states)],
        current.new_empty(current.shape if learns else (0,)),
        current.new_empty(saved_shape(KERNELS[current.device.type], len(current), program, batch)),
    ]


@torch.library.custom_op("litspike::recur_back", mutates_args=())
def backward(
    grads: Sequence[Tensor],
    total: Tensor,
    saved: Tensor,
    output: Tensor,
    matrices: Sequence[Tensor],
    tensors: Sequence[Tensor],
    numbers: Sequence[float],
    text: str,
    letters: str,
    wanted: Sequence[bool],
) -> List[Tensor]:  # noqa: UP006
    """The gradients of input and matrices that are ``wanted``, then those of the tensors that want one."""
    kernel, launch, (first, weight, *_) = _launch(total, matrices, Described(tensors, numbers, text, letters))
    fit = kernel.leaves[0].wants_gradient and len(grads) == 2 + kernel.states and len(wanted) == 1 + len(matrices)
    check(fit, f"{len(grads)} gradients and {len(wanted)} that are wanted", total)
    saved = laid_out(saved, kernel, total, saved_shape(kernel, launch.steps, kernel.program, launch.batch))
    output, upstream = (laid_out(tensor, kernel, total, total.shape) for tensor in (output, grads[0]))
    lasts = [laid_out(grad, kernel, total, launch.batch) for grad in grads[1:]]
    wants = [*wanted, False][:4]
    gradients = kernel.gradients(launch._replace(saved=saved), first, weight, output, [upstream, *lasts], wants)
    return [gradient for gradient in gradients if gradient is not None]


@backward.register_fake
def _(*given: Any) -> list[Tensor]:
    _, total, _, _, matrices, tensors, _, _, letters, wanted = given
    inputs = [tensor for tensor, wants in zip([total, *matrices], wanted, strict=True) if wants]
    learning = [tensor for tensor, wants in zip(tensors, _learning(letters), strict=True) if wants]
    return [tensor.new_empty(tensor.shape) for tensor in [*inputs, *learning]]


def _learning(letters: str) -> list[bool]:
    """Of each tensor among the values whether its gradient is wanted."""
    return [leaf.wants_gradient for leaf in leaves_of(letters)[1:] if leaf.kind is not Kind.NUMBER]


def _setup(ctx: Any, inputs: Any, output: list[Tensor]) -> None:
    _, matrices, tensors, numbers, *ctx.rest = inputs
    ctx.numbers, ctx.many = list(numbers), len(matrices)
    ctx.save_for_backward(*output[-2:], output[0], *matrices, *tensors)


def _backward(ctx: Any, grads: Sequence[Tensor]) -> tuple[Any, ...]:
    total, saved, output, *rest = ctx.saved_tensors
    matrices, tensors, (text, letters) = rest[: ctx.many], rest[ctx.many :], ctx.rest
    wanted = [ctx.needs_input_grad[0], *ctx.needs_input_grad[1]]
    each = iter(backward(list(grads[:-2]), total, saved, output, matrices, tensors, ctx.numbers, text, letters, wanted))
    of_current, *of_matrices = [next(each) if wants else None for wants in wanted]
    return of_current, of_matrices, [next(each) if wants else None for wants in _learning(letters)], None, None, None


forward.register_autograd(_backward, setup_context=_setup)
