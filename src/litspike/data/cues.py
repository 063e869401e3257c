"""Signals of several channels, each carried by a population of spiking units."""

from __future__ import annotations

import torch
from torch import Tensor


def population(signals: Tensor, units: int, rate: float, randomness: torch.Generator) -> Tensor:
    """Let each channel speak through ``units`` units, which spike with probability ``rate`` a step while it is on.

    Args:
        signals: [N, T, C], true where a channel is on.
        units: units of a channel.
        rate: probability of a spike in one step of one unit, from 0 to 1.
        randomness: of the spikes; nothing is drawn where rate is 1.

    Returns:
        Spikes 0 or 1, uint8 [N, T, C · units]; the units of a channel lie side by side.
    """
    spikes = signals.repeat_interleave(units, dim=2)
    if rate < 1:
        spikes = spikes & (torch.rand(spikes.shape, generator=randomness) < rate)
    return spikes.to(torch.uint8)
