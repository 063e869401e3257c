"""What the kernels of recurrent layers share: the autograd function around one, and the gradient of its weight."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from litspike.engine.autograd import Kernel, Launch, first_order, numbers_of, upstream_of, with_tensors
from litspike.engine.cpu.memory import fresh
from litspike.engine.events.choice import pays, sampled_feedback_pays
from litspike.engine.events.places import Places
from litspike.engine.events.product import events, weight_gradient
from litspike.engine.inputs import Feedback, Real


class RecurrentKernel(Kernel, ABC):
    """A step with feedback and its adjoint, compiled for one kind of device.

    Its program has the gradient of its input where any gradient is wanted.

    Raises:
        ImportError: if what compiles it is not installed.
    """

    largest: ClassVar[int | None] = None
    """Neurons of a sample at most, if there is a bound."""

    def __call__(
        self, current: Tensor, feedback: Feedback, values: Sequence[Real], output: torch.dtype
    ) -> Sequence[Tensor]:
        """Output [T, B, *], last output and last states.

        Args:
            current: [T, B, *].
            feedback: first output, weight and bias.
            values: states and constants.
            output: dtype of the output.
        """
        values = [*values, *self.numbers]
        tensors = [values[index] for index in self.tensors]
        results: Sequence[Tensor] = _Recurrent.apply(self, values, output, current, *feedback, *tensors)  # type: ignore[no-untyped-call]
        return results

    def stores(self, dtype: torch.dtype) -> bool:
        """Whether it reads an input and writes an output of this dtype."""
        return dtype is self.dtype

    @property
    def fires(self) -> bool:
        """Whether the output is 0 or 1, which any dtype holds exactly."""
        return self.program.nodes[self.program.outputs[0]].operation == "float"

    def run(self, launch: Launch, feedback: Feedback, total: Tensor | None) -> tuple[Tensor, ...]:
        """Output, last output and last states; the total input of each step, with the feedback, goes to ``total``."""
        output = fresh(launch.current.new_empty(0, dtype=launch.output), launch.steps, *launch.batch)
        lasts = [launch.current.new_empty(*launch.batch, dtype=self.dtype) for _ in range(1 + self.states)]
        self._launch(launch, feedback, total, output, lasts)
        return output, *lasts

    @abstractmethod
    def _launch(
        self, launch: Launch, feedback: Feedback, total: Tensor | None, output: Tensor, lasts: Sequence[Tensor]
    ) -> None:
        """Fill output, last output and states, and what is saved."""

    @abstractmethod
    def adjoint(self, launch: Launch, weight: Tensor, grads: Sequence[Tensor | None]) -> list[Tensor | None]:
        """Gradients of the total inputs (the launch's input), of the first states and of the constants.

        Args:
            launch: on the total inputs.
            weight: of the feedback.
            grads: those of output, last output and last states.
        """


class _Recurrent(torch.autograd.Function):
    """A recurrent kernel under autograd."""

    @staticmethod
    def forward(
        ctx: Any,
        kernel: RecurrentKernel,
        values: Sequence[Real],
        dtype: torch.dtype,
        current: Tensor,
        first: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        *tensors: Tensor,
    ) -> tuple[Tensor, ...]:
        """Output, last output and last states."""
        feedback = Feedback(first.contiguous(), weight.contiguous(), bias)
        launch, total = Launch.of(current, values, None, dtype), None
        ctx.set_materialize_grads(False)
        if any(ctx.needs_input_grad):
            launch = kernel.with_room(launch)
            total = fresh(first.new_empty(0, dtype=kernel.dtype), launch.steps, *launch.batch)
        results = kernel.run(launch, feedback, total)
        if total is not None:
            bits = None if launch.places is None else launch.places.bits
            ctx.save_for_backward(total, launch.saved, bits, results[0], *feedback[:2], *tensors)
            ctx.rest = kernel, numbers_of(values), dtype, current.dtype
            ctx.density = 1.0 if launch.places is None else launch.places.density  # read by the product of the output
        return results

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        """Gradients of the tensors that forward took."""
        kernel, numbers, dtype, of_current = ctx.rest
        total, saved, bits, output, first, weight, *tensors = ctx.saved_tensors
        launch = Launch.of(total, with_tensors(kernel, numbers, tensors), None, dtype)
        few = bits is not None and sampled_feedback_pays(ctx.density, len(weight))
        places = Places(bits, launch.neurons) if few else None
        _, _, _, wants_current, wants_first, wants_weight, wants_bias, *_ = ctx.needs_input_grad
        again = torch.is_grad_enabled()
        with torch.no_grad():
            upstream = upstream_of(grads[0], bits, launch.neurons)
            found = kernel.adjoint(launch._replace(saved=saved, places=places), weight, [upstream, *grads[1:]])
            by_input = found[0]
            assert by_input is not None
            flat = by_input.view(-1, len(weight))
            before = torch.cat([first[None], output[:-1]]).view(-1, len(weight)) if wants_weight else None
            gradients = [
                by_input.to(of_current) if wants_current else None,
                (by_input[0].reshape(len(first), -1) @ weight).view_as(first) if wants_first else None,
                None if before is None else _by_weight(before, flat),
                flat.sum(0) if wants_bias else None,
                *[found[1 + index] for index in kernel.tensors],
            ]
        if again:
            gradients = first_order(gradients, total, *tensors)
        return None, None, None, *gradients


def _by_weight(before: Tensor, flat: Tensor) -> Tensor:
    if before.device.type == "cpu" and pays(before, flat.shape[1]):
        return weight_gradient(events(before), flat)
    return flat.T @ before
