"""The spike itself: a step function, with a surrogate as its derivative."""

from __future__ import annotations

from typing import Any, Literal

from torch import Tensor
from torch.autograd import Function

from litspike.engine.modes import apply
from litspike.surrogates.base import Surrogate


class _Spike(Function):
    """Heaviside step forward, surrogate backward."""

    generate_vmap_rule = True

    @staticmethod
    def forward(v: Tensor, surrogate: Surrogate, fires: Literal["at", "above"]) -> Tensor:
        return (v >= 0 if fires == "at" else v > 0).to(v.dtype)

    @staticmethod
    def derivative(v: Tensor, surrogate: Surrogate, fires: Literal["at", "above"]) -> Tensor:
        return surrogate.derivative(v)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        v, ctx.surrogate, _ = inputs
        ctx.save_for_backward(v)
        ctx.save_for_forward(v)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor, None, None]:
        (v,) = ctx.saved_tensors
        return grads[0] * ctx.surrogate.derivative(v), None, None


class _SpikeForwards(_Spike):
    """The same in forward-mode differentiation."""

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        (v,) = ctx.saved_tensors
        derivative: Tensor = tangents[0] * ctx.surrogate.derivative(v)
        return derivative


def spike(v: Tensor, surrogate: Surrogate, fires: Literal["at", "above"] = "at") -> Tensor:
    """Spikes at the distance ``v`` from the threshold, with the surrogate's gradient.

    Args:
        v: membrane potential less threshold, any shape.
        surrogate: what the backward pass uses as derivative.
        fires: ``"at"`` for 1 where ``v ≥ 0``, ``"above"`` for 1 where ``v > 0``; else 0.

    Returns:
        Spikes, 0 or 1, in the shape and dtype of ``v``.

    Example:
        >>> import torch
        >>> from litspike.surrogates import Triangle, spike
        >>> v = torch.tensor([-0.5, 0.0, 0.5], requires_grad=True)
        >>> spikes = spike(v, Triangle())
        >>> spikes.sum().backward()
        >>> spikes.tolist(), v.grad.tolist()
        ([0.0, 1.0, 1.0], [0.5, 1.0, 0.5])
    """
    return apply(_Spike, _SpikeForwards, v, surrogate, fires)
