"""The fused CPU engine: a step and its adjoint as two functions that LLVM compiles for this processor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from struct import Struct
from typing import Any

from torch import Tensor

from litspike.engine.autograd import Kernel, Leaf, distance
from litspike.engine.cpu.openmp import Function, run_blocks
from litspike.engine.ir import nest, schedule
from litspike.engine.ir.nest import Nest
from litspike.engine.ir.trace import Program


def compiled(nest: Nest, program: Program, block: int) -> tuple[Function, Callable[..., bytes]]:
    """A nest in machine code, and what packs its arguments.

    Args:
        nest: of the program's step, or its adjoint.
        program: the step and its adjoint.
        block: neurons of a block, where it is no tile.
    """
    from litspike.engine.cpu.codegen import module_text
    from litspike.engine.cpu.jit import load

    (address,) = load(module_text(nest, program, block), [nest.name])
    return Function.at(address), Struct("".join("qd"[kind == "number"] for _, kind in nest.arguments)).pack


class CpuKernel(Kernel):
    """A program compiled for this processor; see :class:`Kernel`. It needs llvmlite."""

    block = 512  # their states stay in the nearest cache while time runs

    def __init__(self, program: Program, kinds: str, wanted: Sequence[bool]) -> None:
        super().__init__(program, kinds, wanted)
        leaves = [nest.Leaf(nest.Kind(kind), wants) for kind, wants in zip(kinds, wanted, strict=True)]
        self.forward, self.pack_forward = compiled(schedule.forward_nest(program, leaves), program, self.block)
        if self.learns:
            self.backward, self.pack_backward = compiled(schedule.backward_nest(program, leaves), program, self.block)
            self.returned = [index for index in range(len(kinds)) if wanted[index] or 1 <= index <= program.states]

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
        total = output.numel()
        neurons = total // steps
        arguments = self.pack_forward(
            steps, neurons, current.data_ptr(), distance(current, batch, neurons), *self._places(leaves),
            output.data_ptr(), *[last.data_ptr() for last in lasts], _place(kept),
        )  # fmt: skip
        run_blocks(self.forward, arguments, self.blocks(neurons), total)

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
        neurons = prod(batch)
        arguments = self.pack_backward(
            steps, neurons, current.data_ptr(), distance(current, batch, neurons), *self._places(leaves),
            _place(kept), upstream.data_ptr(), distance(upstream, batch, neurons),
            *[_place(grad) for grad in lasts], *[_place(result[index]) for index in self.returned],
        )  # fmt: skip
        run_blocks(self.backward, arguments, self.blocks(neurons), steps * neurons)

    def _places(self, leaves: Sequence[Any]) -> Sequence[float]:
        if not self.tensors:
            return leaves
        return [leaf.data_ptr() if isinstance(leaf, Tensor) else leaf for leaf in leaves]


def _place(tensor: Tensor | None) -> int:
    return 0 if tensor is None else tensor.data_ptr()
