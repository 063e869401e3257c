"""What the fused engines share: a kernel's launch and results, and the autograd function around them."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Sequence
from math import prod
from typing import Any, ClassVar, NamedTuple, Self

import torch
from torch import Tensor

from litspike.engine.cpu.memory import fresh
from litspike.engine.events.gradient import PendingGradient
from litspike.engine.events.places import Places
from litspike.engine.events.recipe import Recipe
from litspike.engine.first_order import NO_SECOND_ORDER, first_order
from litspike.engine.inputs import Real
from litspike.engine.ir.nest import Kind, Leaf
from litspike.engine.ir.operations import Value
from litspike.engine.ir.program import Program
from litspike.engine.ir.schedule import SEGMENT
from litspike.engine.modes import is_batch
from litspike.settings import UserError


class Launch(NamedTuple):
    """What a kernel is run on.

    Args:
        current: contiguous, [T, B, *], or [B, *] if it is the same at every step.
        steps: T.
        batch: [B, *].
        neurons: their product.
        values: states and constants.
        saved: room for the states before every segment but the first, [.., states, B, *], or None.
        places: room for the places where the gradient of the output matters, or None.
        output: dtype of the output.
    """

    current: Tensor
    steps: int
    batch: Sequence[int]
    neurons: int
    values: Sequence[Real]
    saved: Tensor | None = None
    places: Places | None = None
    output: torch.dtype | None = None

    @classmethod
    def of(
        cls, current: Tensor, values: Sequence[Real], steps: int | None, output: torch.dtype | None = None
    ) -> Launch:
        """The launch for an input [T, B, *], or [B, *] where ``steps`` is given."""
        current, many, batch = rows(current, steps)
        return cls(current, many, batch, prod(batch), values, output=output or current.dtype)

    def stride(self, tensor: Tensor) -> int:
        """Stride between the steps of a tensor [T, B, *], or [B, *] if it is the same at every step."""
        return 0 if tensor.dim() == len(self.batch) else self.neurons

    def upstream(self, grads: Sequence[Tensor | None]) -> tuple[Tensor, list[Tensor | None]]:
        """The gradients of output and last states as a kernel reads them."""
        first, *lasts = grads
        first = self.current.new_zeros(self.batch, dtype=self.output) if first is None else rows(first, None)[0]
        return first.resolve_neg(), [None if grad is None else grad.contiguous().resolve_neg() for grad in lasts]


class Kernel:
    """A step and its adjoint, compiled.

    Args:
        program: the step and its adjoint.
        leaves: its input, states and constants.
    """

    cutoff: Value | None = None
    """What the gradient of the output is multiplied by, where that is zero at many places that the kernel marks."""

    def __init__(self, program: Program, leaves: Sequence[Leaf]) -> None:
        self.program, self.leaves = program, tuple(leaves)
        self.dtype, self.states = program.dtype, program.states
        self.learns = any(leaf.wants_gradient for leaf in leaves)
        self.tensors = [index for index, leaf in enumerate(leaves[1:]) if leaf.kind is not Kind.NUMBER]  # of the values
        self.gradients_of = [(index, leaf.kind) for index, leaf in enumerate(leaves) if leaf.wants_gradient]
        self.returned = [index for index, leaf in enumerate(leaves) if leaf.wants_gradient or 1 <= index <= self.states]
        self.numbers: list[float] = []

    def with_room(self, launch: Launch) -> Launch:
        """The launch with room for what the backward pass needs: states, and where the output's gradient matters."""
        if self.cutoff is not None:
            launch = launch._replace(places=Places.room(launch.steps, launch.neurons))
        segments = (launch.steps - 1) // self.segment(self.program)
        if not segments or not self.states:
            return launch
        return launch._replace(saved=launch.current.new_empty(segments, self.states, *launch.batch, dtype=self.dtype))

    def numbers_of(self, values: Sequence[Real]) -> list[Any]:
        """The values without their tensors, for the backward pass: autograd saves these."""
        numbers: list[Any] = list(values)
        for index in self.tensors:
            numbers[index] = None
        return numbers

    def with_tensors(self, numbers: Sequence[Any], tensors: Sequence[Tensor]) -> list[Any]:
        """The values, put together from :meth:`numbers_of` and their tensors."""
        values = list(numbers)
        for index, tensor in zip(self.tensors, tensors, strict=True):
            values[index] = tensor
        return values

    @staticmethod
    def segment(program: Program) -> int:
        """Steps of a segment, before each of which but the first the states are saved for the backward pass."""
        return SEGMENT

    def with_numbers(self, numbers: list[float]) -> Self:
        """The same kernel with these as the last of its values, which calls then leave out."""
        kernel = copy.copy(self)
        kernel.numbers = numbers
        return kernel

    def room_for_gradients(self, launch: Launch, blocks: int) -> list[Tensor | None]:
        """A tensor for each gradient that is wanted; of what all neurons share, a double for each block."""
        result: list[Tensor | None] = [None] * len(self.leaves)
        for index, kind in self.gradients_of:
            if kind is Kind.SHARED:
                result[index] = launch.current.new_empty(blocks, dtype=torch.float64)
            elif kind is Kind.PER_STEP:
                result[index] = fresh(launch.current, launch.steps, *launch.batch)
            else:
                dtype = launch.current.dtype if index == 0 else self.dtype
                result[index] = launch.current.new_empty(*launch.batch, dtype=dtype)
        return result

    def summed(self, result: list[Tensor | None]) -> list[Tensor | None]:
        """The gradients, where each block has written its part."""
        for index, kind in self.gradients_of:
            if kind is Kind.SHARED and (grad := result[index]) is not None:
                result[index] = grad.sum().to(self.dtype)
        return result


