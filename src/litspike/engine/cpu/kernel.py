"""The fused CPU engine: a step and its adjoint as two functions that LLVM compiles for this processor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from struct import Struct
from typing import Any

import torch
from torch import Tensor

from litspike.engine.autograd import Kernel, Launch, LayerKernel
from litspike.engine.cpu.memory import address
from litspike.engine.cpu.openmp import Function, run_blocks
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


class Functions:
    """A nest in machine code, for each dtype that input and output are stored in.

    Args:
        nest: of the program's step, or its adjoint.
        program: the step and its adjoint.
        block: neurons of a block, where it is no tile.
        given: arrays that have the dtype of the input.
        output: the array that has the dtype of the output.
    """

    def __init__(self, nest: Nest, program: Program, block: int, given: Sequence[str], output: str) -> None:
        self.nest, self._program, self._block, self._names = nest, program, block, (given, output)
        self._made: dict[tuple[torch.dtype, torch.dtype], Compiled] = {}
        self(program.dtype, program.dtype)

    def __call__(self, given: torch.dtype, output: torch.dtype) -> Compiled:
        """The function for an input and an output of these dtypes, and what packs its arguments."""
        if (given, output) not in self._made:
            stored = {**dict.fromkeys(self._names[0], given), self._names[1]: output}
            self._made[given, output] = compiled(self.nest, self._program, self._block, **stored)
        return self._made[given, output]


class CpuKernel(LayerKernel):
    """A program compiled for this processor; see :class:`LayerKernel`. It needs llvmlite."""

    block = 512  # their states stay in the nearest cache while time runs

    def __init__(self, program: Program, leaves: Sequence[Leaf]) -> None:
        super().__init__(program, leaves)
        if self.learns:
            self.cutoff = cutoff(program)
        nest = schedule.forward_nest(program, leaves, marked=self.cutoff)
        self._forward = Functions(nest, program, self.block, ["x"], "out")
        if self.learns:
            nest = schedule.backward_nest(program, leaves)
            self._backward = Functions(nest, program, self.block, ["x", "g0"], "gout")

    def stores(self, dtype: torch.dtype) -> bool:
        """See :class:`LayerKernel`."""
        from litspike.engine.cpu.half import readable

        return readable(dtype)

    def prepared(self, launch: Launch, output: Tensor, lasts: Sequence[Tensor]) -> tuple[Function, bytes]:
        """The function that fills output, last states and what is saved, and its arguments."""
        marks = [] if self.cutoff is None else marks_of(launch)
        function, pack = self._forward(launch.current.dtype, output.dtype)
        arguments = pack(
            *first_arguments(self, launch), output.data_ptr(), *[last.data_ptr() for last in lasts],
            address(launch.saved), *marks,
        )  # fmt: skip
        return function, arguments

    def _launch(self, launch: Launch, output: Tensor, lasts: Sequence[Tensor]) -> None:
        run_blocks(*self.prepared(launch, output, lasts), self.blocks(launch), launch.steps * launch.neurons)

    def _launch_back(
        self, launch: Launch, upstream: Tensor, lasts: Sequence[Tensor | None], result: Sequence[Tensor | None]
    ) -> None:
        function, pack = self._backward(launch.current.dtype, upstream.dtype)
        arguments = pack(
            *first_arguments(self, launch), address(launch.saved), upstream.data_ptr(), launch.stride(upstream),
            *[address(grad) for grad in lasts], *[address(grad) for grad in result],
        )  # fmt: skip
        run_blocks(function, arguments, self.blocks(launch), launch.steps * launch.neurons)


def first_arguments(kernel: Kernel, launch: Launch) -> tuple[Any, ...]:
    """What every kernel begins with: T, M, the input and its stride, states and constants."""
    values: list[Any] = list(launch.values)
    for index in kernel.tensors:
        values[index] = values[index].data_ptr()
    return launch.steps, launch.neurons, launch.current.data_ptr(), launch.stride(launch.current), *values


def marks_of(launch: Launch) -> tuple[int, int]:
    """Where a launch's bits for places begin, and the bytes of a step; 0 where there is no room for them."""
    bits = None if launch.places is None else launch.places.bits
    return address(bits), 0 if bits is None else bits.stride(0)
