"""How a current was made of events, so that it can be made again instead of being saved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

from torch import Tensor

from litspike.engine.events.product import Events, packed, product


class Recipe(NamedTuple):
    """A product of spikes.

    Args:
        size: rows and inputs of the spikes.
        before: the dimensions [T, B, ..] of the current that stand for the rows.
        tensors: weight [outputs, inputs], bias, and what the events are made of; nothing while autograd saves them.
    """

    size: tuple[int, int]
    before: Sequence[int]
    tensors: Sequence[Tensor | None]

    @classmethod
    def of(cls, spikes: Events, before: Sequence[int], weight: Tensor, bias: Tensor | None) -> Self:
        """The product of these spikes."""
        return cls(spikes.shape, before, (weight, bias, *spikes[1:]))

    @classmethod
    def of_current(cls, current: Tensor) -> Self | None:
        """The recipe of a current that comes from a product of spikes as it is, to be had once; None of any other.

        A change that torch doesn't count, through ``.data`` or NumPy, is not seen.
        """
        maker = current.grad_fn
        if maker is None or getattr(maker, "version", None) != current._version:
            return None
        recipe: Self | None = vars(maker).pop("recipe", None)
        return recipe

    def current(self) -> Tensor:
        """The current, [T, B, .., outputs]."""
        weight, bias, *rest = self.tensors
        assert weight is not None
        lists: Any = rest
        return product(Events(self.size, *lists), packed(weight.contiguous()), len(weight), bias, self.before)
