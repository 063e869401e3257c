"""The fused GPU engine: a step and its adjoint as two Triton kernels. They compute what the CPU's compute."""

from __future__ import annotations

import hashlib
import linecache
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from litspike.engine.autograd import Launch, LayerKernel
from litspike.engine.gpu.codegen import module_text
from litspike.engine.inputs import HALF, Real
from litspike.engine.ir import schedule
from litspike.engine.ir.nest import Kind, Leaf
from litspike.engine.ir.program import Program
from litspike.engine.ir.schedule import SEGMENT

BLOCK = 32
"""Neurons to a program instance: one warp, so that a small layer too spreads over the whole GPU."""


class GpuKernel(LayerKernel):
    """A program as Triton kernels, compiled at the first call by Triton, which keeps them on disk.

    See :class:`LayerKernel`. It needs Triton.
    """

    block = BLOCK
    present = find_spec("triton") is not None

    def __init__(self, program: Program, leaves: Sequence[Leaf]) -> None:
        super().__init__(program, [Leaf(Kind.PER_STEP, leaves[0].wants_gradient), *leaves[1:]])
        nests = [schedule.forward_nest(program, self.leaves, self.segment(program))]
        if self.learns:
            nests.append(schedule.backward_nest(program, self.leaves, self.segment(program)))
        self._functions = load(module_text(nests, program))

    @staticmethod
    def segment(program: Program) -> int:
        """See :class:`Kernel`."""
        return segment_of(program)

    def stores(self, dtype: torch.dtype) -> bool:
        """See :class:`LayerKernel`."""
        return readable(dtype, self.dtype)

    def __call__(
        self, current: Tensor, values: Sequence[Real], steps: int | None, output: torch.dtype | None = None
    ) -> Sequence[Tensor]:
        """See :class:`LayerKernel`; the gradient of an input that is the same at every step is summed by autograd."""
        current = current if steps is None else current.expand(steps, *current.shape)
        return super().__call__(current, values, None, output)

    def _launch(self, launch: Launch, output: Tensor, lasts: Sequence[Tensor]) -> None:
        self._start("forward", launch, output, *lasts, launch.saved)

    def _launch_back(
        self, launch: Launch, upstream: Tensor, lasts: Sequence[Tensor | None], result: Sequence[Tensor | None]
    ) -> None:
        self._start("backward", launch, launch.saved, upstream, launch.stride(upstream), *lasts, *result)

    def _start(self, name: str, launch: Launch, *arguments: Any) -> None:
        start(self._functions[name], self.blocks(launch), BLOCK, launch, *arguments)


def segment_of(program: Program) -> int:
    """Fewer steps for a longer program: they are written out, and Triton's time grows with the square of it."""
    return max(4, SEGMENT >> (len(program.nodes) // 64))


def readable(dtype: torch.dtype, own: torch.dtype) -> bool:
    """Whether a program of a dtype reads and writes numbers of another one."""
    return dtype is own or (dtype in HALF and own is torch.float32)


def start(function: Any, blocks: int, block: int, launch: Launch, *arguments: Any) -> None:
    """Start a program instance for each block, with what all kernels begin with and further arguments."""
    current = launch.current
    if blocks:  # a GPU takes no empty grid
        with torch.cuda.device_of(current):  # type: ignore[no-untyped-call]
            # Without fusion of products into sums, as the reference rounds both.
            function[(blocks,)](
                launch.steps, launch.neurons, current, launch.stride(current), *launch.values, *arguments,
                BLOCK=block, num_warps=block // 32, enable_fp_fusion=False,
            )  # fmt: skip


@cache
def load(text: str) -> dict[str, Any]:
    """The names that a text of Triton's language defines.

    Triton reads the source of a function again. It is given to Python's cache of source lines, which needs no file.

    Raises:
        ImportError: if triton is not installed.
    """
    name = f"<litspike kernel {hashlib.sha256(text.encode()).hexdigest()[:16]}>"
    linecache.cache[name] = len(text), None, text.splitlines(keepends=True), name
    names: dict[str, Any] = {"__name__": "litspike.engine.generated"}
    exec(compile(text, name, "exec", dont_inherit=True), names)  # or else annotations become the text of annotations
    return names