class LayerKernel(Kernel, ABC):
    """A kernel for neurons that don't see each other, on one kind of device.

    Raises:
        ImportError: if what compiles it is not installed.
    """

    block: ClassVar[int]
    """Neurons that are taken together; a constant of the layer gets a part of its gradient from each block."""
    present: ClassVar[bool] = True
    """Whether what compiles it is installed; no call, as a compiler of graphs reads it."""

    def stores(self, dtype: torch.dtype) -> bool:
        """Whether it reads an input and writes an output of this dtype."""
        return dtype is self.dtype

    def __call__(
        self, current: Tensor, values: Sequence[Real], steps: int | None, output: torch.dtype | None = None
    ) -> Sequence[Tensor]:
        """Output and last states. The current is [T, B, *], or [B, *] where ``steps`` is given.

        The output has the input's dtype where no other is given.
        """
        if self.numbers:
            values = [*values, *self.numbers]
        if self.learns:
            tensors = [values[index] for index in self.tensors]
            results: Sequence[Tensor] = Fused.apply(self, values, steps, output, current, *tensors)  # type: ignore[no-untyped-call]
            return results
        return self.run(Launch.of(current, values, steps, output))

    def run(self, launch: Launch) -> tuple[Tensor, ...]:
        """Output and last states."""
        current = launch.current
        output = fresh(current.new_empty(0, dtype=launch.output), launch.steps, *launch.batch)
        lasts = [current.new_empty(*launch.batch, dtype=self.dtype) for _ in range(self.states)]
        self._launch(launch, output, lasts)
        return output, *lasts

    def adjoint(self, launch: Launch, grads: Sequence[Tensor | None]) -> list[Tensor | None]:
        """Gradients of input, states and constants from those of output and last states."""
        result = self.room_for_gradients(launch, self.blocks(launch))
        self._launch_back(launch, *launch.upstream(grads), [result[index] for index in self.returned])
        return self.summed(result)

    def blocks(self, launch: Launch) -> int:
        """Number of blocks of the neurons of a batch."""
        return -(-launch.neurons // self.block)

    @abstractmethod
    def _launch(self, launch: Launch, output: Tensor, lasts: Sequence[Tensor]) -> None:
        """Fill output, last states and what is saved."""

    @abstractmethod
    def _launch_back(
        self, launch: Launch, upstream: Tensor, lasts: Sequence[Tensor | None], result: Sequence[Tensor | None]
    ) -> None:
        """Fill the gradients of the leaves that are ``returned``, where there is a tensor for one."""


class Fused(torch.autograd.Function):
    """A kernel under autograd. The tensors among the values are given once more, for autograd to see.

    What a product of spikes made is made again in the backward pass: of a chain of layers
    the events are saved, and not the currents.
    """

    @staticmethod
    def forward(
        ctx: Any,
        kernel: LayerKernel,
        values: Sequence[Real],
        steps: int | None,
        output: torch.dtype | None,
        current: Tensor,
        *tensors: Tensor,
    ) -> tuple[Tensor, ...]:
        """Output and last states."""
        # Here, where autograd doesn't see it: the gradient is that of the input as it came.
        launch = kernel.with_room(Launch.of(current, values, steps, output))
        results = kernel.run(launch)
        recipe = Recipe.of_current(current)
        ctx.set_materialize_grads(False)
        again = [current] if recipe is None else recipe.tensors
        bits = None if launch.places is None else launch.places.bits
        ctx.save_for_backward(launch.saved, bits, *again, *tensors)
        ctx.rest = kernel, steps, kernel.numbers_of(values), launch.output
        ctx.recipe, ctx.many = None if recipe is None else recipe._replace(tensors=()), len(again)
        ctx.density = 1.0 if launch.places is None else launch.places.density  # read by the product of the output
        return results

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        """Gradients of the tensors that forward took."""
        kernel, steps, numbers, output = ctx.rest
        check_readable(grads)
        saved, bits, *rest = ctx.saved_tensors
        made, tensors = rest[: ctx.many], rest[ctx.many :]
        current = made[0] if ctx.recipe is None else ctx.recipe._replace(tensors=made).again()
        values = kernel.with_tensors(numbers, tensors)
        launch = Launch.of(current, values, steps, output)._replace(saved=saved)
        again = torch.is_grad_enabled()  # someone wants to differentiate these gradients in turn
        upstream = upstream_of(grads[0], bits, launch.neurons)
        with torch.no_grad():
            gradients: list[Tensor | None] = kernel.adjoint(launch, [upstream, *grads[1:]])
        if again:
            if ctx.recipe is not None and ctx.next_functions[0][0].next_functions[0][0] is not None:
                raise UserError(NO_SECOND_ORDER)  # its spikes depend on what is differentiated, and are not saved
            gradients = first_order(gradients, *made, *tensors)
        return None, None, None, None, gradients[0], *[gradients[1 + index] for index in kernel.tensors]


def check_readable(grads: Sequence[Tensor | None]) -> None:
    """Refuse gradients that no kernel reads. Raises :class:`UserError`."""
    for grad in grads:
        if grad is None or type(grad) is PendingGradient:
            continue
        if is_batch(grad):
            problem = "has no backward pass of a batch at once"
        elif grad.numel() and not grad.data_ptr():
            problem = f"reads no gradient of kind {type(grad).__name__}, which has no memory of its own"
        else:
            continue
        raise UserError(f"the fused engine {problem}; set engine: 'reference' on the neuron")


def upstream_of(grad: Tensor | None, bits: Tensor | None, neurons: int) -> Tensor | None:
    """The gradient of an output as an ordinary tensor; one that waits is worked out where bits are set, if given."""
    if type(grad) is not PendingGradient:
        return grad
    return grad.whole() if bits is None else grad.at(Places(bits, neurons))


def rows(current: Tensor, steps: int | None) -> tuple[Tensor, int, Sequence[int]]:
    """The memory of an input, T and [B, *]: contiguous [T, B, *], or [B, *] if it is the same at every step."""
    shape = current.shape
    if steps is None:
        steps, shape = shape[0], shape[1:]
        if not current.is_contiguous() and current.stride(0) == 0:
            current = current[0]
    return current if current.is_contiguous() else current.contiguous(), steps, shape
