"""The fused GPU engine: a step and its adjoint as two Triton kernels. They compute what the CPU's compute."""

from __future__ import annotations

import hashlib
import linecache
from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

from litspike.engine.cpu import Leaf, _Fused, _rows
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
        self.program, self.kinds, self.wanted = program, kinds, wanted
        self.learns = any(wanted)
        self._functions = load(source(program, kinds))

    def __call__(self, current: Tensor, leaves: Sequence[Leaf]) -> tuple[Tensor, ...]:
        """Output and last states."""
        if self.learns:
            outputs: tuple[Tensor, ...] = _Fused.apply(self, current, *leaves)  # type: ignore[no-untyped-call]
            return outputs
        return self.run(_rows(current), leaves, None)

    def run(self, current: Tensor, leaves: Sequence[Leaf], kept: Tensor | None) -> tuple[Tensor, ...]:
        """Run forward, writing the states before every SEGMENT-th step but the first into ``kept`` if it is given."""
        output = torch.empty_like(current, memory_format=torch.contiguous_format)
        lasts = [current.new_empty(current.shape[1:]) for _ in range(self.program.states)]
        self._launch("forward", current, *leaves, output, *lasts, kept)
        return output, *lasts

    def adjoint(
        self, current: Tensor, leaves: Sequence[Leaf], kept: Tensor | None, grads: Sequence[Tensor | None]
    ) -> list[Tensor | None]:
        """Gradients of input, states and constants from those of output and last states."""
        upstream = _rows(current.new_zeros(()).expand_as(current) if grads[0] is None else grads[0])
        lasts = [None if grad is None else grad.contiguous() for grad in grads[1:]]
        result: list[Tensor | None] = []
        for kind, flag in zip(self.kinds, self.wanted, strict=True):
            if not flag:
                result.append(None)
            elif kind == "s":
                result.append(current.new_empty(_blocks(current), dtype=torch.float64))
            else:
                result.append(current.new_empty(current.shape if kind == "t" else current.shape[1:]))
        first = 1 + self.program.states
        places = [*result[: self.wanted[0]], *result[1:first]]
        places += [grad for grad in result[first:] if grad is not None]
        past = current.new_empty(SEGMENT * self.program.states, *current.shape[1:])
        self._launch("backward", current, *leaves, kept, upstream, _distance(upstream), *lasts, past, *places)
        for index, kind in enumerate(self.kinds):
            if kind == "s" and (grad := result[index]) is not None:
                result[index] = grad.sum().to(current.dtype)
        return result

    def _launch(self, name: str, current: Tensor, *arguments: Any) -> None:
        steps, blocks = current.shape[0], _blocks(current)
        if blocks:  # a GPU takes no empty grid
            sizes = steps, current.numel() // steps
            with torch.cuda.device_of(current):  # type: ignore[no-untyped-call]
                # Without fusion of products into sums, as the reference rounds both.
                self._functions[name][(blocks,)](
                    *sizes, current, _distance(current), *arguments, BLOCK=BLOCK, num_warps=1, enable_fp_fusion=False
                )


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


def _blocks(current: Tensor) -> int:
    return -(-current.numel() // current.shape[0] // BLOCK)


def _distance(tensor: Tensor) -> int:
    """Distance between the steps of a tensor that :func:`_rows` gave."""
    return tensor[0].numel() if tensor.stride(0) else 0
