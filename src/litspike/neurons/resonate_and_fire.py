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

    Example:
        >>> import torch
        >>> from litspike import ResonateAndFire
        >>> neuron = ResonateAndFire(frequency=0.25, decay=0.9)  # a cycle of four steps
        >>> every_fourth = (torch.arange(12) % 4 == 0).float().view(-1, 1, 1) * 0.6
        >>> neuron(every_fourth)[0].flatten().nonzero().flatten().tolist()
        [9]
    """

    rest = {"u": 0.0, "i": 0.0}

    frequency: float = param(
        default=0.1, inside="(0, inf)", doc="frequency of the oscillation, in cycles per unit of dt"
    )
    threshold: float = param(
        default=1.0, inside="(0, inf)", doc="membrane potential at which the neuron fires, in units of the input"
    )
    reset_value: float = param(default=0.0, inside="(-inf, inf)", doc="membrane potential after a spike")

    def check(self) -> None:
        super().check()
        if self.frequency * self.dt > 0.5:
            raise SettingError("frequency", self.frequency, f"is above 0.5 / dt = {0.5 / self.dt:g}")

    def interval(self, name: str) -> str:
        return f"(0, {0.5 / self.dt!r})" if name == "frequency" else super().interval(name)

    def constants(self) -> tuple[Tensor | float, ...]:
        cos, sin = _turn(2 * math.pi * self.dt * self.frequency)
        decay = self.membrane_decay()
        return decay * cos, decay * sin, self.threshold, self.reset_value

    def step(
        self, x: Tensor, u: Tensor, i: Tensor, along: Tensor, across: Tensor, threshold: Tensor, reset_value: Tensor
    ) -> tuple[Tensor, ...]:
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
