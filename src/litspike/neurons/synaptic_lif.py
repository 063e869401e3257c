"""The leaky integrate-and-fire neuron with a synaptic current."""

from __future__ import annotations

from torch import Tensor

from litspike.neurons.declaration import param
from litspike.neurons.firing import ThresholdFiring
from litspike.neurons.leak import Leaky, decay_of, settle_decay


class SynapticLIF(Leaky, ThresholdFiring):
    r"""Leaky integrate-and-fire neuron whose input decays in the synapse, instead of arriving as an impulse.

    Equation, once per step::

        i ← i · α + x        the synaptic current decays and takes up the input;  α = synapse_decay = exp(−dt / τ_s)
        u ← u · β + i        the membrane leaks and takes up the current;         β = decay = exp(−dt / τ)
        s = 1 if u ≥ θ       it fires, or only if u > θ (fires)
        u ← u · (1 − s)      it is reset where it fired: to zero, to reset_value, or u ← u − s · θ (reset)

    Input x, current i, membrane potential u and threshold θ share one unit; the decays have none, the time constants
    and dt share one unit of time. Called on a current [T, B, \*], it returns spikes [T, B, \*] and its state, the
    membrane potential ``u`` and the synaptic current ``i``, each [B, \*].

    Raises:
        SettingError: if a parameter is outside its interval, if a decay is given beside its time constant, or if
            reset_value doesn't go with reset.

    Source: Neftci, Mostafa and Zenke 2019, "Surrogate gradient learning in spiking neural networks", equations 3–5.

    Example:
        >>> import torch
        >>> from litspike import SynapticLIF
        >>> spikes, state = SynapticLIF(decay=0.5, synapse_decay=0.5)(torch.full((5, 1, 1), 0.5))
        >>> spikes.flatten().tolist(), state.i.item()
        ([0.0, 1.0, 0.0, 1.0, 0.0], 0.96875)
    """

    rest = {"u": 0.0, "i": 0.0}

    synapse_decay: float | None = param(
        default=None,
        inside="[0, 1]",
        doc="share of the synaptic current that remains after a step; 0.8 where neither it nor synapse_tau is set",
    )
    synapse_tau: float | None = param(
        default=None, inside="(0, inf)", doc="time constant of the synaptic current, an alternative to synapse_decay"
    )

    def check(self) -> None:
        super().check()
        settle_decay(self, 0.8, "synapse_decay", "synapse_tau")

    def constants(self) -> tuple[Tensor | float, ...]:
        synapse = decay_of(self.synapse_decay, self.synapse_tau, self.dt)
        return self.membrane_decay(), synapse, self.threshold, self.reset_constant()

    def step(
        self, x: Tensor, u: Tensor, i: Tensor, decay: Tensor, synapse: Tensor, threshold: Tensor, reset_value: Tensor
    ) -> tuple[Tensor, ...]:
        i = i * synapse + x
        u = u * decay + i
        s = self.fire(u, threshold)
        return s, self.after_spike(u, s, threshold, reset_value), i
