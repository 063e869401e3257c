"""Which steps belong to sequences of different lengths, which lie padded in one batch."""

from __future__ import annotations

import torch
from torch import Tensor


def valid_steps(steps: int, lengths: Tensor) -> Tensor:
    """Whether each of T steps is inside each sequence, boolean [T, B].

    Args:
        steps: T.
        lengths: number of steps of each sequence, integers [B].
    """
    return torch.arange(steps, device=lengths.device)[:, None] < lengths


def spread(valid: Tensor, like: Tensor) -> Tensor:
    r"""Valid steps [T, B] with dimensions of 1 behind them, to stand beside values [T, B, \*]."""
    return valid.view(*valid.shape, *[1] * (like.dim() - 2))


def mean_over_steps(values: Tensor, lengths: Tensor) -> Tensor:
    r"""The mean of values [T, B, \*] over each sequence's own steps, [B, \*]."""
    inside = spread(valid_steps(len(values), lengths), values)
    return torch.where(inside, values, 0).sum(0) / lengths.view(-1, *[1] * (values.dim() - 2))
