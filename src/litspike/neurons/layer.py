"""What a network may hold as a layer of neurons."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Self

from torch import Tensor, nn


class NeuronLayer(nn.Module):
    """A layer of neurons with the manners of ``torch.nn.LSTM``: its state is passed and returned, never kept."""

    @abstractmethod
    def forward(self, current: Tensor, state: Any = None, steps: int | None = None) -> tuple[Tensor, Any]:
        r"""Run over a sequence, from rest where ``state`` is None.

        Args:
            current: input, [T, B, \*].
            state: what an earlier call returned.
            steps: T, where ``current`` is [B, \*] and the same at every step.

        Returns:
            The output of every step, [T, B, \*], and the state after the last one. Its ``detach()`` cuts it off the
            graph that made it.
        """

    def distance(self, current: Tensor, state: Any = None, steps: int | None = None) -> Tensor | None:
        r"""How far the membrane potential is above the threshold at each step, before any reset.

        Args:
            current: as in a call.
            state: as in a call.
            steps: as in a call.

        Returns:
            The distance v that the spike is a function of, [T, B, \*], in the unit of the potential, negative under the
            threshold, without a gradient; None where nothing fires, or of a layer that can't say.
        """
        return None

    @abstractmethod
    def shaped(self, *shape: int) -> Self:
        r"""A copy of this layer for samples of shape [\*], with parameters of its own."""
