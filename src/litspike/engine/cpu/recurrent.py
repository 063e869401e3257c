"""A recurrent layer as one call over time on a CPU: forward, and its adjoint."""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd

import torch
from torch import Tensor

from litspike.engine.autograd import Launch
from litspike.engine.cpu.feedback import SLAB
from litspike.engine.cpu.kernel import Functions, first_arguments, marks_of
from litspike.engine.cpu.memory import address
from litspike.engine.cpu.openmp import run_blocks
from litspike.engine.events.choice import is_finite
from litspike.engine.events.product import packed, padded
from litspike.engine.feedback import RecurrentKernel
from litspike.engine.inputs import Feedback
from litspike.engine.ir.cutoff import cutoff
from litspike.engine.ir.nest import Leaf, Nest
from litspike.engine.ir.program import Program
from litspike.engine.ir.recurrence import recurrent_backward_nest, recurrent_forward_nest

_TILE = 8
"""Samples of a tile at most: together they read the weight once in the backward pass."""
_BITS = 16
"""Neurons whose bits are written together: no two tiles share them."""
_WORK = 16
"""Cost of a neuron-step of a recurrent layer, in those of a plain layer, for the choice of a number of threads."""


class CpuRecurrentKernel(RecurrentKernel):
    """See :class:`RecurrentKernel`. It needs llvmlite."""

    def __init__(self, program: Program, leaves: Sequence[Leaf]) -> None:
        super().__init__(program, leaves)
        self.cutoff = cutoff(program) if self.learns else None
        self._forward = Functions(recurrent_forward_nest(program, leaves, self.cutoff), program, 0, ["x"], "out")
        if self.learns:
            self._backward = Functions(recurrent_backward_nest(program, leaves, self.cutoff), program, 0, [], "gout")

    def stores(self, dtype: torch.dtype) -> bool:
        """See :class:`RecurrentKernel`; the gradient of the weight is made of the outputs as they are stored."""
        from litspike.engine.cpu.half import readable

        return dtype is self.dtype or (self.fires and readable(dtype))

    def _launch(
        self, launch: Launch, feedback: Feedback, total: Tensor | None, output: Tensor, lasts: Sequence[Tensor]
    ) -> None:
        first, weight, bias = feedback
        slabs, size = packed(weight, SLAB), len(weight)
        start = padded(bias, slabs)
        function, pack = self._forward(launch.current.dtype, output.dtype)
        tile, tiles, room = self._tiles(launch, size, self._forward.nest)
        last, *after = lasts
        arguments = pack(
            *first_arguments(self, launch), output.data_ptr(), *[each.data_ptr() for each in after],
            address(launch.saved), *([] if self.cutoff is None else marks_of(launch)),
            last.data_ptr(), address(total), first.data_ptr(),
            tile, size, room.data_ptr(), slabs.data_ptr(), start.data_ptr(),
        )  # fmt: skip
        run_blocks(function, arguments, tiles, output.numel() * _WORK)

    def adjoint(self, launch: Launch, weight: Tensor, grads: Sequence[Tensor | None]) -> list[Tensor | None]:
        """See :class:`RecurrentKernel`."""
        upstream, (last, *after) = launch.upstream(grads)
        transposed = weight.T.contiguous()
        back = packed(transposed, SLAB) if launch.places is None else transposed
        function, pack = self._backward(self.dtype, upstream.dtype)
        tile, tiles, room = self._tiles(launch, len(weight), self._backward.nest)
        result = self.room_for_gradients(launch, tiles)
        arguments = pack(
            *first_arguments(self, launch), address(launch.saved), upstream.data_ptr(), launch.stride(upstream),
            *[address(grad) for grad in after], *[address(result[index]) for index in self.returned],
            address(last), tile, len(weight), room.data_ptr(), back.data_ptr(),
            *([] if self.cutoff is None else marks_of(launch)),
        )  # fmt: skip
        run_blocks(function, arguments, tiles, launch.current.numel() * _WORK)
        if launch.places is not None and (total := result[0]) is not None and not is_finite(total):
            # where it was left out it is NaN as well: 0 times such a number
            return self.adjoint(launch._replace(places=None), weight, grads)
        return self.summed(result)

    def _tiles(self, launch: Launch, size: int, nest: Nest) -> tuple[int, int, Tensor]:
        """Neurons of a tile, the number of tiles, and the room for what their neurons hold."""
        samples, slots = launch.batch[0], sum(local.slots for local in nest.locals)
        tile = min(_TILE, max(1, -(-samples // 2)))  # few samples make two tiles, whatever the number of threads
        if launch.places is not None:
            least = _BITS // gcd(_BITS, size)
            tile = -(-tile // least) * least
        tiles = -(-samples // tile)
        return tile * size, tiles, launch.current.new_empty(slots * tiles * tile * size, dtype=self.dtype)
