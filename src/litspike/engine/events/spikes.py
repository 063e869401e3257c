"""Spikes as a tensor like any other, of which a product with a matrix costs what its events are."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import get_gradient_edge
from torch.compiler import is_dynamo_compiling
from torch.nn.functional import conv1d, conv2d, linear
from torch.utils._pytree import tree_map

from litspike.engine.cpu.memory import fresh
from litspike.engine.events.choice import is_finite, large_enough, pays, sampling_pays, takes, wide_enough
from litspike.engine.events.convolved import NO_SECOND_ORDER, convolved
from litspike.engine.events.gradient import PendingGradient
from litspike.engine.events.kernels import available
from litspike.engine.events.product import Events, dense, events, weight_gradient
from litspike.engine.events.recipe import Recipe, current_of
from litspike.engine.modes import in_memory, is_batch, ordinary
from litspike.settings import UserError

_LEAST = 1 << 15
"""Numbers in a tensor below which a dense product takes microseconds."""
_REAL = (torch.float32, torch.float64)


class Spikes(Tensor):
    """A tensor that is mostly zero.

    ``torch.nn.functional.linear`` on it, and so ``torch.nn.Linear``, runs on its events where that is faster, forward
    and backward, and so do ``conv1d`` and ``conv2d`` for the output and the gradient of their weight. Every other
    operation sees, and returns, an ordinary tensor. So does everything while a graph is compiled, exported, traced,
    cast by autocast or transformed by ``torch.func``.
    """

    @classmethod
    def __torch_function__(
        cls, func: Callable[..., Any], types: Sequence[type], args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Take the event product for ``linear`` and convolutions, and an ordinary tensor for all else."""
        if func in _BACKWARD:  # which may call anything in turn, and so must not run with all this switched off
            return _BACKWARD[func](*args, **(kwargs or {}))
        if len(types) > 1:  # another kind of tensor decides
            return func(*tree_map(plain, args), **tree_map(plain, kwargs or {}))
        with torch._C.DisableTorchFunctionSubclass():
            if func in _PRODUCTS and args and isinstance(args[0], Spikes):
                result = _of_events(*_PRODUCTS[func], *args, **(kwargs or {}))
                if result is not None:
                    return result
            return func(*args, **(kwargs or {}))

    def __reduce_ex__(self, protocol: Any) -> Any:
        plain: Any = self.as_subclass(Tensor)  # saved as what any program can read
        return plain.__reduce_ex__(protocol)

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        result: Tensor = copy.deepcopy(self.as_subclass(Tensor), memo)
        return result


def spikes(tensor: Tensor) -> Tensor:
    """The same tensor as :class:`Spikes`, where products with it could be faster; else unchanged.

    Args:
        tensor: any; where it is not mostly zero, its density is computed from some rows, and the product is dense.

    Example:
        >>> import torch
        >>> from litspike.engine import spikes
        >>> x = (torch.rand(1000, 512) < 0.05).float()  # 5% spikes
        >>> layer = torch.nn.Linear(512, 256)
        >>> torch.allclose(layer(spikes(x)), layer(x), atol=1e-5)
        True
    """
    if is_dynamo_compiling() or type(tensor) is not Tensor:  # a graph holds no condition on a size
        return tensor
    if tensor.numel() < _LEAST or tensor.dim() < 2 or not tensor.is_cpu or tensor.dtype not in _REAL:
        return tensor
    return tensor.as_subclass(Spikes) if ordinary(()) else tensor


def plain(tensor: Tensor) -> Tensor:
    """The ordinary tensor that spikes are; all else as it is."""
    return tensor.as_subclass(Tensor) if type(tensor) is Spikes else tensor


def _backward(x: Tensor, gradient: Tensor | None = None, **settings: Any) -> None:
    torch.autograd.backward(x, gradient, **settings)


def _grad(outputs: Any, inputs: Any, *rest: Any, **settings: Any) -> Any:
    of, to = ([each] if isinstance(each, Tensor) else each for each in (outputs, inputs))
    edges: Any = [get_gradient_edge(each) if type(each) is Spikes else each for each in to]
    with torch.enable_grad():  # without it these would be cut off their graph
        roots = [plain(each) for each in of]
    return torch.autograd.grad(roots, edges, *rest, **settings)


