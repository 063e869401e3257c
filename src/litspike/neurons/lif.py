"""The leaky integrate-and-fire neuron."""

from __future__ import annotations

import math

from torch import Tensor

from litspike.neurons.base import Neuron
from litspike.neurons.declaration import param
from litspike.settings import SettingError


class LIF(Neuron):
    r"""Leaky integrate-and-fire neuron with hard reset, discretised step by step.

    Equation: the solution of ``τ du/dt = −u`` between inputs that arrive as impulses, one per step::

        u ← u + x            the membrane takes up the input
        s = 1 if u ≥ θ       it fires
        u ← u · (1 − s) · β  it is reset to zero where it fired, then leaks;  β = decay = exp(−dt / τ)

    Input x, membrane potential u and threshold θ share one unit; decay has none, tau and dt share one unit of time.
    Called on a current [T, B, \*], it returns spikes [T, B, \*] and its state, the membrane potential ``u`` [B, \*].

    Raises:
        SettingError: if a parameter is outside its interval, or if tau and decay are both given.

    Source: Gerstner, Kistler, Naud and Paninski 2014, "Neuronal Dynamics", section 1.3.
    """

    rest = {"u": 0.0}  # noqa: RUF012  # declared as ClassVar in Neuron

    decay: float | None = param(
        None, "[0, 1]", "share of the membrane potential that remains after a step; 0.9 where neither it nor tau is set"
    )
    threshold: float = param(1.0, "(0, inf)", "membrane potential at which the neuron fires, in units of the input")
    tau: float | None = param(None, "(0, inf)", "time constant of the membrane, an alternative to decay")
    dt: float = param(1.0, "(0, inf)", "duration of one time step in the unit of tau; used with tau alone")

    def check(self) -> None:
        """Refuse a decay beside a time constant: they say the same thing twice."""
        if self.tau is not None and self.decay is not None:
            raise SettingError("tau", self.tau, f"is given beside decay {self.decay}: set one of them to null")

    def constants(self) -> tuple[Tensor | float, ...]:
        """The decay of one step and the threshold."""
        if self.tau is not None:
            return math.exp(-self.dt / self.tau), self.threshold
        return 0.9 if self.decay is None else self.decay, self.threshold

    def step(self, x: Tensor, u: Tensor, decay: Tensor, threshold: Tensor) -> tuple[Tensor, ...]:
        """Take up the input, fire, reset and leak."""
        u = u + x
        s = self.spike(u - threshold)
        return s, u * (1 - s) * decay
