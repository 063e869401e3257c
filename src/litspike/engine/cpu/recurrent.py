"""A recurrent layer as one call over time: forward, its adjoint, and the gradient of its weight as one product."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from litspike.engine.autograd import Kernel, Launch, first_order, numbers_of, with_tensors
from litspike.engine.cpu.feedback import SLAB
from litspike.engine.cpu.kernel import address, compiled, first_arguments
from litspike.engine.cpu.memory import fresh
from litspike.engine.cpu.openmp import run_blocks
from litspike.engine.events.choice import pays
from litspike.engine.events.product import events, packed, weight_gradient
from litspike.engine.inputs import Feedback, Real
from litspike.engine.ir.nest import Leaf, Nest
from litspike.engine.ir.program import Program
from litspike.engine.ir.recurrence import recurrent_backward_nest, recurrent_forward_nest

_TILE = 8
"""Samples of a tile at most: together they read the weight once in the backward pass."""
_WORK = 16
"""Cost of a neuron-step of a recurrent layer, in those of a plain layer, for the choice of a number of threads."""


class RecurrentKernel(Kernel):
    """A step with feedback and its adjoint, compiled for this processor.

    Args:
        program: the step and its adjoint, with the gradient of its input where any gradient is wanted.
        leaves: the input, the states, the constants, the numbers of the declaration.
    """

    def __init__(self, program: Program, leaves: Sequence[Leaf]) -> None:
        super().__init__(program, leaves)
        nest = recurrent_forward_nest(program, leaves)
        self.forward = (*compiled(nest, program, 0), _slots(nest))
        if self.learns:
            nest = recurrent_backward_nest(program, leaves)
            self.backward = (*compiled(nest, program, 0), _slots(nest))

    def __call__(self, current: Tensor, feedback: Feedback, values: Sequence[Real]) -> Sequence[Tensor]:
        """Output [T, B, *] and last states.

        Args:
            current: [T, B, *].
            feedback: first output, weight and bias.
            values: states and constants.
        """
        values = [*values, *self.numbers]
        tensors = [values[index] for index in self.tensors]
        results: Sequence[Tensor] = _Recurrent.apply(self, values, current, *feedback, *tensors)  # type: ignore[no-untyped-call]
        return results

    def run(self, launch: Launch, feedback: Feedback, total: Tensor | None) -> tuple[Tensor, list[Tensor]]:
        """Output and last states; the total input of each step, with the feedback, is written to ``total``."""
        first, weight, bias = feedback
        output = fresh(launch.current, launch.steps, *launch.batch)
        lasts = [launch.current.new_empty(*launch.batch) for _ in range(self.states)]
        slabs, size = packed(weight, SLAB), len(weight)
        padded = weight.new_zeros(slabs.shape[0] * slabs.shape[2])
        if bias is not None:
            padded[:size] = bias
        function, pack, slots = self.forward
        tile, tiles, room = _tiles(launch, size, slots)
        arguments = pack(
            *first_arguments(launch), output.data_ptr(), *[last.data_ptr() for last in lasts], address(launch.saved),
            address(total), first.data_ptr(), tile, size, room.data_ptr(), slabs.data_ptr(), padded.data_ptr(),
        )  # fmt: skip
        run_blocks(function, arguments, tiles, output.numel() * _WORK)
        return output, lasts

    def adjoint(self, launch: Launch, weight: Tensor, grads: Sequence[Tensor | None]) -> list[Tensor | None]:
        """Gradients of the total inputs (the launch's input), of the first states and of the constants."""
        upstream, lasts = launch.upstream(grads)
        slabs, size = packed(weight.T.contiguous(), SLAB), len(weight)
        function, pack, slots = self.backward
        tile, tiles, room = _tiles(launch, size, slots)
        result = self.room_for_gradients(launch, tiles)
        arguments = pack(
            *first_arguments(launch), address(launch.saved), upstream.data_ptr(), launch.stride(upstream),
            *[address(grad) for grad in lasts], *[address(result[index]) for index in self.returned],
            tile, size, room.data_ptr(), slabs.data_ptr(),
        )  # fmt: skip
        run_blocks(function, arguments, tiles, launch.current.numel() * _WORK)
        return self.summed(result)


def _tiles(launch: Launch, size: int, slots: int) -> tuple[int, int, Tensor]:
    """Neurons of a tile, the number of tiles, and the room for what their neurons hold."""
    samples = launch.batch[0]
    tile = min(_TILE, max(1, -(-samples // 2)))  # few samples make two tiles, whatever the number of threads
    tiles = -(-samples // tile)
    return tile * size, tiles, launch.current.new_empty(slots * tiles * tile * size)


class _Recurrent(torch.autograd.Function):
    """A recurrent kernel under autograd."""

    @staticmethod
    def forward(
        ctx: Any,
        kernel: RecurrentKernel,
        values: Sequence[Real],
        current: Tensor,
        first: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        *tensors: Tensor,
    ) -> tuple[Tensor, ...]:
        feedback = Feedback(first.contiguous(), weight.contiguous(), bias)
        learns = any(ctx.needs_input_grad)
        launch = Launch.of(current, values, None)
        launch = kernel.with_room(launch) if learns else launch
        total = fresh(launch.current, launch.steps, *launch.batch) if learns else None
        output, lasts = kernel.run(launch, feedback, total)
        ctx.set_materialize_grads(False)
        if learns:
            ctx.save_for_backward(total, launch.saved, output, *feedback[:2], *tensors)
            ctx.rest = kernel, numbers_of(values)
        return output, *lasts

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        kernel, numbers = ctx.rest
        total, saved, output, first, weight, *tensors = ctx.saved_tensors
        launch = Launch.of(total, with_tensors(kernel, numbers, tensors), None)._replace(saved=saved)
        _, _, wants_current, wants_first, wants_weight, wants_bias, *_ = ctx.needs_input_grad
        again = torch.is_grad_enabled()
        with torch.no_grad():
            found = kernel.adjoint(launch, weight, grads)
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
    return weight_gradient(events(before), flat) if pays(before, flat.shape[1]) else flat.T @ before


def _slots(nest: Nest) -> int:
    return sum(local.slots for local in nest.locals)
