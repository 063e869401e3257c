"""One time step of one sample through products and neurons, in one call of machine code."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from litspike.engine.autograd import Launch
from litspike.engine.call import kernel_for
from litspike.engine.cpu.kernel import CpuKernel
from litspike.engine.cpu.openmp import Function
from litspike.engine.events.row import RowProduct
from litspike.engine.inputs import Inputs, Real
from litspike.engine.ir.surroundings import Untraceable
from litspike.engine.rule import Rule

_CALLS = """
define void @calls(ptr %table, i64 %many) nounwind {
entry:
br label %head
head:
%number = phi i64 [ 0, %entry ], [ %next, %body ]
%more = icmp slt i64 %number, %many
br i1 %more, label %body, label %exit
body:
%first = mul i64 %number, 3
%function.at = getelementptr i64, ptr %table, i64 %first
%function = load ptr, ptr %function.at
%arguments.at = getelementptr i64, ptr %function.at, i64 1
%arguments = load ptr, ptr %arguments.at
%blocks.at = getelementptr i64, ptr %function.at, i64 2
%blocks = load i64, ptr %blocks.at
call void %function(ptr %arguments, i64 0, i64 %blocks)
%next = add i64 %number, 1
br label %head
exit:
ret void
}
"""
"""Calls the kernels of a table one after another: of each its address, that of its arguments, and its blocks."""


class Stepper:
    """Products and neurons one after another, each in memory of its own; what they are is given once.

    Call: ``stepper(x)``, from the input of a step [inputs] to its output [outputs]. The states stay inside.

    Args:
        inputs: of a step.
        dtype: float32 or float64.
    """

    def __init__(self, inputs: int, dtype: torch.dtype) -> None:
        self._input = self._output = torch.zeros(inputs, dtype=dtype)
        self._calls: list[list[tuple[Function, bytes, int]]] = [[], []]  # of an even step, and of an odd one
        self._layers: list[_Layer] = []
        self._held: list[Any] = []  # what the kernels' arguments point to
        self._tables: list[Any] = []
        self._odd = 0

    @property
    def inputs(self) -> int:
        """Of a step."""
        return len(self._input)

    @property
    def size(self) -> int:
        """Outputs of what was added last."""
        return len(self._output)

    def add_product(self, product: RowProduct, bias: Tensor | None) -> None:
        """Go on with ``weight · x + bias``."""
        start = self._output.new_zeros(product.outputs)
        if bias is not None:
            start += bias
        self._add_product(product, self._output, start)

    def add_neurons(self, name: str, rule: Rule, rest: Sequence[Real], constants: Sequence[Real]) -> bool:
        """Go on with a step of neurons; False where there is no kernel for it."""
        return self._add_neurons(name, rule, rest, constants, torch.zeros_like(self._output), False)

    def add_recurrent(
        self, name: str, rule: Rule, rest: Sequence[Real], constants: Sequence[Real], product: RowProduct
    ) -> bool:
        """Go on with a step of neurons that get their last output back through a product."""
        last = torch.zeros_like(self._output)
        self._add_product(product, last, self._output)
        return self._add_neurons(name, rule, rest, constants, last, True)

    def _add_product(self, product: RowProduct, x: Tensor, start: Tensor) -> None:
        y = torch.empty_like(start)
        call = (*product.prepared(x, start, y), 1)
        for calls in self._calls:
            calls.append(call)
        self._held += [product, x, start]
        self._output = y

    def _add_neurons(
        self, name: str, rule: Rule, rest: Sequence[Real], constants: Sequence[Real], output: Tensor, recurrent: bool
    ) -> bool:
        current = self._output.view(1, 1, -1)
        even, odd = ([torch.zeros_like(current[0]) for _ in rest] for _ in range(2))
        inputs = Inputs.checked(name, current, even, constants)
        kernel = kernel_for(rule.step, rule, inputs, name, {"cpu": CpuKernel})
        if isinstance(kernel, Untraceable):
            return False
        fixed = [*inputs.values[len(rest) :], *kernel.numbers]
        for calls, before, after in zip(self._calls, (even, odd), (odd, even), strict=True):
            launch = Launch.of(current, [*before, *fixed], None)
            calls.append((*kernel.prepared(launch, output, after), kernel.blocks(launch)))
        self._layers.append(_Layer((even, odd), rest, output if recurrent else None))
        self._held += [current, kernel, fixed]
        self._output = output
        return True

    def reset(self) -> None:
        """Go back to rest."""
        self._odd = 0
        for layer in self._layers:
            for state, value in zip(layer.states[0], layer.rest, strict=True):
                state[:] = value
            if layer.last is not None:
                layer.last.zero_()

    def finish(self) -> None:
        """Nothing more is added: begin at rest."""
        for calls in self._calls:
            table = (ctypes.c_int64 * (3 * len(calls)))()
            for number, (function, arguments, blocks) in enumerate(calls):
                held = ctypes.create_string_buffer(arguments, len(arguments))
                self._held.append(held)
                table[3 * number : 3 * number + 3] = [function.address, ctypes.addressof(held), blocks]
            self._tables.append(table)
        self._run, self._many = _calls(), len(self._calls[0])
        self.reset()

    def __call__(self, x: Tensor) -> Tensor:
        """The output of one more step."""
        self._input.copy_(x)
        self._run(self._tables[self._odd], self._many)
        self._odd ^= 1
        return self._output.clone()

    def states(self) -> list[tuple[list[Tensor], Tensor | None]]:
        """Of each layer of neurons a copy of its states after the last step and of what it feeds back, each [1, N]."""
        found: list[tuple[list[Tensor], Tensor | None]] = []
        for layer in self._layers:
            last = None if layer.last is None else layer.last.clone()[None]
            found.append(([state.clone() for state in layer.states[self._odd]], last))
        return found

    def resume(self, states: Sequence[tuple[Sequence[Tensor], Tensor | None]]) -> None:
        """Go on from states that were copied."""
        self._odd = 0
        for layer, (given, last) in zip(self._layers, states, strict=True):
            for state, value in zip(layer.states[0], given, strict=True):
                state.copy_(value)
            if layer.last is not None and last is not None:
                layer.last.copy_(last[0])


class _Layer(NamedTuple):
    states: tuple[list[Tensor], list[Tensor]]  # before an even step, and before an odd one
    rest: Sequence[Real]
    last: Tensor | None  # the output that is fed back


@cache
def _calls() -> Any:
    from litspike.engine.cpu.jit import load

    return ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)(load(_CALLS, ["calls"])[0])
