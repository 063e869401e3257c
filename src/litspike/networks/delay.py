"""Axonal delays: every neuron's spikes travel for a time of its own."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from litspike.arguments import InputError, typed
from litspike.engine import spikes
from litspike.networks.sequence import StatefulLayer
from litspike.neurons.learning import free_of, value_of
from litspike.settings import SettingError, integer, number


class AxonalDelay(StatefulLayer):
    r"""What each neuron puts out arrives after a delay of its own, fixed or learned.

    Equation, for neuron n with delay d_n in steps, where [d] is the nearest integer and x is 0 before the sequence::

        y_t,n = x_{t − [d_n], n}

    Backward, x gets exactly that gradient. A delay gets the derivative of the signal that a Gaussian of width σ has
    made smooth, taken at the delay's own, unrounded value::

        ∂y_t / ∂d = Σ_k x_{t − k} · (k − d) / σ² · G_σ(k − d),   0 ≤ k,  |k − [d]| ≤ 3σ

    so that spikes stay spikes, in training too. A learned delay is ``max_delay · sigmoid(free)``, one parameter for a
    neuron where a delay of each synapse would take one for a weight. It maps [T, B, \*shape] to [T, B, \*shape]; its
    state is what is still on its way, [B, steps, \*shape].

    Args:
        shape: of a sample at one step, [\*].
        max_delay: what no delay exceeds, in steps.
        delays: the delays to begin with, one for each neuron of the flat sample, in steps; where None, uniformly drawn
            from (0, max_delay) by torch's global generator.
        learn: whether the delays are learned; else they stay as they are.
        width: σ of the gradient, in steps.

    Raises:
        SettingError: if a setting is out of range, or there is not one delay for each neuron.
        InputError: if the samples have another shape.

    Source: Shrestha and Orchard 2018, "SLAYER: spike layer error reassignment in time", for axonal delays that are
    rounded forward; Hammouamri, Khalfaoui-Hassani and Masquelier 2024, "Learning delays in spiking neural networks
    using dilated convolutions with learnable spacings", for the Gaussian; arXiv 2602.09746, "Sparse axonal and
    dendritic delays enable competitive SNNs for keyword classification", for the place of the delays.

    Example:
        >>> import torch
        >>> from litspike.networks import AxonalDelay
        >>> delay = AxonalDelay([2], max_delay=3, delays=[0.0, 2.0], learn=False)
        >>> delay(torch.tensor([[[1.0, 1.0]], [[2.0, 2.0]], [[3.0, 3.0]]]))[0][:, 0].tolist()
        [[1.0, 0.0], [2.0, 0.0], [3.0, 1.0]]
    """

    @typed
    def __init__(
        self,
        shape: list[int],
        max_delay: int = 25,
        delays: list[float] | None = None,
        learn: bool = True,
        width: float = 1.0,
    ) -> None:
        super().__init__()
        self.shape = tuple(integer(f"shape[{index}]", size) for index, size in enumerate(shape))
        self.max_delay = integer("max_delay", max_delay)
        self.width = number("width", width, "(0, inf)")
        count = math.prod(self.shape)
        if delays is None:
            delays = (torch.rand(count).clamp(1e-6, 1 - 1e-6) * max_delay).tolist()
        if len(delays) != count:
            raise SettingError("delays", f"{len(delays)} numbers", f"is not one for each of the {count} neurons")
        self._interval = f"(0, {self.max_delay})"
        for value in delays:
            number("delays", value, f"[0, {self.max_delay}]")
        if learn:
            free = [free_of("delays", value, self._interval) for value in delays]
            self.free_delay = nn.Parameter(torch.tensor(free))
        else:
            self.register_buffer("fixed_delay", torch.tensor(delays, dtype=torch.float32))
        self.learn = learn

    @property
    def delay(self) -> Tensor:
        """The present delays in steps, not rounded, one for each neuron of the flat sample."""
        return value_of(self.free_delay, self._interval) if self.learn else self.get_buffer("fixed_delay")

    @property
    def reach(self) -> int:
        """Steps around a delay that its gradient takes part in."""
        return math.ceil(3 * self.width) if self.learn else 0

    def forward(self, x: Tensor, state: Any = None) -> tuple[Tensor, Tensor]:
        """[T, B, *shape] → the same, delayed, and what is on its way after it, [B, steps, *shape]."""
        if tuple(x.shape[2:]) != self.shape:
            raise InputError(f"AxonalDelay is for samples {list(self.shape)}, not {list(x.shape[2:])}")
        history = self.max_delay + self.reach
        before = x.new_zeros(history, *x.shape[1:]) if state is None else state.transpose(0, 1)
        if before.shape != (history, *x.shape[1:]):
            raise InputError(
                f"AxonalDelay: the state is {list(before.transpose(0, 1).shape)}, of another layer or batch"
            )
        whole = torch.cat([before, x])
        y: Tensor = _Delayed.apply(whole.flatten(2), self.delay, len(x), self.width)  # type: ignore[no-untyped-call]
        return spikes(y.view(x.shape)), whole[len(x) :].transpose(0, 1)

    def extra_repr(self) -> str:
        return f"shape={list(self.shape)}, max_delay={self.max_delay}, learn={self.learn}, width={self.width}"


def _taken(whole: Tensor, first: Tensor, steps: int) -> Tensor:
    """Of each neuron of [S, B, N] the steps from ``first`` [N] on; those past the end are the last one again."""
    rows = torch.arange(steps, device=whole.device)[:, None] + first
    return whole.gather(0, rows.clamp(max=len(whole) - 1)[:, None].expand(steps, *whole.shape[1:]))


class _Delayed(torch.autograd.Function):
    """The last ``steps`` of [S, B, N], each neuron's from an earlier time."""

    @staticmethod
    def forward(ctx: Any, whole: Tensor, delay: Tensor, steps: int, width: float) -> Tensor:
        ctx.save_for_backward(whole if ctx.needs_input_grad[1] else None, delay)
        ctx.before, ctx.width = len(whole) - steps, width
        return _taken(whole, ctx.before - delay.round().long(), steps)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        whole, delay = ctx.saved_tensors
        near = delay.round().long()
        by_whole = by_delay = None
        if ctx.needs_input_grad[0]:
            # step s goes to step s + d: a shift to the other side, with zeros around
            room = int(near.max()) if len(near) else 0
            padded = nn.functional.pad(grad, (0, 0, 0, 0, ctx.before, room))
            by_whole = _taken(padded, near, ctx.before + len(grad))
        if ctx.needs_input_grad[1]:
            by_delay = torch.zeros_like(delay)
            reach = math.ceil(3 * ctx.width)
            for offset in range(-reach, reach + 1):
                lag = near + offset
                distance = (lag - delay) / ctx.width
                slope = distance * (-distance * distance / 2).exp() / (ctx.width**2 * math.sqrt(2 * math.pi))
                together = (grad * _taken(whole, ctx.before - lag.clamp(min=0), len(grad))).sum((0, 1))
                by_delay = by_delay + torch.where(lag >= 0, slope, 0) * together
        return by_whole, by_delay, None, None
