"""What the fused engines share: a kernel's calls and results, and the autograd function around them."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import nullcontext
from math import prod
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from litspike.engine.cpu.memory import fresh
from litspike.engine.ir.schedule import SEGMENT
from litspike.engine.ir.trace import Program
from litspike.settings import UserError

Leaf = Tensor | float


class Kernel(ABC):
    """A step and its adjoint, compiled for one kind of device.

    Args:
        program: the step and its adjoint.
        kinds: where each leaf is found; see :class:`litspike.engine.ir.nest.Kind`.
        wanted: for each leaf, whether its gradient is asked for.

    Raises:
        ImportError: if what compiles it is not installed.
    """

    block: ClassVar[int]
    """Neurons that are taken together; a constant of the layer gets a part of its gradient from each block."""

    def __init__(self, program: Program, kinds: str, wanted: Sequence[bool]) -> None:
        self.program, self.kinds, self.wanted = program, kinds, wanted
        self.dtype, self.states, self.learns = program.dtype, program.states, any(wanted)
        self.tensors = [index for index, kind in enumerate(kinds[1:]) if kind != "n"]  # of the leaves after the input
        self.asked = [(index, kind) for index, kind in enumerate(kinds) if wanted[index]]
        self.numbers: list[float] = []

    def with_numbers(self, numbers: list[float]) -> Self:
        """The same kernel with these as the last of its leaves, which calls then leave out."""
        kernel = copy.copy(self)
        kernel.numbers = numbers
        return kernel

    def __call__(self, current: Tensor, leaves: Sequence[Leaf], steps: int | None) -> Sequence[Tensor]:
        """Output and last states. The current is [T, B, *], or [B, *] where ``steps`` is given."""
        if self.numbers:
            leaves = [*leaves, *self.numbers]
        if self.learns:
            tensors = [leaves[index] for index in self.tensors]
            results: Sequence[Tensor] = Fused.apply(self, leaves, steps, current, *tensors)  # type: ignore[no-untyped-call]
            return results
        return self.run(*rows(current, steps), leaves, None)

    def run(
        self, current: Tensor, steps: int, batch: Sequence[int], leaves: Sequence[Leaf], kept: Tensor | None
    ) -> tuple[Tensor, ...]:
        """Run forward, writing the states before every SEGMENT-th step but the first into ``kept`` if it is given.

        The current is contiguous, [T, B, *], or [B, *] if it is the same at every step; ``batch`` is [B, *].
        """
        output = fresh(current, steps, *batch)
        lasts = [current.new_empty(*batch) for _ in range(self.states)]
        self._launch(current, steps, batch, leaves, output, lasts, kept)
        return output, *lasts

    def adjoint(
        self,
        current: Tensor,
        steps: int,
        batch: Sequence[int],
        leaves: Sequence[Leaf],
        kept: Tensor | None,
        grads: Sequence[Tensor | None],
    ) -> list[Tensor | None]:
        """Gradients of input, states and constants from those of output and last states."""
        upstream, *lasts = grads
        upstream = current.new_zeros(batch) if upstream is None else rows(upstream, None)[0]
        lasts = [grad if grad is None or grad.is_contiguous() else grad.contiguous() for grad in lasts]
        result: list[Tensor | None] = [None] * len(self.kinds)
        for index, kind in self.asked:
            if kind == "s":
                result[index] = current.new_empty(self.blocks(prod(batch)), dtype=torch.float64)
            else:
                result[index] = fresh(current, steps, *batch) if kind == "t" else current.new_empty(*batch)
        self._launch_back(current, steps, batch, leaves, kept, upstream, lasts, result)
        for index, kind in self.asked:
            if kind == "s" and (grad := result[index]) is not None:
                result[index] = grad.sum().to(self.dtype)
        return result

    def blocks(self, neurons: int) -> int:
        """Number of blocks of the neurons of a batch."""
        return -(-neurons // self.block)

    @abstractmethod
    def _launch(
        self,
        current: Tensor,
        steps: int,
        batch: Sequence[int],
        leaves: Sequence[Leaf],
        output: Tensor,
        lasts: Sequence[Tensor],
        kept: Tensor | None,
    ) -> None:
        """Fill output, last states and what is kept."""

    @abstractmethod
    def _launch_back(
        self,
        current: Tensor,
        steps: int,
        batch: Sequence[int],
        leaves: Sequence[Leaf],
        kept: Tensor | None,
        upstream: Tensor,
        lasts: Sequence[Tensor | None],
        result: Sequence[Tensor | None],
    ) -> None:
        """Fill the gradients that there is a tensor for in ``result``."""


def distance(tensor: Tensor, batch: Sequence[int], neurons: int) -> int:
    """Distance between the steps of a tensor [T, B, *], or [B, *] if it is the same at every step."""
    return 0 if tensor.dim() == len(batch) else neurons


class Fused(torch.autograd.Function):
    """A kernel under autograd. The tensors among the leaves are given once more, for autograd to see."""

    @staticmethod
    def forward(
        ctx: Any, kernel: Kernel, leaves: Sequence[Leaf], steps: int | None, current: Tensor, *tensors: Tensor
    ) -> tuple[Tensor, ...]:
        """Output and last states."""
        # Here, where autograd doesn't see it: the gradient is that of the input as it came.
        current, many, batch = rows(current, steps)
        kept = None
        if many > SEGMENT:
            kept = current.new_empty((many - 1) // SEGMENT, kernel.states, *batch)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(current, kept, *tensors)
        ctx.rest = kernel, many, batch, [None if isinstance(leaf, Tensor) else leaf for leaf in leaves]
        return kernel.run(current, many, batch, leaves, kept)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        """Gradients of the tensors that forward took."""
        kernel, steps, batch, leaves = ctx.rest
        current, kept, *tensors = ctx.saved_tensors
        if tensors:
            leaves = list(leaves)
            for index, tensor in zip(kernel.tensors, tensors, strict=True):
                leaves[index] = tensor
        again = torch.is_grad_enabled()  # someone wants to differentiate these gradients in turn
        with torch.no_grad() if again else nullcontext():
            gradients: list[Tensor | None] = kernel.adjoint(current, steps, batch, leaves, kept, grads)
        if again:
            gradients = first_order(gradients, current, *tensors)
        return None, None, None, gradients[0], *[gradients[1 + index] for index in kernel.tensors]


def first_order(gradients: Sequence[Tensor | None], *inputs: Tensor) -> list[Tensor | None]:
    """The same gradients, of the inputs, which refuse to be differentiated in turn."""
    guard: Any = _FirstOrder.apply
    return [None if grad is None else guard(grad, *inputs) for grad in gradients]


class _FirstOrder(torch.autograd.Function):
    """Passes a gradient on, and refuses to differentiate it."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, *inputs: Tensor) -> Tensor:
        return gradient.view_as(gradient)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> None:
        raise UserError("the fused engine has no second-order gradients; set engine: 'reference' on the neuron")


def rows(current: Tensor, steps: int | None) -> tuple[Tensor, int, Sequence[int]]:
    """The memory of an input, T and [B, *]: contiguous [T, B, *], or [B, *] if it is the same at every step."""
    shape = current.shape
    if steps is None:
        steps, shape = shape[0], shape[1:]
        if not current.is_contiguous() and current.stride(0) == 0:
            current = current[0]
    return current if current.is_contiguous() else current.contiguous(), steps, shape
