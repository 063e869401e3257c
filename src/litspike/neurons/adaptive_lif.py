"""The leaky integrate-and-fire neuron with an adaptive threshold."""

from __future__ import annotations

from torch import Tensor

from litspike.neurons.declaration import param
from litspike.neurons.firing import ThresholdFiring
from litspike.neurons.leak import Leaky, decay_of, settle_decay


class AdaptiveLIF(Leaky, ThresholdFiring):
    r"""Leaky integrate-and-fire neuron whose threshold rises with every spike and falls back slowly.

    Equation, once per step::

        u ← u · β + x        the membrane leaks and takes up the input;   β = decay = exp(−dt / τ)
        A = θ + κ · a        the threshold of this step;                  κ = adaptation
        s = 1 if u ≥ A       it fires, or only if u > A (fires)
        u ← u · (1 − s)      it is reset where it fired: to zero, to reset_value, or u ← u − s · A (reset)
        a ← a · ρ + s        the adaptation decays and counts the spike;  ρ = adaptation_decay = exp(−dt / τ_a)

    Input x, membrane potential u, threshold θ and adaptation κ (per spike) share one unit; the decays and a have none,
    the time constants and dt share one unit of time. Called on a current [T, B, \*], it returns spikes [T, B, \*] and
    its state, the membrane potential ``u`` and the decayed count of its spikes ``a``, each [B, \*].

    Raises:
        SettingError: if a parameter is outside its interval, if a decay is given beside its time constant, or if
            reset_value doesn't go with reset.

    Source: Bellec et al. 2020, "A solution to the learning dilemma for recurrent networks of spiking neurons".

    Example:
        >>> import torch
        >>> from litspike import AdaptiveLIF
        >>> spikes, state = AdaptiveLIF(decay=0.5, adaptation=1.0)(torch.full((6, 1, 1), 0.8))
        >>> spikes.flatten().tolist(), round(state.a.item(), 3)
        ([0.0, 1.0, 0.0, 0.0, 0.0, 0.0], 0.885)
    """

    rest = {"u": 0.0, "a": 0.0}

    adaptation: float = param(
        default=0.1, inside="[0, inf)", doc="rise of the threshold after a spike, in units of the input"
    )
    adaptation_decay: float | None = param(
        default=None,
        inside="[0, 1]",
        doc="share of the threshold's rise that remains after a step; 0.97 where neither it nor adaptation_tau is set",
    )
    adaptation_tau: float | None = param(
        default=None, inside="(0, inf)", doc="time constant of the threshold's rise, an alternative to adaptation_decay"
    )

    def check(self) -> None:
        super().check()
        settle_decay(self, 0.97, "adaptation_decay", "adaptation_tau")

    def constants(self) -> tuple[Tensor | float, ...]:
        fall = decay_of(self.adaptation_decay, self.adaptation_tau, self.dt)
        return self.membrane_decay(), self.threshold, self.adaptation, fall, self.reset_constant()

    def step(
        self,
        x: Tensor,
        u: Tensor,
        a: Tensor,
        decay: Tensor,
        threshold: Tensor,
        adaptation: Tensor,
        fall: Tensor,
        reset_value: Tensor,
    ) -> tuple[Tensor, ...]:
        u = u * decay + x
        risen = threshold + a * adaptation
        s = self.fire(u, risen)
        return s, self.after_spike(u, s, risen, reset_value), a * fall + s
