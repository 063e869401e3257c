"""The leaky integrate-and-fire neuron with graded spikes."""

from __future__ import annotations

from torch import Tensor

from litspike.neurons.declaration import option, param
from litspike.neurons.firing import Firing
from litspike.neurons.leak import ScaledInput
from litspike.surrogates import Surrogate, ZeroGradient


class GradedLIF(ScaledInput, Firing):
    r"""Leaky integrate-and-fire neuron whose spike carries a number: by how much it exceeds the threshold.

    Equation, once per step::

        u ← u · β + x        the membrane leaks and takes up the input, or (1 − β) · x (input_gain);  β = exp(−dt / τ)
        s = 1 if u ≥ θ       it fires, or only if u > θ (fires)
        y = s · (u − θ)      what it sends
        u ← u − y            and no longer has

    A layer is silent where little comes in, as with spikes of 0 and 1, but the sum of what it sends isn't rounded to
    their number, and y is continuous in u: its gradient is exact, and a surrogate only adds to it. Input x, potential
    u, threshold θ and output y share one unit; decay β has none, tau and dt share one unit of time. Called on a current
    [T, B, \*], it returns graded spikes [T, B, \*] and its state ``u`` [B, \*].

    Raises:
        SettingError: if a parameter is outside its interval, or if tau and decay are both given.

    Source: Orchard et al. 2021, "Efficient neuromorphic signal processing with Loihi 2", for spikes with a number.

    Example:
        >>> import torch
        >>> from litspike import GradedLIF
        >>> GradedLIF(decay=0.5, threshold=1.0)(torch.tensor([0.75, 0.875, 0.25]).view(3, 1, 1))[0].flatten().tolist()
        [0.0, 0.25, 0.0]
    """

    rest = {"u": 0.0}

    threshold: float = param(
        default=1.0, inside="(0, inf)", doc="membrane potential from which on it sends, in units of the input"
    )
    surrogate: Surrogate = option(
        default=ZeroGradient(), doc="surrogate gradient of the spike's presence, beside the exact one of its size"
    )

    def constants(self) -> tuple[Tensor | float, ...]:
        return self.membrane_decay(), self.gain(), self.threshold

    def step(self, x: Tensor, u: Tensor, decay: Tensor, gain: Tensor, threshold: Tensor) -> tuple[Tensor, ...]:
        u = u * decay + self.scaled(x, gain)
        above = u - threshold
        y = self.spike(above) * above.clamp(min=0)
        return y, u - self.resetting(y)
