"""Random convolutions over time, whose neurons fire where a series is like their kernel."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from litspike.arguments import typed
from litspike.networks.delay import AxonalDelay
from litspike.networks.sequence import SpikingSequential
from litspike.neurons import NeuronLayer
from litspike.settings import integer


class RandomKernels(SpikingSequential):
    r"""Random convolutions over time, fixed, of many dilations → neurons.

    Equation, for kernel n with dilation d_n, on the features f ∈ C_n of a series x, which is 0 before its start::

        y_t,n = b_n + Σ_{f ∈ C_n} Σ_{k < length} w_n,f,k · x_{t − k · d_n, f}

    The w are drawn from a normal distribution, minus the mean of each row w_n,f; b_n from (0, 2); d_n is ⌊2^v⌋ with v
    from (0, log₂((steps − 1) / (length − 1))), and 1 where steps are fewer than length; C_n are ⌊2^v⌋ features with v
    from (0, log₂(min(F, length) + 1)). With a neuron without memory (``LIF(decay=0)`` with its threshold of 1) the rate
    of neuron n over time is the source's "proportion of positive values". Its other feature, the maximum, is left out,
    as in its successor MiniRocket.

    It maps series [T, B, F] to spikes [T, B, kernels], step by step: fixed delays, an
    :class:`~litspike.networks.AxonalDelay`, hold the past. x is standardised, and in the unit of the threshold. Nothing
    is learned, but what the neuron learns: :class:`~litspike.coding.LinearOfRates` is the readout to go with it.
    Weights are drawn by torch's global generator.

    Args:
        features: number F of features at each step.
        steps: of a series, by which the longest dilation is chosen.
        neuron: the model of the neurons.
        kernels: number of kernels, and neurons.
        length: of a kernel, in steps of its dilation.

    Raises:
        SettingError: if a number is below 1, or length below 2.

    Source: Dempster, Petitjean and Webb 2020, "ROCKET: exceptionally fast and accurate time series classification using
    random convolutional kernels"; Dempster, Schmidt and Webb 2021, "MiniRocket: a very fast (almost) deterministic
    transform for time series classification", for one length of 9 and for rates as the only features.

    Example:
        >>> import torch
        >>> from litspike import LIF, RandomKernels
        >>> network = RandomKernels(features=1, steps=50, neuron=LIF(decay=0.0), kernels=100)
        >>> spikes, state = network(torch.randn(50, 4, 1))
        >>> spikes.shape
        torch.Size([50, 4, 100])
    """

    @typed
    def __init__(self, features: int, steps: int, neuron: NeuronLayer, kernels: int = 4000, length: int = 9) -> None:
        for name, value in (("features", features), ("steps", steps), ("kernels", kernels)):
            integer(name, value)
        longest = max((steps - 1) / (integer("length", length, 2) - 1), 1.0)
        dilations = _powers(longest, kernels)
        used = _powers(min(features, length) + 1, kernels).clamp(max=min(features, length))
        rank = torch.rand(kernels, features).argsort(1).argsort(1)
        weights = torch.randn(kernels, features, length)
        weights = (weights - weights.mean(2, keepdim=True)) * (rank < used[:, None])[..., None]
        each = sorted({d * k for d in range(1, int(longest) + 1) for k in range(length)})  # drawn or not: of one form
        places = torch.searchsorted(torch.tensor(each), dilations[:, None] * torch.arange(length))
        taps = torch.zeros(kernels, features, len(each))
        taps.scatter_(2, places[:, None].expand_as(weights), weights)
        spread = torch.eye(features).repeat_interleave(len(each), 0)
        super().__init__(
            [
                _fixed(spread, torch.zeros(len(spread))),
                AxonalDelay([len(spread)], each[-1], [float(lag) for lag in each] * features, learn=False),
                _fixed(taps.flatten(1), 2 * torch.rand(kernels)),
                neuron.shaped(kernels),
            ]
        )


def _powers(largest: float, count: int) -> Tensor:
    """Integers ⌊2^v⌋ with v from (0, log₂ largest)."""
    return (torch.rand(count) * math.log2(largest)).exp2().long()


def _fixed(weight: Tensor, bias: Tensor) -> nn.Linear:
    """A Linear that isn't learned."""
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.weight, layer.bias = (nn.Parameter(value, requires_grad=False) for value in (weight, bias))
    return layer
