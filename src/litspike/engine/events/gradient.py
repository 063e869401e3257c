"""The gradient of spikes in a product, which nobody works out before somebody reads it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from litspike.engine.events.places import Places, input_gradient_at


class PendingGradient(Tensor):
    """``grad · weight`` as a tensor whose numbers are worked out when they are read.

    The neurons that the spikes come from ask for the places alone where they don't multiply it by zero. Anybody else
    who reads it, or does anything with it, gets all of it: a hook, a sum with another gradient, ``retain_grad`` and
    ``torch.autograd.grad`` see an ordinary gradient, and so do these neurons, once somebody has seen it.

    Args:
        grad: contiguous, [rows, outputs].
        weight: [outputs, inputs]; a copy is taken, as an optimiser may change it before this is read.
        shape: of the spikes.
    """

    _upstream: Tensor | None
    _version_of_upstream: int
    _weight: Tensor | None
    _size: Sequence[int]
    _whole: Tensor | None

    @staticmethod
    def __new__(cls, grad: Tensor, weight: Tensor, shape: Sequence[int]) -> PendingGradient:
        """A tensor without memory of its own."""
        self: PendingGradient = Tensor._make_wrapper_subclass(cls, shape, dtype=grad.dtype, device=grad.device)
        self._upstream, self._version_of_upstream = grad, grad._version
        self._weight = weight.detach().T.clone(memory_format=torch.contiguous_format)
        self._size, self._whole = shape, None
        return self

    def whole(self) -> Tensor:
        """All of it, as an ordinary tensor."""
        if self._whole is None:
            grad, weight = self._factors()
            with torch.no_grad():
                self._whole = (grad @ weight.T).view(self._size)
            self._upstream = self._weight = None
        return self._whole

    def at(self, places: Places) -> Tensor:
        """What is at some places, as an ordinary tensor with zeros elsewhere; all of it, if somebody has seen it."""
        if self._whole is not None:
            return self._whole
        return input_gradient_at(places, *self._factors()).view(self._size)

    def _factors(self) -> tuple[Tensor, Tensor]:
        grad, weight = self._upstream, self._weight
        assert grad is not None
        assert weight is not None
        if grad._version != self._version_of_upstream:
            raise RuntimeError("a gradient was changed in place before the gradient of the layer before was made of it")
        return grad, weight

    @classmethod
    def __torch_function__(
        cls, func: Callable[..., Any], types: Sequence[type], args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Do with all of it what is to be done."""
        with torch._C.DisableTorchFunctionSubclass():
            return func(*tree_map(_read, args), **tree_map(_read, kwargs or {}))

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]  # torch declares it as the function that switches it off
        cls, func: Callable[..., Any], types: Sequence[type], args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """The same for what autograd does with it, beyond Python."""
        return func(*tree_map(_read, args), **tree_map(_read, kwargs or {}))


def _read(value: Any) -> Any:
    return value.whole() if type(value) is PendingGradient else value
