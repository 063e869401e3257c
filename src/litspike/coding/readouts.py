"""Readouts: from a network's output over time, [T, B, *], to one value per sample, [B, *]."""

from __future__ import annotations

from torch import Tensor, nn


class MeanOverTime(nn.Module):
    """The mean over the time steps: ``y = (1/T) Σ_t o_t``."""

    def forward(self, outputs: Tensor) -> Tensor:
        """[T, B, *] → [B, *]."""
        return outputs.mean(0)
