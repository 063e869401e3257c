"""The integrate-and-fire neuron."""

from __future__ import annotations

from torch import Tensor

from litspike.neurons.declaration import param
from litspike.neurons.firing import ThresholdFiring


class IF(ThresholdFiring):
    r"""Integrate-and-fire neuron: it sums its input without a leak.

    Equation, once per step::

        u ← u + x           the membrane takes up the input
        s = 1 if u ≥ θ      it fires
        u ← u · (1 − s)     it is reset where it fired: to zero, to reset_value, or u ← u − s · θ (reset)

    Input x, membrane potential u, its value before the first step (initial) and threshold θ share one unit.
    Called on a current [T, B, \*], it returns spikes [T, B, \*] and its state, the membrane potential ``u`` [B, \*].

    Raises:
        SettingError: if a parameter is outside its interval, or reset_value doesn't go with reset.

    Source: Lapicque 1907, "Recherches quantitatives sur l'excitation électrique des nerfs traitée comme une
    polarisation", without its leak.

    Example:
        >>> import torch
        >>> from litspike import IF
        >>> spikes, state = IF()(torch.full((5, 1, 1), 0.4))
        >>> spikes.flatten().tolist(), round(state.u.item(), 3)
        ([0.0, 0.0, 1.0, 0.0, 0.0], 0.8)
    """

    rest = {"u": 0.0}

    initial: float = param(
        default=0.0, inside="(-inf, inf)", doc="membrane potential before the first step", learnable=False
    )

    def at_rest(self) -> tuple[Tensor | float, ...]:
        return (self.initial,)

    def constants(self) -> tuple[Tensor | float, ...]:
        return self.threshold, self.reset_constant()

    def step(self, x: Tensor, u: Tensor, threshold: Tensor, reset_value: Tensor) -> tuple[Tensor, ...]:
        u = u + x
        s = self.fire(u, threshold)
        return s, self.after_spike(u, s, threshold, reset_value)
