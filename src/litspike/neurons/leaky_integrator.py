"""The leaky integrator."""

from __future__ import annotations

from torch import Tensor

from litspike.neurons.leak import ScaledInput
from litspike.surrogates import ZeroGradient


class LeakyIntegrator(ScaledInput):
    r"""Leaky integrator: a membrane that never fires, to read values out of spikes.

    Equation, once per step::

        u ← u · β + x        it leaks and takes up the input, or (1 − β) · x (input_gain);  β = decay = exp(−dt / τ)
        y = u                the output is the membrane potential

    Input x, membrane potential u and output y share one unit; decay has none, tau and dt share one unit of time.
    Called on a current [T, B, \*], it returns the potential of every step [T, B, \*] and its state ``u`` [B, \*].

    Raises:
        SettingError: if a parameter is outside its interval, or if tau and decay are both given.

    Source: Gerstner, Kistler, Naud and Paninski 2014, "Neuronal Dynamics", section 1.3.

    Example:
        >>> import torch
        >>> from litspike import LeakyIntegrator
        >>> potential, state = LeakyIntegrator(decay=0.5)(torch.ones(4, 1, 1))
        >>> potential.flatten().tolist()
        [1.0, 1.5, 1.75, 1.875]
    """

    rest = {"u": 0.0}
    surrogate = ZeroGradient()  # it has no spikes, so there is nothing to set

    def constants(self) -> tuple[Tensor | float, ...]:
        return self.membrane_decay(), self.gain()

    def step(self, x: Tensor, u: Tensor, decay: Tensor, gain: Tensor) -> tuple[Tensor, ...]:
        u = u * decay + self.scaled(x, gain)
        return u, u
