"""How a current was made of events, so that it can be made again instead of being saved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor

from litspike.engine.events.product import Events, packed, product


def current_of(spikes: Events, before: Sequence[int], weight: Tensor, bias: Tensor | None) -> Tensor:
    """The product of spikes with a weight [outputs, inputs], as a current [T, B, .., outputs]."""
    return product(spikes, packed(weight.contiguous()), len(weight), bias, before)


class Recipe(NamedTuple):
    """A product of spikes.

    Args:
        size: rows and inputs of the spikes.
        before: the dimensions [T, B, ..] of the current that stand for the rows.
        sums: of the bits of weight and bias.
        tensors: weight [outputs, inputs], bias, and what the events are made of; nothing while autograd saves them.
    """

    size: tuple[int, int]
    before: Sequence[int]
    sums: Sequence[int]
    tensors: Sequence[Tensor | None]

    @classmethod
    def of(cls, spikes: Events, before: Sequence[int], weight: Tensor, bias: Tensor | None) -> Self:
        """That of :func:`current_of`."""
        return cls(spikes.shape, before, _sums(weight, bias), (weight, bias, *spikes[1:]))

    @classmethod
    def of_current(cls, current: Tensor) -> Self | None:
        """The recipe of a current that comes from a product of spikes as it is, to be had once; None of any other.

        A change of the current that torch doesn't count, through ``.data`` or NumPy, is not seen.
        """
        maker = current.grad_fn
        if maker is None or getattr(maker, "version", None) != current._version:
            return None
        recipe: Self | None = vars(maker).pop("recipe", None)
        return recipe

    def again(self) -> Tensor:
        """The current once more.

        Raises:
            RuntimeError: if weight or bias changed, which torch counts but in ``.data``.
        """
        weight, bias, *rest = self.tensors
        assert weight is not None
        lists: Any = rest
        if _sums(weight, bias) != self.sums:
            raise RuntimeError(
                "a weight or bias of a product of spikes was changed through .data after the forward pass: change it "
                "after the backward pass, or give the product spikes.as_subclass(torch.Tensor)"
            )
        return current_of(Events(self.size, *lists), self.before, weight, bias)


def _sums(*tensors: Tensor | None) -> tuple[int, ...]:
    """What the bits of each tensor add up to, in any order."""
    return tuple(_sum(tensor.detach()) for tensor in tensors if tensor is not None)


def _sum(tensor: Tensor) -> int:
    bits = torch.int64 if tensor.dtype is torch.float64 else torch.int32
    return int(tensor.view(bits).sum(dtype=bits))
