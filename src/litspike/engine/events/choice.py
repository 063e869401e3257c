"""Whether a product runs on events or dense: one place, with constants that were measured (benchmarks/density.py)."""

from __future__ import annotations

from ctypes import addressof, c_int64
from math import gcd, isfinite, prod

from torch import Tensor

from litspike.engine.events.form import LINE, Form
from litspike.engine.events.kernels import prepared
from litspike.engine.modes import in_memory

LEAST_WORK = 1 << 23
"""Multiplications of the dense product, which takes some 100 µs, below which the density isn't looked for."""
LEAST_OUTPUTS = 32
"""Outputs below which an event adds too little at once."""
CROSSOVER = 0.35
"""Density from which on a dense product of many rows is as fast."""
CROSSOVER_OUTPUTS = 128
"""Outputs below which the crossover falls in proportion: an event adds to few at once."""
PACKED_ROWS = 64
"""Rows whose dense product takes as long as packing the weight."""
_LINES = 64
"""The density is that of so many lines of the cache: what it takes is to fetch them from memory."""

CONVOLUTION_CROSSOVER = 0.1
"""Density from which on a convolution isn't ahead by half again (benchmarks/convolution.py)."""
CONVOLUTION_OUTPUTS, CONVOLUTION_DEPTH = 64, 256
"""Output channels, and inputs that one output sees, below which it isn't ahead at any density that layers have."""

SAMPLED_CROSSOVER = 0.5
"""Share of the places of a gradient from which on all of it is worked out as fast."""
FEEDBACK_LEAST, FEEDBACK_SLOPE = 128, 1280
"""Neurons of a recurrent layer below which it always is, and those above them for each further share of 1."""


def large_enough(numbers: int, outputs: int) -> bool:
    """Whether a product of so many numbers with a weight [outputs, inputs] could be faster on events."""
    return outputs >= LEAST_OUTPUTS and numbers * outputs >= LEAST_WORK


def pays(spikes: Tensor, outputs: int) -> bool:
    """Whether the product on events is faster than the dense one, by the density of some numbers.

    Args:
        spikes: contiguous, [.., inputs].
        outputs: of the weight.
    """
    inputs, numbers = spikes.shape[-1], spikes.numel()
    if not large_enough(numbers, outputs):
        return False
    share = CROSSOVER * min(outputs / CROSSOVER_OUTPUTS, 1) * (1 - PACKED_ROWS / max(numbers // max(inputs, 1), 1))
    return _fewer(spikes, inputs, share)


def wide_enough(weight: Tensor) -> bool:
    """Whether a convolution of spikes with a weight [outputs, channels, ..] could be faster on events."""
    return weight.dim() > 2 and weight.shape[0] >= CONVOLUTION_OUTPUTS and prod(weight.shape[1:]) >= CONVOLUTION_DEPTH


def convolution_pays(spikes: Tensor, work: int) -> bool:
    """Whether a convolution with a weight that is wide enough is faster on events, by the density of some numbers.

    Args:
        spikes: contiguous, [samples, channels, ..].
        work: multiplications of the dense one.
    """
    return work >= LEAST_WORK and _fewer(spikes, prod(spikes.shape[2:]), CONVOLUTION_CROSSOVER)


def takes(spikes: Tensor, weight: Tensor, bias: Tensor | None) -> bool:
    """Whether a product on events gives what the dense one does: the kernels can read all, and the weight is finite."""
    for factor in (weight, bias):
        if factor is not None and not (factor.dtype is spikes.dtype and factor.is_cpu and in_memory(factor)):
            return False
    return (bias is None or bias.shape == weight.shape[:1]) and not spikes.is_neg() and is_finite(weight)


def is_finite(factor: Tensor) -> bool:
    """Whether a product may leave out what is multiplied by 0: a NaN or an infinity would make a NaN of it."""
    return isfinite(factor.detach().sum().item())


def _fewer(spikes: Tensor, columns: int, crossover: float) -> bool:
    """Whether fewer than a share of some numbers, spread over rows and columns, are not zero. It takes microseconds."""
    if crossover <= 0:
        return False
    lines = spikes.numel() // LINE
    stride = max(lines // _LINES, 1)
    while gcd(stride, columns) > 1:
        stride += 1
    some, found = -(-lines // stride), c_int64()
    count, arguments = prepared("count", Form(spikes.dtype), spikes.data_ptr(), stride * LINE, addressof(found))
    count.call(arguments, 0, some)
    return found.value < crossover * max(some * LINE, 1)


def sampling_pays(density: float) -> bool:
    """Whether a product with a weight is faster at a share of its places alone than everywhere."""
    return density < SAMPLED_CROSSOVER


def sampled_feedback_pays(density: float, neurons: int) -> bool:
    """The same for the feedback of a recurrent layer, whose few rows at a time make finding the places dearer."""
    return density < min(SAMPLED_CROSSOVER, (neurons - FEEDBACK_LEAST) / FEEDBACK_SLOPE)
