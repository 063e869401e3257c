"""A recurrent layer as one call over time on a GPU: forward and its adjoint, a program instance for each sample."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from litspike.engine.autograd import Launch
from litspike.engine.feedback import RecurrentKernel
from litspike.engine.gpu.codegen import module_text
from litspike.engine.gpu.kernel import load, readable, segment_of, start
from litspike.engine.inputs import Feedback
from litspike.engine.ir.nest import Leaf
from litspike.engine.ir.program import Program
from litspike.engine.ir.recurrence import recurrent_backward_nest, recurrent_forward_nest

_LEAST = 32
"""Threads of a program instance at least: a warp."""


class GpuRecurrentKernel(RecurrentKernel):
    """See :class:`RecurrentKernel`. It needs Triton."""

    largest = 1024  # threads of a block

    def __init__(self, program: Program, leaves: Sequence[Leaf]) -> None:
        super().__init__(program, leaves)
        segment = self.segment(program)
        nests = [recurrent_forward_nest(program, leaves, steps=segment)]
        if self.learns:
            nests.append(recurrent_backward_nest(program, leaves, steps=segment))
        self._functions = load(module_text(nests, program))

    @staticmethod
    def segment(program: Program) -> int:
        """See :class:`Kernel`."""
        return segment_of(program)

    def stores(self, dtype: torch.dtype) -> bool:
        """See :class:`RecurrentKernel`; the gradient of the weight is made of the outputs as they are stored."""
        return dtype is self.dtype or (self.fires and readable(dtype, self.dtype))

    def _launch(
        self, launch: Launch, feedback: Feedback, total: Tensor | None, output: Tensor, lasts: Sequence[Tensor]
    ) -> None:
        first, weight, bias = feedback
        (last, *after), size = lasts, len(weight)
        start(
            self._functions["forward"], launch.batch[0], _block(size), launch, output, *after, launch.saved, last,
            total, first, size, size, first.new_empty(launch.neurons), weight.T.contiguous(), bias,
        )  # fmt: skip

    def adjoint(self, launch: Launch, weight: Tensor, grads: Sequence[Tensor | None]) -> list[Tensor | None]:
        """See :class:`RecurrentKernel`."""
        upstream, (last, *after) = launch.upstream(grads)
        size = len(weight)
        result = self.room_for_gradients(launch, launch.batch[0])
        start(
            self._functions["backward"], launch.batch[0], _block(size), launch, launch.saved, upstream,
            launch.stride(upstream), *after, *[result[index] for index in self.returned], last,
            size, size, None, weight,
        )  # fmt: skip
        return self.summed(result)


def _block(size: int) -> int:
    """Threads for a sample's neurons: a power of two."""
    return max(_LEAST, 1 << (size - 1).bit_length())
