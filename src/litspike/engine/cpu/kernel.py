"""The fused CPU engine: a step and its adjoint as two functions that LLVM compiles for this processor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from struct import Struct

import torch
from torch import Tensor

from litspike.engine.autograd import Launch, LayerKernel
from litspike.engine.cpu.openmp import Function, run_blocks
from litspike.engine.inputs import Real
from litspike.engine.ir import schedule
from litspike.engine.ir.cutoff import cutoff
from litspike.engine.ir.nest import Leaf, Nest
from litspike.engine.ir.program import Program

Compiled = tuple[Function, Callable[..., bytes]]
"""A nest in machine code, and what packs its arguments."""


def compiled(nest: Nest, program: Program, block: int, **stored: torch.dtype) -> Compiled:
    """A nest in machine code, and what packs its arguments.

    Args:
        nest: of the program's step, or its adjoint.
        program: the step and its adjoint.
        block: neurons of a block, where it is no tile.
        stored: the dtype of arrays whose numbers are not of the program's dtype.
    """
    from litspike.engine.cpu.codegen import module_text
    from litspike.engine.cpu.jit import load

    (address,) = load(module_text(nest, program, block, stored), [nest.name])
    return Function.at(address), Struct("".join("qd"[kind == "number"] for _, kind in nest.arguments)).pack


class CpuKernel(LayerKernel):
    """A program compiled for this processor; see :class:`LayerKernel`. It needs llvmlite."""

    block = 512  # their states stay in the nearest cache while time runs

    def __init__(self, program: Program, leaves: Sequence[Leaf]) -> None:
        super().__init__(program, leaves)
        if self.learns:
            self.cutoff = cutoff(program)
        self._made: dict[tuple[torch.dtype, torch.dtype], tuple[Compiled, Compiled | None]] = {}
        self._functions(self.dtype, self.dtype)

    def stores(self, dtype: torch.dtype) -> bool:
        """See :class:`LayerKernel`."""
        from litspike.engine.cpu.half import readable

        return readable(dtype)

    def _functions(self, given: torch.dtype, output: torch.dtype) -> tuple[Compiled, Compiled | None]:
        """Forward and backward function for an input and an output of these dtypes."""
        if (given, output) not in self._made:
            program, leaves, block = self.program, self.leaves, self.block
            nest, backward = schedule.forward_nest(program, leaves, marked=self.cutoff), None
            forward = compiled(nest, program, block, x=given, out=output)
            if self.learns:
                stored = {"x": given, "g0": given, "gout": output}
                backward = compiled(schedule.backward_nest(program, leaves), program, block, **stored)
            self._made[given, output] = forward, backward
        return self._made[given, output]

    def prepared(self, launch: Launch, output: Tensor, lasts: Sequence[Tensor]) -> tuple[Function, bytes]:
        """The function that fills output, last states and what is saved, and its arguments."""
        marks = [] if self.cutoff is None else marks_of(launch)
        (function, pack), _ = self._functions(launch.current.dtype, output.dtype)
        arguments = pack(
            *first_arguments(launch), output.data_ptr(), *[last.data_ptr() for last in lasts], address(launch.saved),
            *marks,
        )  # fmt: skip
        return function, arguments

    def _launch(self, launch: Launch, output: Tensor, lasts: Sequence[Tensor]) -> None:
        run_blocks(*self.prepared(launch, output, lasts), self.blocks(launch), launch.steps * launch.neurons)

    def _launch_back(
        self, launch: Launch, upstream: Tensor, lasts: Sequence[Tensor | None], result: Sequence[Tensor | None]
    ) -> None:
        _, backward = self._functions(launch.current.dtype, upstream.dtype)
        assert backward is not None
        function, pack = backward
        arguments = pack(
            *first_arguments(launch), address(launch.saved), upstream.data_ptr(), launch.stride(upstream),
            *[address(grad) for grad in lasts], *[address(grad) for grad in result],
        )  # fmt: skip
        run_blocks(function, arguments, self.blocks(launch), launch.steps * launch.neurons)


def first_arguments(launch: Launch) -> tuple[Real, ...]:
    """What every kernel begins with: T, M, the input and its stride, states and constants."""
    values = [value.data_ptr() if isinstance(value, Tensor) else value for value in launch.values]
    return launch.steps, launch.neurons, launch.current.data_ptr(), launch.stride(launch.current), *values


def marks_of(launch: Launch) -> tuple[int, int]:
    """Where a launch's bits for places begin, and the bytes of a step; 0 where there is no room for them."""
    bits = None if launch.places is None else launch.places.bits
    return address(bits), 0 if bits is None else bits.stride(0)


def address(tensor: Tensor | None) -> int:
    """Where a tensor's values begin; 0 where it is missing."""
    return 0 if tensor is None else tensor.data_ptr()
