"""A recurrent layer as one call over time: forward, its adjoint, and the gradient of its weight as one product."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from math import prod
from typing import Any, Self

import torch
from torch import Tensor

from litspike.engine.autograd import Leaf, first_order, rows
from litspike.engine.cpu.feedback import SLAB
from litspike.engine.cpu.kernel import compiled
from litspike.engine.cpu.memory import fresh
from litspike.engine.cpu.openmp import run_blocks
from litspike.engine.events.product import events, packed, weight_gradient
from litspike.engine.ir.nest import Kind, Nest
from litspike.engine.ir.nest import Leaf as Place
from litspike.engine.ir.recurrence import recurrent_backward_nest, recurrent_forward_nest
from litspike.engine.ir.schedule import SEGMENT
from litspike.engine.ir.trace import Program

_TILE = 8
"""Samples of a tile at most: together they read the weight once on the way back."""


class RecurrentKernel:
    """A step with feedback and its adjoint, compiled for this processor.

    Args:
        program: the step and its adjoint, with the gradient of its input where any gradient is wanted.
        kinds: where each leaf is found: the input, the states, the constants, the numbers of the declaration.
        wanted: for each leaf, whether its gradient is asked for.
    """

    def __init__(self, program: Program, kinds: str, wanted: Sequence[bool]) -> None:
        self.program, self.states = program, program.states
        self.numbers: list[float] = []
        self.leaves = [Place(Kind(kind), wants) for kind, wants in zip(kinds, wanted, strict=True)]
        self.tensors = [index for index, leaf in enumerate(self.leaves[1:]) if leaf.kind is not Kind.NUMBER]
        nest = recurrent_forward_nest(program, self.leaves)
        self.forward = (*compiled(nest, program, 0), _slots(nest))
        if any(wanted):
            nest = recurrent_backward_nest(program, self.leaves)
            self.backward = (*compiled(nest, program, 0), _slots(nest))

    def with_numbers(self, numbers: list[float]) -> Self:
        """The same kernel with these as the last of its leaves, which calls then leave out."""
        kernel = copy.copy(self)
        kernel.numbers = numbers
        return kernel

    def __call__(
        self, current: Tensor, first: Tensor, weight: Tensor, bias: Tensor | None, leaves: Sequence[Leaf]
    ) -> Sequence[Tensor]:
        """Output [T, B, *] and last states.

        Args:
            current: [T, B, *].
            first: the output before the first step, [B, *].
            weight: [N, N].
            bias: [N], or None.
            leaves: states and constants.
        """
        leaves = [*leaves, *self.numbers]
        tensors = [leaves[index] for index in self.tensors]
        results: Sequence[Tensor] = _Recurrent.apply(self, leaves, current, first, weight, bias, *tensors)  # type: ignore[no-untyped-call]
        return results

    def run(
        self, current: Tensor, first: Tensor, weight: Tensor, bias: Tensor | None, leaves: Sequence[Leaf], learns: bool
    ) -> tuple[Tensor, list[Tensor], Tensor | None, Tensor | None]:
        """Output, last states, what each step took in and the states that are kept, the latter two where it learns."""
        steps, *batch = current.shape
        output = fresh(current, steps, *batch)
        lasts = [current.new_empty(*batch) for _ in range(self.states)]
        total = fresh(current, steps, *batch) if learns else None
        kept = current.new_empty((steps - 1) // SEGMENT, self.states, *batch) if learns and steps > SEGMENT else None
        neurons, size = prod(batch), len(weight)
        slabs = packed(weight, SLAB)
        padded = weight.new_zeros(slabs.shape[0] * slabs.shape[2])
        if bias is not None:
            padded[:size] = bias
        function, pack, slots = self.forward
        tile = self._tile(batch[0])
        tiles = -(-batch[0] // tile)
        room = current.new_empty(slots * tiles * tile * size)
        arguments = pack(
            steps, neurons, current.data_ptr(), neurons, *_places(leaves), output.data_ptr(),
            *[last.data_ptr() for last in lasts], _place(kept), _place(total), first.data_ptr(),
            tile * size, size, room.data_ptr(), slabs.data_ptr(), padded.data_ptr(),
        )  # fmt: skip
        run_blocks(function, arguments, tiles, output.numel() * 16)
        return output, lasts, total, kept

    def adjoint(
        self,
        total: Tensor,
        weight: Tensor,
        leaves: Sequence[Leaf],
        kept: Tensor | None,
        upstream: Tensor | None,
        lasts: Sequence[Tensor | None],
    ) -> list[Tensor | None]:
        """Gradients of what each step took in, of the first states and of the constants."""
        steps, *batch = total.shape
        neurons, size, tile = prod(batch), len(weight), self._tile(batch[0])
        tiles = -(-batch[0] // tile)
        upstream = total.new_zeros(batch) if upstream is None else rows(upstream, None)[0]
        lasts = [grad if grad is None or grad.is_contiguous() else grad.contiguous() for grad in lasts]
        result: list[Tensor | None] = [None] * len(self.leaves)
        for index, leaf in enumerate(self.leaves):
            if leaf.wants_gradient and leaf.kind is Kind.SHARED:
                result[index] = total.new_empty(tiles, dtype=torch.float64)
            elif leaf.wants_gradient:
                result[index] = fresh(total, steps, *batch) if index == 0 else total.new_empty(*batch)
        slabs = packed(weight.T.contiguous(), SLAB)
        function, pack, slots = self.backward
        room = total.new_empty(slots * tiles * tile * size)
        states = range(1, 1 + self.states)
        places = [0, *states, *(i for i in range(1 + self.states, len(result)) if result[i] is not None)]
        arguments = pack(
            steps, neurons, total.data_ptr(), neurons, *_places(leaves), _place(kept),
            upstream.data_ptr(), 0 if upstream.dim() == len(batch) else neurons, *[_place(grad) for grad in lasts],
            *[_place(result[index]) for index in places], tile * size, size, room.data_ptr(), slabs.data_ptr(),
        )  # fmt: skip
        run_blocks(function, arguments, tiles, total.numel() * 16)
        for index, leaf in enumerate(self.leaves):
            grad = result[index]
            if leaf.kind is Kind.SHARED and grad is not None:
                result[index] = grad.sum().to(total.dtype)
        return result

    @staticmethod
    def _tile(samples: int) -> int:
        """Samples of a tile: few batches make at least two tiles, whatever the number of threads."""
        return min(_TILE, max(1, -(-samples // 2)))


class _Recurrent(torch.autograd.Function):
    """A recurrent kernel under autograd."""

    @staticmethod
    def forward(
        ctx: Any,
        kernel: RecurrentKernel,
        leaves: Sequence[Leaf],
        current: Tensor,
        first: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        *tensors: Tensor,
    ) -> tuple[Tensor, ...]:
        current, first, weight = current.contiguous(), first.contiguous(), weight.contiguous()
        learns = any(ctx.needs_input_grad)
        output, lasts, total, kept = kernel.run(current, first, weight, bias, leaves, learns)
        ctx.set_materialize_grads(False)
        if learns:
            ctx.save_for_backward(total, kept, output, first, weight, *tensors)
            ctx.rest = kernel, [None if isinstance(leaf, Tensor) else leaf for leaf in leaves]
        return output, *lasts

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        kernel, leaves = ctx.rest
        total, kept, output, first, weight, *tensors = ctx.saved_tensors
        leaves = list(leaves)
        for index, tensor in zip(kernel.tensors, tensors, strict=True):
            leaves[index] = tensor
        _, _, wants_current, wants_first, wants_weight, wants_bias, *_ = ctx.needs_input_grad
        again = torch.is_grad_enabled()
        with torch.no_grad():
            found = kernel.adjoint(total, weight, leaves, kept, grads[0], grads[1:])
            by_input = found[0]
            assert by_input is not None
            flat = by_input.view(-1, len(weight))
            before = torch.cat([first[None], output[:-1]]).view(-1, len(weight)) if wants_weight else None
            gradients = [
                by_input if wants_current else None,
                (by_input[0].reshape(len(first), -1) @ weight).view_as(first) if wants_first else None,
                None if before is None else _by_weight(before, flat),
                flat.sum(0) if wants_bias else None,
                *[found[1 + index] for index in kernel.tensors],
            ]
        if again:
            gradients = first_order(gradients, total, *tensors)
        return None, None, *gradients


def _by_weight(before: Tensor, flat: Tensor) -> Tensor:
    found = events(before)
    return weight_gradient(found, flat) if found.density < 0.3 else flat.T @ before


def _slots(nest: Nest) -> int:
    return sum(local.slots for local in nest.locals)


def _places(leaves: Sequence[Leaf]) -> list[float]:
    return [leaf.data_ptr() if isinstance(leaf, Tensor) else leaf for leaf in leaves]


def _place(tensor: Tensor | None) -> int:
    return 0 if tensor is None else tensor.data_ptr()
