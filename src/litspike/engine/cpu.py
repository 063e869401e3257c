"""The fused CPU engine: a step and its adjoint as two functions that LLVM compiles for this processor."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from struct import Struct
from typing import Any

from torch import Tensor

from litspike.engine.autograd import Kernel, Leaf, distance
from litspike.engine.kernels import backward_text, forward_text
from litspike.engine.llvm import BLOCK
from litspike.engine.threads import Function, run_blocks
from litspike.engine.trace import Program


class CpuKernel(Kernel):
    """A program compiled for this processor; see :class:`Kernel`. It needs llvmlite."""

    block = BLOCK

    def __init__(self, program: Program, kinds: str, wanted: Sequence[bool]) -> None:
        from litspike.engine.native import load

        super().__init__(program, kinds, wanted)
        self.forward: Function = load(forward_text(program, kinds), ["forward"])[0]
        fields = "qqqq" + "".join("d" if kind == "n" else "q" for kind in kinds[1:])
        self.pack_forward = Struct(f"{fields}{'q' * (2 + program.states)}").pack
        if self.learns:
            self.backward: Function = load(backward_text(program, kinds), ["backward"])[0]
            self.returned = [index for index in range(len(kinds)) if wanted[index] or 1 <= index <= program.states]
            self.pack_backward = Struct(f"{fields}qqq{'q' * (program.states + len(self.returned))}").pack

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
