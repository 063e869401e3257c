"""The resonate-and-fire neuron."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from litspike.neurons.declaration import param
from litspike.neurons.firing import Firing, reset_to
from litspike.neurons.leak import Leaky
from litspike.settings import SettingError


class ResonateAndFire(Leaky, Firing):
    r"""Resonate-and-fire neuron: a damped oscillation that inputs at its frequency drive up to the threshold.

    Equation: the exact solution of ``dz/dt = (−1/τ + i ω) z`` between inputs that arrive as impulses, for
    z = i_m + i u with the imaginary unit i, once per step::

        i_m ← β (i_m cos φ − u sin φ) + x       φ = ω dt = 2π · frequency · dt;  β = decay = exp(−dt / τ)
        u   ← β (i_m sin φ + u cos φ)           both from the values before the step
        s = 1 if u ≥ θ, and there i_m ← 0 and u ← reset_value

    Input x, the current-like state i_m, membrane potential u and threshold θ share one unit; decay has none, tau and
    dt share one unit of time, and frequency is in cycles per that unit. The paper resets to z = i: reset_value 1.
    Called on a current [T, B, \*], it returns spikes [T, B, \*] and its state, ``u`` and ``i``, each [B, \*].

    Raises:
        SettingError: if a parameter is outside its interval, if tau and decay are both given, or if a cycle is
            shorter than two steps.

    Source: Izhikevich 2001, "Resonate-and-fire neurons".
    """

    rest = {"u": 0.0, "i": 0.0}

    frequency: float = param(0.1, "(0, inf)", "frequency of the oscillation, in cycles per unit of dt")
    threshold: float = param(1.0, "(0, inf)", "membrane potential at which the neuron fires, in units of the input")
    reset_value: float = param(0.0, "(-inf, inf)", "membrane potential after a spike")

    def check(self) -> None:
        """Settle between decay and tau, and refuse a frequency that the steps can't show."""
        super().check()
        if self.frequency * self.dt > 0.5:
            raise SettingError("frequency", self.frequency, f"is above 0.5 / dt = {0.5 / self.dt:g}")

    def interval(self, name: str) -> str:
        """A learned frequency stays one that the steps can show."""
        return f"(0, {0.5 / self.dt!r})" if name == "frequency" else super().interval(name)

    def constants(self) -> tuple[Tensor | float, ...]:
        """One step's damped rotation, the threshold and the reset's value."""
        cos, sin = _turn(2 * math.pi * self.dt * self.frequency)
        decay = self.membrane_decay()
        return decay * cos, decay * sin, self.threshold, self.reset_value

    def step(
        self, x: Tensor, u: Tensor, i: Tensor, along: Tensor, across: Tensor, threshold: Tensor, reset_value: Tensor
    ) -> tuple[Tensor, ...]:
        """Turn and damp, take up the input, fire and reset."""
        turned = i * along - u * across + x
        u = i * across + u * along
        s = self.spike(u - threshold)
        r = self.resetting(s)
        return s, reset_to(u, r, reset_value), turned * (1 - r)


def _turn(angle: Tensor | float) -> tuple[Tensor, Tensor] | tuple[float, float]:
    """Cosine and sine of an angle."""
    if isinstance(angle, Tensor):
        return torch.cos(angle), torch.sin(angle)
    return math.cos(angle), math.sin(angle)
