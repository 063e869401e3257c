"""The adaptive leaky integrate-and-fire neuron by the symplectic Euler method."""

from __future__ import annotations

import math
from typing import Literal

from torch import Tensor

from litspike.neurons.declaration import option, param
from litspike.neurons.firing import ThresholdFiring
from litspike.neurons.leak import ScaledInput, decay_of, settle_decay
from litspike.settings import SettingError

_DECAYS = ("decay", "tau"), ("adaptation_decay", "adaptation_tau")
_MARGIN = 1e-4  # of a learned parameter, so that no rounding puts it past the border


class SymplecticAdaptiveLIF(ScaledInput, ThresholdFiring):
    r"""Leaky integrate-and-fire neuron with an adaptation current of its potential and its spikes (SE-adLIF).

    Equation, once per step; the adaptation sees the potential of the same step, where Euler's method would take the one
    before, so that the two oscillate stably at any frequency::

        u ← α u + (1 − α) (x − w)     α = decay = exp(−dt / τ); the input is x itself where input_gain is one
        s = 1 if u ≥ θ                it fires, or only if u > θ (fires)
        u ← u · (1 − s)               it is reset where it fired: to zero, to reset_value, or u ← u − s · θ (reset)
        w ← ρ w + (1 − ρ) (a u + b s)
                                      ρ = adaptation_decay = exp(−dt / τ_w);  a = coupling, b = jump

    Without spikes it is stable for ``a < (1 + α) (1 + ρ) / ((1 − α) (1 − ρ))``, which is checked, and where learned
    parameters stay. Input x, potential u, threshold θ, adaptation w and jump b share one unit; the decays and a have
    none, the time constants and dt share one unit of time. The paper's a and b are in units of q, 60 to 120 there.
    Called on a current [T, B, \*], it returns spikes [T, B, \*] and its state, ``u`` and ``w``, each [B, \*].

    Raises:
        SettingError: if a parameter is outside its interval, if a decay is given beside its time constant, if the
            coupling is too large to be stable, or if reset_value doesn't go with reset.

    Source: Baronig, Ferrand, Sabathiel and Legenstein 2025, "Advancing spatio-temporal processing through adaptation in
    spiking neural networks", Nature Communications 16.

    Example:
        >>> import torch
        >>> from litspike import SymplecticAdaptiveLIF
        >>> spikes, state = SymplecticAdaptiveLIF(tau=5.0, adaptation_tau=60.0)(torch.full((40, 1, 1), 3.0))
        >>> spikes.flatten().nonzero().flatten().tolist()
        [2]
    """

    rest = {"u": 0.0, "w": 0.0}

    input_gain: Literal["one", "one_minus_decay"] = option(
        default="one_minus_decay", doc="what the input is multiplied by: 1 − α as the paper has it, or one"
    )
    adaptation_decay: float | None = param(
        default=None,
        inside="[0, 1]",
        doc="share of the adaptation that remains after a step; 0.97 where neither it nor adaptation_tau is set",
    )
    adaptation_tau: float | None = param(
        default=None, inside="(0, inf)", doc="time constant of the adaptation, an alternative to adaptation_decay"
    )
    coupling: float = param(
        default=20.0, inside="[0, inf)", doc="a: adaptation that a lasting potential of one unit leads to"
    )
    jump: float = param(default=60.0, inside="[0, inf)", doc="b: adaptation that lasting spikes lead to")

    def check(self) -> None:
        super().check()
        settle_decay(self, 0.97, "adaptation_decay", "adaptation_tau")
        if self.coupling >= self._most():
            raise SettingError("coupling", self.coupling, f"is not below {self._most():g}, from where on it diverges")

    def interval(self, name: str) -> str:
        """Learned, coupling and decays stay on their sides of the border of stability, each as far from it."""
        parts = ["coupling", *(pair[getattr(self, pair[0]) is None] for pair in _DECAYS)]
        if name not in parts or self.coupling == 0:
            return super().interval(name)
        learned = sum(part in (self.learn or {}) for part in parts)
        room = (self._most() / self.coupling * (1 - _MARGIN)) ** (1 / learned)
        if name == "coupling":
            return f"(0, {self.coupling * room!r})"
        side = parts.index(name) - 1
        ratio = _ratio(self._share(side)) / room
        least = (ratio - 1) / (ratio + 1) if ratio > 1 else 0.0
        if name.endswith("decay"):
            return f"({least!r}, 1)"
        return f"({-self.dt / math.log(least) if least else 0.0!r}, inf)"

    def _share(self, side: int) -> float:
        decay, tau = (getattr(self, name) for name in _DECAYS[side])
        return float(decay_of(decay, tau, self.dt))

    def _most(self) -> float:
        """The coupling from which on it diverges."""
        return _ratio(self._share(0)) * _ratio(self._share(1))

    def constants(self) -> tuple[Tensor | float, ...]:
        decay, fall = self.membrane_decay(), decay_of(self.adaptation_decay, self.adaptation_tau, self.dt)
        follow = 1 - fall
        return (
            *(decay, self.gain(), 1 - decay, fall, self.coupling * follow, self.jump * follow),
            *(self.threshold, self.reset_constant()),
        )

    def step(self, x: Tensor, u: Tensor, w: Tensor, *constants: Tensor) -> tuple[Tensor, ...]:
        decay, gain, taken, fall, coupling, jump, threshold, reset_value = constants
        u = u * decay + self.scaled(x, gain) - w * taken
        s = self.fire(u, threshold)
        u = self.after_spike(u, s, threshold, reset_value)
        return s, u, w * fall + u * coupling + s * jump


def _ratio(share: float) -> float:
    """(1 + α) / (1 − α) of a decay."""
    return (1 + share) / (1 - share) if share < 1 else math.inf
