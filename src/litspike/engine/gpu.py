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

from litspike.engine.cpu import Fused, Leaf, rows
from litspike.engine.kernels import SEGMENT
from litspike.engine.tiles import source
from litspike.engine.trace import Program

BLOCK = 32
"""Neurons to a program instance: one warp, so that a small layer too spreads over the whole GPU."""


class GpuKernel:
    """A program as Triton kernels, compiled at the first call by Triton, which keeps them on disk.

    Args:
        program: the step and its adjoint.
        kinds: where each leaf is found; see :func:`litspike.engine.kernels.forward_text`.
        wanted: for each leaf, whether its gradient is asked for.

    Raises:
        ImportError: if triton is not installed.
    """

    def __init__(self, program: Program, kinds: str, wanted: Sequence[bool]) -> None:
        self.program, self.wanted, self.states = program, wanted, program.states
        self.kinds = f"t{kinds[1:]}"
        self.tensors = [index for index, kind in enumerate(kinds[1:]) if kind != "n"]  # of the leaves after the input
        self.learns = any(wanted)
        self._functions = load(source(program, self.kinds))

    def __call__(self, current: Tensor, leaves: Sequence[Leaf], steps: int | None) -> Sequence[Tensor]:
        """Output and last states. The current is [T, B, *], or [B, *] where ``steps`` is given."""
        if steps is not None:
            current = current.expand(steps, *current.shape)
        if self.learns:
            tensors = [leaves[index] for index in self.tensors]
            results: Sequence[Tensor] = Fused.apply(self, leaves, None, current, *tensors)  # type: ignore[no-untyped-call]
            return results
        return self.run(*rows(current, None), leaves, None)

    def run(
        self, current: Tensor, steps: int, batch: Sequence[int], leaves: Sequence[Leaf], kept: Tensor | None
    ) -> tuple[Tensor, ...]:
        """Run forward, writing the states before every SEGMENT-th step but the first into ``kept`` if it is given.

        The current is contiguous, [T, B, *], or [B, *] if it is the same at every step; ``batch`` is [B, *].
        """
        output = current.new_empty(steps, *batch)
        lasts = [current.new_empty(batch) for _ in range(self.states)]
        self._launch("forward", steps, batch, current, *leaves, output, *lasts, kept)
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
        upstream = current.new_zeros(batch) if grads[0] is None else rows(grads[0], None)[0]
        lasts = [None if grad is None else grad.contiguous() for grad in grads[1:]]
        result: list[Tensor | None] = []
        for kind, flag in zip(self.kinds, self.wanted, strict=True):
            if not flag:
                result.append(None)
            elif kind == "s":
                result.append(current.new_empty(_blocks(batch), dtype=torch.float64))
            else:
                result.append(current.new_empty((steps, *batch) if kind == "t" else batch))
        first = 1 + self.states
        places = [*result[: self.wanted[0]], *result[1:first]]
        places += [grad for grad in result[first:] if grad is not None]
        past = current.new_empty(SEGMENT * self.states, *batch)
        distance = _distance(upstream, batch)
        self._launch("backward", steps, batch, current, *leaves, kept, upstream, distance, *lasts, past, *places)
        for index, kind in enumerate(self.kinds):
            if kind == "s" and (grad := result[index]) is not None:
                result[index] = grad.sum().to(current.dtype)
        return result

    def _launch(self, name: str, steps: int, batch: Sequence[int], current: Tensor, *arguments: Any) -> None:
        if blocks := _blocks(batch):  # a GPU takes no empty grid
            with torch.cuda.device_of(current):  # type: ignore[no-untyped-call]
                # Without fusion of products into sums, as the reference rounds both.
                self._functions[name][(blocks,)](
                    steps, prod(batch), current, _distance(current, batch), *arguments,
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


def _blocks(batch: Sequence[int]) -> int:
    return -(-prod(batch) // BLOCK)


def _distance(tensor: Tensor, batch: Sequence[int]) -> int:
    """Distance between the steps of a tensor [T, B, *], or [B, *] if it is the same at every step."""
    return 0 if tensor.dim() == len(batch) else prod(batch)
