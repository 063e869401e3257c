"""The leaky integrate-and-fire neuron."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from litspike.neurons.declaration import option
from litspike.neurons.firing import ThresholdFiring
from litspike.neurons.leak import ScaledInput


class LIF(ScaledInput, ThresholdFiring):
    r"""Leaky integrate-and-fire neuron, discretised step by step.

    Equation: the solution of ``τ du/dt = −u`` between inputs that arrive as impulses, one per step::

        u ← u + x            the membrane takes up the input, or (1 − β) · x (input_gain)
        s = 1 if u ≥ θ       it fires, or only if u > θ (fires)
        u ← u · (1 − s)      it is reset where it fired: to zero, to reset_value, or u ← u − s · θ (reset)
        u ← u · β            it leaks, here or earlier in the step (leak);  β = decay = exp(−dt / τ)

    Input x, membrane potential u and threshold θ share one unit; decay has none, tau and dt share one unit of time.
    Called on a current [T, B, \*], it returns spikes [T, B, \*] and its state, the membrane potential ``u`` [B, \*].

    Raises:
        SettingError: if a parameter is outside its interval, if tau and decay are both given, or if reset_value
            doesn't go with reset.

    Source: Gerstner, Kistler, Naud and Paninski 2014, "Neuronal Dynamics", section 1.3.

    Example:
        >>> import torch
        >>> from litspike import LIF
        >>> spikes, state = LIF(decay=0.5)(torch.full((5, 1, 1), 0.6))  # a current [T, B, N], from rest
        >>> spikes.flatten().tolist()
        [0.0, 0.0, 1.0, 0.0, 0.0]
        >>> spikes, state = LIF(decay=0.5)(torch.full((5, 1, 1), 0.6), state)  # and on from there
    """

    rest = {"u": 0.0}

    leak: Literal["before_input", "before_reset", "after_reset"] = option(
        default="after_reset",
        doc="when in a step the membrane leaks; with before_reset a subtracted threshold doesn't leak",
    )

    def constants(self) -> tuple[Tensor | float, ...]:
        return self.membrane_decay(), self.gain(), self.threshold, self.reset_constant()

    def step(
        self, x: Tensor, u: Tensor, decay: Tensor, gain: Tensor, threshold: Tensor, reset_value: Tensor
    ) -> tuple[Tensor, ...]:
        if self.leak == "before_input":
            u = u * decay
        u = u + self.scaled(x, gain)
        s = self.fire(u, threshold)
        if self.leak == "before_reset":
            u = u * decay
        u = self.after_spike(u, s, threshold, reset_value)
        if self.leak == "after_reset":
            u = u * decay
        return s, u
