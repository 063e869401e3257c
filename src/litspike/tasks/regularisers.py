"""Regularisers: what a task adds to its loss to keep a network's activity in order."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from litspike.coding.valid import spread, valid_steps
from litspike.settings import SettingError, UserError, number


class RateBand:
    r"""Holds the firing rate of every neuron within a band.

    Equation, with the rate r_n of neuron n over the steps and samples of a batch, and N_l neurons in layer l::

        r_n = (1/TB) Σ_t Σ_b s_tbn
        L   = strength · Σ_l (1/N_l) Σ_n [max(0, low − r_n)² + max(0, r_n − high)²]

    Rates are in spikes per step; the result is added to a loss. It reaches silent neurons through the surrogate.

    Args:
        low: least rate without penalty.
        high: largest rate without penalty.
        strength: factor of the penalty, in the loss's unit.

    Raises:
        SettingError: if low or high is outside [0, 1], low above high, or strength not above 0.

    Source: after Zenke and Vogels 2021, "The remarkable robustness of surrogate gradient learning", whose bounds are
    on the spikes of each trial; here they are on rates over the whole batch.

    Example:
        >>> import torch
        >>> from litspike.tasks import RateBand
        >>> RateBand(low=0.1, high=0.5)([torch.ones(4, 2, 3)])  # one layer that fires at every step
        tensor(0.2500)
    """

    def __init__(self, low: float = 0.01, high: float = 0.3, strength: float = 1.0) -> None:
        self.low, self.high = number("low", low, "[0, 1]"), number("high", high, "[0, 1]")
        if self.low > self.high:
            raise SettingError("low", low, f"is above high, {high}")
        self.strength = number("strength", strength, "(0, inf)")

    def __call__(self, spikes: Sequence[Tensor], lengths: Tensor | None = None) -> Tensor:
        r"""The penalty, a tensor of no dimension.

        Args:
            spikes: of each layer, [T, B, \*].
            lengths: number of steps of each sequence, [B], where they differ: no later step counts.

        Raises:
            UserError: if there is no layer.
        """
        if not spikes:
            raise UserError("RateBand: the network has no spiking layer whose rate could be held")
        return self.strength * torch.stack([self._penalty(_rate(layer, lengths)) for layer in spikes]).sum()

    def _penalty(self, rate: Tensor) -> Tensor:
        below, above = functional.relu(self.low - rate), functional.relu(rate - self.high)
        return (below.square() + above.square()).mean()


def _rate(spikes: Tensor, lengths: Tensor | None) -> Tensor:
    """The mean of each neuron, over samples and their steps."""
    if lengths is None:
        return spikes.mean((0, 1))
    inside = spread(valid_steps(len(spikes), lengths), spikes)
    return torch.where(inside, spikes, 0).sum((0, 1)) / lengths.sum()
