"""Numbers in fixed point: integers that stand for themselves times a power of two."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from litspike.networks.quantised import ScaleRule

HEADROOM = 2.0
"""A format has room for so many times the largest number that was seen."""
MOST_FRACTION = 40
"""No number has more binary places than these."""


class Settings(NamedTuple):
    """How a network is written in integers."""

    bits: int
    """Of a weight, with its sign: 2 to 8."""
    scale: ScaleRule
    states: int
    """Bits of a state, a current and a constant: 16 or 32."""


class Fixed(NamedTuple):
    """What the integers of a tensor mean."""

    fraction: int
    """Binary places: an integer stands for itself times 2^−fraction."""
    low: int
    """The least integer that there can be."""
    high: int

    @property
    def unit(self) -> float:
        """What the integer 1 stands for."""
        return math.ldexp(1.0, -self.fraction)

    @property
    def largest(self) -> int:
        """The largest absolute value of an integer."""
        return max(-self.low, self.high)

    def of(self, x: Tensor) -> Tensor:
        """Numbers as integers: the nearest, halves towards +∞, and those outside at the bounds; 0 of NaN."""
        scaled = torch.floor(torch.ldexp(x.double(), torch.tensor(self.fraction)) + 0.5)
        return scaled.nan_to_num(0.0).clamp(self.low, self.high).long()

    def numbers(self, integers: Tensor) -> Tensor:
        """What integers stand for, in double precision."""
        return integers.double() * self.unit


SPIKES = Fixed(0, 0, 1)


def fraction_for(largest: float, bits: int) -> int:
    """The most binary places with which a number up to ``largest`` has ``bits`` bits with its sign at most."""
    if largest == 0:
        return min(bits - 2, MOST_FRACTION)  # of a number that was never anything else, as of 1
    return min(bits - 1 - math.frexp(largest)[1], MOST_FRACTION)


def format_for(largest: float, bits: int, most: int | None = None) -> Fixed:
    """The finest format for numbers up to HEADROOM times ``largest``.

    Args:
        largest: absolute value that was seen.
        bits: of an integer, with its sign.
        most: the largest absolute value that an integer may have besides.
    """
    limit = (1 << (bits - 1)) - 1
    fraction = fraction_for(largest * HEADROOM, bits)
    if most is not None and most < limit:
        while fraction > -MOST_FRACTION and math.ldexp(largest * HEADROOM, fraction) > most:
            fraction -= 1
        limit = max(most, 1)
    return Fixed(fraction, -limit, limit)


def as_shifts(ratio: Tensor) -> tuple[None, Tensor]:
    """n with 2^−n for each ratio, which is a power of two."""
    return None, (-torch.log2(ratio)).round().long().clamp(-31, 62)


def as_multipliers(ratio: Tensor) -> tuple[Tensor, Tensor]:
    """m and n with m / 2^n next to each ratio, m below 2³¹."""
    shift = (31 - torch.frexp(ratio).exponent).clamp(0, 62)
    multiplier = torch.floor(torch.ldexp(ratio, shift) + 0.5).clamp(max=(1 << 31) - 1).long()
    return multiplier, shift.long()
