"""A convolution of spikes under autograd, on their events where that is faster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.grad import conv2d_input, conv2d_weight

from litspike.engine.events.choice import convolution_pays, is_finite, takes
from litspike.engine.events.convolution import (
    Convolution,
    PixelEvents,
    convolve,
    convolved_weight_gradient,
    pixel_events,
)
from litspike.engine.modes import in_memory, is_batch
from litspike.settings import UserError

NO_SECOND_ORDER = "have no second-order gradients, or those of a batch: give them spikes.as_subclass(torch.Tensor)"


def convolved(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | str | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Tensor | None:
    """The convolution on events; None where a dense one is at least as fast, or a mistake that torch explains.

    Args:
        x: spikes, [samples, channels, width] or [samples, channels, height, width].
        weight: as ``torch.nn.functional.conv1d`` and ``conv2d`` take it, as are the others.
    """
    dims = x.dim() - 2
    if dims not in (1, 2) or weight.dim() != x.dim():
        return None
    if isinstance(padding, str) or groups != 1:
        return None
    if x.shape[1] != weight.shape[1] or set(_each(dilation, dims, 1)) != {1}:
        return None
    how = Convolution(_each(stride, dims, 1), _each(padding, dims, 0))
    if min(how.strides) < 1:
        return None
    near = x if x.is_contiguous() else x.detach().contiguous()
    wide, kernel = (t.unsqueeze(2) if dims == 1 else t for t in (near.detach(), weight))
    sizes = how.sizes(wide.shape, kernel.shape)
    if min(sizes[:-4]) < 1 or min(sizes[-2:]) < 0:
        return None
    if not convolution_pays(near, len(x) * sizes[4] * sizes[5] * weight.numel()) or not takes(x, weight, bias):
        return None
    y: Tensor = _EventConvolution.apply(x, weight, bias, how, wide)  # type: ignore[no-untyped-call]
    return y


def _each(value: int | Sequence[int], dims: int, missing: int) -> tuple[int, int]:
    """A setting for height and width; a sequence has no height."""
    both = [value] * dims if isinstance(value, int) else [*value] * (dims if len(value) == 1 else 1)
    high, wide = both if dims == 2 else (missing, both[0])
    return high, wide


class _EventConvolution(torch.autograd.Function):
    """What is saved for the backward pass is the events and the weight."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, how: Convolution, spikes: Tensor) -> Tensor:
        found, dims = pixel_events(spikes), x.dim() - 2
        kernel = weight.unsqueeze(2) if dims == 1 else weight
        ctx.save_for_backward(weight, *found[1:])
        ctx.rest = x.shape, found.shape, kernel.shape, how
        y = convolve(found, kernel, bias, how)
        return y.squeeze(2) if dims == 1 else y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled() or is_batch(grad):
            raise UserError(f"convolutions of spikes {NO_SECOND_ORDER}")
        weight, *lists = ctx.saved_tensors
        shape, area, kernel, how = ctx.rest
        wants_x, wants_weight, wants_bias, *_ = ctx.needs_input_grad
        grad = (grad.unsqueeze(2) if len(shape) == 3 else grad).contiguous().resolve_neg()
        by_x = by_weight = None
        by_bias = grad.sum((0, 2, 3)) if wants_bias else None
        if wants_x:
            dense = conv2d_input(area, weight.view(kernel), grad, *how)  # type: ignore[no-untyped-call]  # torch's
            by_x = dense.view(shape)
        if wants_weight:
            found = PixelEvents(area, *lists)
            if in_memory(grad) and is_finite(grad if by_bias is None else by_bias):
                by_weight = convolved_weight_gradient(found, grad, kernel, how).view(weight.shape)
            else:  # 0 times one of these numbers is NaN, which shows
                whole = conv2d_weight(found.dense(grad.dtype), kernel, grad, *how)  # type: ignore[no-untyped-call]
                by_weight = whole.view(weight.shape)
        return by_x, by_weight, by_bias, None, None
