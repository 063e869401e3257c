"""What the kernels of recurrent layers share: the autograd function around one, and the gradient of its weight."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from litspike.engine.autograd import Kernel, Launch, check_readable, upstream_of
from litspike.engine.cpu.memory import fresh
from litspike.engine.events.choice import is_finite, pays, sampled_feedback_pays
from litspike.engine.events.places import Places
from litspike.engine.events.product import events, weight_gradient
from litspike.engine.first_order import first_order, link
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
        given: list[Any] = [current, *feedback, *tensors]
        results: Sequence[Tensor] = _Recurrent.apply(self, values, output, link(*given), *given)  # type: ignore[no-untyped-call]
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
        zeros = (feedback.weight * 0).sum(1)  # but NaN where a weight is one: it isn't added where nothing fires
        start = zeros if feedback.bias is None else feedback.bias + zeros
        self._launch(launch, feedback._replace(bias=start), total, output, lasts)
        return output, *lasts

    @abstractmethod
    def _launch(
        self, launch: Launch, feedback: Feedback, total: Tensor | None, output: Tensor, lasts: Sequence[Tensor]
    ) -> None:
        """Fill output, last output and states, and what is saved. The feedback has a bias."""

    @abstractmethod
    def adjoint(self, launch: Launch, weight: Tensor, grads: Sequence[Tensor | None]) -> list[Tensor | None]:
        """Gradients of the total inputs (the launch's input), of the first states and of the constants.

        Args:
            launch: on the total inputs.
            weight: of the feedback.
            grads: those of output, last output and last states.
        """

    def gradients(
        self,
        launch: Launch,
        first: Tensor,
        weight: Tensor,
        output: Tensor,
        grads: Sequence[Tensor | None],
        wanted: Sequence[bool],
    ) -> list[Tensor | None]:
        """Gradients of input, first output, weight and bias, where ``wanted``, and of the tensors among the values.

        Args:
            launch: as for :meth:`adjoint`, as are weight and grads.
            first: the output before the first step.
            weight: of the feedback.
            output: of every step.
            grads: those of output, last output and last states.
            wanted: of input, first output, weight and bias.
        """
        total, *others = self.adjoint(launch, weight, grads)
        assert total is not None
        of_input, of_first, of_weight, of_bias = wanted
        flat = total.view(-1, len(weight))
        return [
            total if of_input else None,
            (total[0].flatten(1) @ weight).view_as(first) if of_first else None,
            _by_weight(torch.cat([first[None], output[:-1]]).view(-1, len(weight)), flat) if of_weight else None,
            flat.sum(0) if of_bias else None,
            *[others[index] for index in self.tensors],
        ]


class _Recurrent(torch.autograd.Function):
    """A recurrent kernel under autograd."""

    @staticmethod
    def forward(
        ctx: Any,
        kernel: RecurrentKernel,
        values: Sequence[Real],
        dtype: torch.dtype,
        tie: Tensor,
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
            ctx.save_for_backward(tie, total, launch.saved, bits, results[0], *feedback[:2], *tensors)
            ctx.rest = kernel, kernel.numbers_of(values), dtype, current.dtype
            ctx.density = 1.0 if launch.places is None else launch.places.density  # read by the product of the output
        return results

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        """Gradients of the tensors that forward took."""
        kernel, numbers, dtype, of_current = ctx.rest
        check_readable(grads)
        tie, total, saved, bits, output, first, weight, *tensors = ctx.saved_tensors
        launch = Launch.of(total, kernel.with_tensors(numbers, tensors), None, dtype)
        few = bits is not None and sampled_feedback_pays(ctx.density, len(weight))
        places = Places(bits, launch.neurons) if few else None
        again = torch.is_grad_enabled()
        with torch.no_grad():
            upstream = upstream_of(grads[0], bits, launch.neurons)
            launch, after = launch._replace(saved=saved, places=places), [upstream, *grads[1:]]
            gradients = kernel.gradients(launch, first, weight, output, after, ctx.needs_input_grad[4:8])
            if gradients[0] is not None:
                gradients[0] = gradients[0].to(of_current)
        if again:
            gradients = first_order(gradients, tie)
        return None, None, None, None, *gradients


def _by_weight(before: Tensor, flat: Tensor) -> Tensor:
    if before.device.type == "cpu" and pays(before, flat.shape[1]) and is_finite(flat):
        return weight_gradient(events(before), flat)
    return flat.T @ before
