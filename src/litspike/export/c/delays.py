"""Thresholds and delays as layers of neurons, which C has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor

from litspike.neurons import Neuron
from litspike.neurons.affine import AffineLIF
from litspike.surrogates import ZeroGradient


def thresholding(threshold: Tensor) -> Neuron:
    r"""Neurons without a memory, which fire where their input is above a threshold of their own, [\*]."""
    return AffineLIF(decay=0.0, fires="above").with_numbers({"threshold": threshold}, {})


def delaying(delays: Tensor) -> Neuron:
    r"""Neurons that put out what they got some steps before, [\*], as many states as the longest delay has steps.

    Equation, with m_k = 1 where the delay is k steps, else 0, and s_0 = x::

        y = Σ_k m_k · s_k,   s_k ← s_{k−1}
    """
    steps = int(delays.max())
    masks = [(delays == step).float() for step in range(steps + 1)]

    class Delaying(Neuron):
        rest: ClassVar[dict[str, float]] = {f"s{step}": 0.0 for step in range(1, steps + 1)}
        surrogate = ZeroGradient()

        def constants(self) -> tuple[Tensor | float, ...]:
            return (0.0,) * (1 + len(self.rest))

        def values(self, name: str) -> Sequence[Tensor | float]:
            return super().values(name) if name == "at_rest" else masks

        def step(self, x: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
            count = len(rest) // 2
            line = (x, *rest[:count])
            y = line[0] * rest[count]
            for value, mask in zip(line[1:], rest[count + 1 :], strict=True):
                y = y + value * mask
            return y, *line[:-1]

    return Delaying()