_BACKWARD: dict[Any, Callable[..., Any]] = {Tensor.backward: _backward, torch.autograd.grad: _grad}
"""What runs a backward pass, for spikes among what it starts from or ends with."""


def _of_events(could: Any, product: Any, x: Spikes, weight: Tensor, *rest: Any, **more: Any) -> Any:
    """What a product on events gives; None where it isn't faster, or operations don't run at once and as written.

    The sizes alone come first: after a large product Python's own work takes long, as it is in no cache any more.
    """
    if is_dynamo_compiling() or not could(x, weight):
        return None
    if torch.is_autocast_enabled("cpu") or not ordinary(()) or not available():
        return None
    return product(x, weight, *rest, **more)


def _large(x: Spikes, weight: Tensor) -> bool:
    return weight.dim() == 2 and large_enough(x.numel(), weight.shape[0])


def _wide(x: Spikes, weight: Tensor) -> bool:
    return wide_enough(weight)


def _product(x: Spikes, weight: Tensor, bias: Tensor | None = None) -> Tensor | None:
    """The product on events; None where a dense one is at least as fast, or a mistake that torch explains."""
    outputs, inputs = weight.shape
    if x.dim() < 2 or x.shape[-1] != inputs:
        return None
    near = x if x.is_contiguous() else x.detach().contiguous()
    if not pays(near, outputs) or not takes(x, weight, bias):
        return None
    found = events(near.detach().view(-1, inputs))
    y: Tensor = _EventLinear.apply(x, weight, bias, found)  # type: ignore[no-untyped-call]
    if y.grad_fn is not None:
        maker: Any = y.grad_fn
        maker.recipe = Recipe.of(found, x.shape[:-1], weight, bias)
        maker.version = y._version  # what the recipe makes, until somebody changes it
    return y


class _EventLinear(torch.autograd.Function):
    """Linear on events. What it saves for the backward pass is the events and the weight."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, found: Events) -> Tensor:
        ctx.shape, ctx.size = x.shape, found.shape
        ctx.save_for_backward(weight, *found[1:])
        return current_of(found, x.shape[:-1], weight, bias)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        weight, *rest = ctx.saved_tensors
        found = Events(ctx.size, *rest)
        wants_x, wants_weight, wants_bias, _ = ctx.needs_input_grad
        flat = grad.reshape(-1, grad.shape[-1])
        if wants_x and torch.is_grad_enabled():
            raise UserError(f"products of spikes {NO_SECOND_ORDER}")
        by_x = by_weight = None
        # Whole where these gradients are differentiated in turn, or are a batch, and where 0 times one is NaN.
        whole = torch.is_grad_enabled() or is_batch(flat) or not in_memory(flat)
        flat = flat if whole else flat.contiguous()
        by_bias = flat.sum(0) if wants_bias else None
        whole = whole or not is_finite(flat if by_bias is None else by_bias)  # a sum shows what its terms hold
        if wants_weight:
            by_weight = flat.T @ dense(found, weight.dtype) if whole else weight_gradient(found, flat)
        if wants_x:
            by_x = (flat @ weight).view(ctx.shape) if whole else _input_gradient(ctx, flat, weight)
        return by_x, by_weight, by_bias, None


def _input_gradient(ctx: Any, grad: Tensor, weight: Tensor) -> Tensor:
    """The gradient of the spikes; where their neurons need few of its places, one that waits until it is read."""
    if not ordinary([grad, weight]):
        return (grad @ weight).view(ctx.shape)
    neurons = ctx.next_functions[0][0]
    if neurons is not None and neurons.name() == "AliasBackward0":  # that of Tensor.as_subclass
        neurons = neurons.next_functions[0][0]
    if sampling_pays(getattr(neurons, "density", 1.0)) and not grad.is_inference():
        return PendingGradient(grad, weight, ctx.shape)
    return torch.mm(grad, weight, out=fresh(grad, len(grad), weight.shape[1])).view(ctx.shape)


_PRODUCTS: dict[Any, tuple[Callable[..., bool], Callable[..., Tensor | None]]] = {
    linear: (_large, _product),
    conv1d: (_wide, convolved),
    conv2d: (_wide, convolved),
}
"""Whether a function could be faster on events, by the sizes, and what runs it on them."""
