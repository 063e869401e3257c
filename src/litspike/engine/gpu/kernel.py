"""The fused GPU engine: a step and its adjoint as two Triton kernels. They compute what the CPU's compute."""

from __future__ import annotations

import hashlib
import linecache
from collections.abc import Sequence
from functools import cache
from math import prod
from typing import Any

import torch
from torch import Tensor

from litspike.engine.autograd import Kernel, Leaf, distance
from litspike.engine.gpu.codegen import module_text
from litspike.engine.ir import nest, schedule
from litspike.engine.ir.schedule import SEGMENT
from litspike.engine.ir.trace import Program

BLOCK = 32
"""Neurons to a program instance: one warp, so that a small layer too spreads over the whole GPU."""


class GpuKernel(Kernel):
    """A program as Triton kernels, compiled at the first call by Triton, which keeps them on disk; see :class:`Kernel`.

    It needs Triton.
    """

    block = BLOCK

    def __init__(self, program: Program, kinds: str, wanted: Sequence[bool]) -> None:
        super().__init__(program, f"t{kinds[1:]}", wanted)
        leaves = [nest.Leaf(nest.Kind(kind), wants) for kind, wants in zip(self.kinds, wanted, strict=True)]
        nests = [schedule.forward_nest(program, leaves)]
        if self.learns:
            nests.append(schedule.backward_nest(program, leaves))
        self._functions = load(module_text(nests, program))

    def __call__(self, current: Tensor, leaves: Sequence[Leaf], steps: int | None) -> Sequence[Tensor]:
        """See :class:`Kernel`; the gradient of an input that is the same at every step is summed by autograd."""
        return super().__call__(current if steps is None else current.expand(steps, *current.shape), leaves, None)

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
        self._start("forward", steps, batch, current, *leaves, output, *lasts, kept)

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
        first = 1 + self.states
        places = [*result[: self.wanted[0]], *result[1:first]]
        places += [grad for grad in result[first:] if grad is not None]
        room = [current.new_empty(SEGMENT * self.states, *batch)] * bool(self.states)
        away = distance(upstream, batch, prod(batch))
        self._start("backward", steps, batch, current, *leaves, kept, upstream, away, *lasts, *places, *room)

    def _start(self, name: str, steps: int, batch: Sequence[int], current: Tensor, *arguments: Any) -> None:
        neurons = prod(batch)
        if blocks := self.blocks(neurons):  # a GPU takes no empty grid
            with torch.cuda.device_of(current):  # type: ignore[no-untyped-call]
                # Without fusion of products into sums, as the reference rounds both.
                self._functions[name][(blocks,)](
                    steps, neurons, current, distance(current, batch, neurons), *arguments,
                    BLOCK=BLOCK, num_warps=1, enable_fp_fusion=False,
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
