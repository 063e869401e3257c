"""Gradients that refuse to be differentiated in turn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from litspike.settings import UserError

NO_SECOND_ORDER = "the fused engine has no second-order gradients; set engine: 'reference' on the neuron"


def first_order(gradients: Sequence[Tensor | None], *inputs: Tensor) -> list[Tensor | None]:
    """The same gradients, of the inputs, which refuse to be differentiated in turn."""
    guard: Any = _FirstOrder.apply
    return [None if grad is None else guard(grad, *inputs) for grad in gradients]


class _FirstOrder(torch.autograd.Function):
    """Passes a gradient on, and refuses to differentiate it."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, *inputs: Tensor) -> Tensor:
        return gradient.view_as(gradient)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> None:
        raise UserError(NO_SECOND_ORDER)


def link(*tensors: Tensor | None) -> Tensor:
    """An empty tensor that depends on others as a result of theirs does, without keeping them."""
    empty: Tensor = _Link.apply(*tensors)  # type: ignore[no-untyped-call]
    return empty


class _Link(torch.autograd.Function):
    """Has no gradient to pass on."""

    @staticmethod
    def forward(ctx: Any, *tensors: Tensor | None) -> Tensor:
        ctx.set_materialize_grads(False)
        return torch.empty(0)

    @staticmethod
    def backward(ctx: Any, grad: None) -> tuple[None, ...]:
        return (None,) * len(ctx.needs_input_grad)
