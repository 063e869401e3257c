"""The balanced resonate-and-fire neuron."""

from __future__ import annotations

import math

from torch import Tensor

from litspike.neurons.declaration import param
from litspike.neurons.firing import Firing
from litspike.settings import SettingError

_MARGIN = 1e-4  # of a learned parameter, so that no rounding puts it past the border


class BalancedResonateAndFire(Firing):
    r"""Resonate-and-fire neuron that can't diverge, and whose spikes damp it and raise its threshold (BRF).

    Equation, by Euler's method for ``dz/dt = (b + i ω) z + x`` with z = u + i v and the imaginary unit i, once per
    step::

        b = (−1 + √(1 − (ω dt)²)) / dt − b' − q       ω = 2π · frequency;  b' = damping;  q of the step before
        u ← u + dt (b u − ω v + x)                    both from the values before the step
        v ← v + dt (ω u + b v)
        s = 1 if u ≥ θ + q                            it fires, or only if u > θ + q (fires)
        q ← q · γ + s                                 γ = refractory_decay

    The first term of b is the border from which on Euler's method lets the oscillation grow: damping begins there. A
    spike resets nothing. Potentials u and v, threshold θ and the refractory q share one unit; x is in that unit for
    each unit of time, frequency in cycles for each, and so are damping and, in b, q. Called on a current [T, B, \*],
    it returns spikes [T, B, \*] and its state, ``u``, ``v`` and ``q``, each [B, \*].

    Raises:
        SettingError: if a parameter is outside its interval, if a cycle is shorter than 2π steps, or if damping and
            refractory_decay are so large that a step damps by more than all there is.

    Source: Higuchi, Kairat, Bohté and Otte 2024, "Balanced resonate-and-fire neurons", ICML.

    Example:
        >>> import torch
        >>> from litspike import BalancedResonateAndFire
        >>> neuron = BalancedResonateAndFire(frequency=5.0)  # of dt 0.01: a cycle of 20 steps
        >>> each_20th = (torch.arange(80) % 20 == 0).float().view(-1, 1, 1) * 60
        >>> neuron(each_20th)[0].flatten().nonzero().flatten().tolist()
        [40, 60]
    """

    rest = {"u": 0.0, "v": 0.0, "q": 0.0}

    frequency: float = param(
        default=1.2, inside="(0, inf)", doc="frequency of the oscillation, in cycles per unit of dt"
    )
    damping: float = param(
        default=2.5, inside="[0, inf)", doc="b': damping beyond the border of divergence, per unit of dt"
    )
    threshold: float = param(
        default=1.0, inside="(0, inf)", doc="membrane potential at which a neuron without spikes before fires"
    )
    refractory_decay: float = param(
        default=0.9, inside="[0, 1)", doc="share of the refractory q that remains after a step", learnable=False
    )
    dt: float = param(default=0.01, inside="(0, inf)", doc="duration of one time step", learnable=False)

    def check(self) -> None:
        super().check()
        turn, damped = self._turn_and_damped()
        if turn >= 1:
            most = 1 / (2 * math.pi * self.dt)
            raise SettingError("frequency", self.frequency, f"is not below 1 / (2π dt) = {most:g}")
        if damped >= math.sqrt(1 - turn**2):
            most = 2 * math.sqrt(1 - turn**2) / self.dt
            raise SettingError("damping", self.damping, f"with the largest q, 1 / (1 − γ), is not below {most:g}")

    def interval(self, name: str) -> str:
        """A learned frequency and damping stay where a step damps by no more than there is."""
        if name not in ("frequency", "damping"):
            return super().interval(name)
        turn, damped = self._turn_and_damped()
        border = math.sqrt(1 - turn**2)
        if {"frequency", "damping"} <= (self.learn or {}).keys():
            border = damped = (border + damped) / 2
        if name == "damping":
            return f"(0, {2 * border / self.dt * (1 - _MARGIN) - 1 / (1 - self.refractory_decay)!r})"
        return f"(0, {math.sqrt(1 - damped**2) * (1 - _MARGIN) / (2 * math.pi * self.dt)!r})"

    def _turn_and_damped(self) -> tuple[float, float]:
        """ω dt, and half of what the largest damping takes off in a step."""
        most = self.damping + 1 / (1 - self.refractory_decay)
        return 2 * math.pi * self.frequency * self.dt, self.dt * most / 2

    def constants(self) -> tuple[Tensor | float, ...]:
        turn = 2 * math.pi * self.frequency * self.dt
        remains = (1 - turn**2) ** 0.5 - self.damping * self.dt  # 1 + dt b without q
        return remains, turn, self.dt, self.threshold, self.refractory_decay

    def step(
        self,
        x: Tensor,
        u: Tensor,
        v: Tensor,
        q: Tensor,
        remains: Tensor,
        turn: Tensor,
        dt: Tensor,
        threshold: Tensor,
        refractory_decay: Tensor,
    ) -> tuple[Tensor, ...]:
        remains = remains - q * dt
        u, v = u * remains - v * turn + x * dt, u * turn + v * remains
        s = self.spike(u - (threshold + q))
        return s, u, v, q * refractory_decay + self.resetting(s)
