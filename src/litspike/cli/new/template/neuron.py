"""Your neuron: one time step as mathematics. Its gradient and its fast kernels follow from these lines."""

import torch
from torch import Tensor

from litspike.neurons import Neuron, param


class MyNeuron(Neuron):
    """Leaks slowly near rest and fast above half the threshold.

    u ← u + x;  s = 1 if u ≥ θ;  u ← u · (1 − s) · (slow where u < θ / 2, else fast)
    """

    rest = {"u": 0.0}

    slow: float = param(default=0.95, inside="(0, 1)", doc="share of the potential that remains after a step near rest")
    fast: float = param(default=0.8, inside="(0, 1)", doc="the same above half the threshold")
    threshold: float = param(default=1.0, inside="(0, inf)", doc="membrane potential at which the neuron fires")

    def constants(self) -> tuple[Tensor | float, ...]:
        """What can be computed before the first step."""
        return self.slow, self.fast, self.threshold, self.threshold / 2

    def step(
        self, x: Tensor, u: Tensor, slow: Tensor, fast: Tensor, threshold: Tensor, half: Tensor
    ) -> tuple[Tensor, ...]:
        """Input and state at one step → spike and state after it; each element by itself."""
        u = u + x
        s = self.spike(u - threshold)
        return s, torch.where(u < half, u * slow, u * fast) * (1 - s)
