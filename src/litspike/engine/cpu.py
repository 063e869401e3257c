"""The fused CPU engine: a step and its adjoint as two compiled kernels, and the autograd function around them."""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from typing import Any

import torch
from torch import Tensor

from litspike.engine.kernels import SEGMENT, backward_text, forward_text
from litspike.engine.llvm import BLOCK
from litspike.engine.threads import Function, run_blocks
from litspike.engine.trace import Program
from litspike.settings import UserError

Leaf = Tensor | float


class Kernel:
    """A program compiled for this processor.

    Args:
        program: the step and its adjoint.
        kinds: where each leaf is found; see :func:`litspike.engine.kernels.forward_text`.
        wanted: for each leaf, whether its gradient is asked for.

    Raises:
        ImportError: if llvmlite is not installed.
    """

    def __init__(self, program: Program, kinds: str, wanted: Sequence[bool]) -> None:
        from litspike.engine.native import load

        self.program, self.kinds, self.dtype = program, kinds, program.dtype
        self.wanted = wanted
        self.learns = any(wanted)
        self.first_constant = 1 + program.states
        self.forward: Function = load(forward_text(program, kinds), ["forward"])[0]
        fields = "qqqq" + "".join("d" if kind == "n" else "q" for kind in kinds[1:])
        self.pack_forward = Struct(f"{fields}{'q' * (2 + program.states)}").pack
        if self.learns:
            self.backward: Function = load(backward_text(program, kinds), ["backward"])[0]
            results = 2 * program.states + wanted[0] + sum(wanted[1 + program.states :])
            self.pack_backward = Struct(f"{fields}qqq{'q' * results}").pack

    def __call__(self, current: Tensor, leaves: Sequence[Leaf]) -> tuple[Tensor, ...]:
        """Output and last states."""
        if self.learns:
            outputs: tuple[Tensor, ...] = _Fused.apply(self, current, *leaves)  # type: ignore[no-untyped-call]
            return outputs
        return self.run(_rows(current), leaves, None)

    def run(self, current: Tensor, leaves: Sequence[Leaf], kept: Tensor | None) -> tuple[Tensor, ...]:
        """Run forward, writing the states before every SEGMENT-th step but the first into ``kept`` if it is given."""
        steps, *batch = current.shape
        total = current.numel()
        neurons = total // steps
        output = current.new_empty(steps, *batch)
        lasts = [current.new_empty(*batch) for _ in range(self.program.states)]
        arguments = self.pack_forward(
            steps, neurons, current.data_ptr(), neurons if current.stride(0) else 0,
            *[leaf.data_ptr() if isinstance(leaf, Tensor) else leaf for leaf in leaves],
            output.data_ptr(), *[last.data_ptr() for last in lasts], 0 if kept is None else kept.data_ptr(),
        )  # fmt: skip
        run_blocks(self.forward, arguments, -(-neurons // BLOCK), total)
        return output, *lasts

    def adjoint(
        self,
        current: Tensor,
        leaves: Sequence[Leaf],
        kept: Tensor | None,
        grads: Sequence[Tensor | None],
    ) -> list[Tensor | None]:
        """Gradients of input, states and constants from those of output and last states."""
        steps, *batch = current.shape
        total = current.numel()
        neurons = total // steps
        blocks = -(-neurons // BLOCK)
        upstream = _rows(current.new_zeros(()).expand_as(current) if grads[0] is None else grads[0])
        lasts = [None if grad is None else grad.contiguous() for grad in grads[1:]]  # alive until the kernel is done
        result: list[Tensor | None] = []
        for kind, flag in zip(self.kinds, self.wanted, strict=True):
            if not flag:
                result.append(None)
            elif kind == "s":
                result.append(current.new_empty(blocks, dtype=torch.float64))
            else:
                result.append(current.new_empty(steps, *batch) if kind == "t" else current.new_empty(*batch))
        constants = 1 + self.program.states
        arguments = self.pack_backward(
            steps, neurons, current.data_ptr(), neurons if current.stride(0) else 0,
            *[leaf.data_ptr() if isinstance(leaf, Tensor) else leaf for leaf in leaves],
            0 if kept is None else kept.data_ptr(), upstream.data_ptr(), neurons if upstream.stride(0) else 0,
            *[0 if grad is None else grad.data_ptr() for grad in lasts],
            *[grad.data_ptr() for grad in result[:1] if grad is not None],
            *[0 if grad is None else grad.data_ptr() for grad in result[1:constants]],
            *[grad.data_ptr() for grad in result[constants:] if grad is not None],
        )  # fmt: skip
        run_blocks(self.backward, arguments, blocks, total)
        for index, kind in enumerate(self.kinds):
            if kind == "s" and (grad := result[index]) is not None:
                result[index] = grad.sum().to(self.dtype)
        return result


class _Fused(torch.autograd.Function):
    """A kernel under autograd."""

    @staticmethod
    def forward(ctx: Any, kernel: Kernel, current: Tensor, *leaves: Leaf) -> tuple[Tensor, ...]:
        current = _rows(current)  # here, where autograd doesn't see it: the gradient is that of the input as it came
        steps, *batch = current.shape
        kept = None
        if steps > SEGMENT:
            kept = current.new_empty((steps - 1) // SEGMENT, kernel.program.states, *batch)
        ctx.set_materialize_grads(False)
        ctx.kernel = kernel
        ctx.numbers = [None if isinstance(leaf, Tensor) else leaf for leaf in leaves]
        ctx.save_for_backward(current, kept, *[leaf for leaf in leaves if isinstance(leaf, Tensor)])
        return kernel.run(current, leaves, kept)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        current, kept, *tensors = ctx.saved_tensors
        each = iter(tensors)
        leaves = [next(each) if number is None else number for number in ctx.numbers]
        with torch.no_grad():
            gradients: list[Tensor | None] = ctx.kernel.adjoint(current, leaves, kept, grads)
        if torch.is_grad_enabled():  # someone wants to differentiate these gradients again
            guard: Any = _FirstOrder.apply
            gradients = [None if grad is None else guard(grad, current, *tensors) for grad in gradients]
        return None, *gradients


class _FirstOrder(torch.autograd.Function):
    """Passes a gradient on, and refuses to differentiate it."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, *inputs: Tensor) -> Tensor:
        return gradient.view_as(gradient)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> None:
        raise UserError("the fused engine has no second-order gradients; set engine: 'reference' on the neuron")


def _rows(tensor: Tensor) -> Tensor:
    """A tensor [T, ...] whose steps are contiguous, and either follow each other or are all the same memory."""
    if tensor.is_contiguous():
        return tensor
    if tensor.stride(0) == 0:
        return tensor[0].contiguous().expand(tensor.shape)
    return tensor.contiguous()
