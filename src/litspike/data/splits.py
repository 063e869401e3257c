"""A part carved from another, so that each class keeps its share."""

from __future__ import annotations

import torch
from torch import Tensor

TEST, VALIDATION = 0, 1
"""Purposes of the draws that carve those parts."""


def carve(labels: Tensor, fraction: float, randomness: torch.Generator, least: int = 0) -> tuple[Tensor, Tensor]:
    """Choose which samples stay and which are held out, at random within each class.

    ``round(fraction · N)`` samples are held out, or more where ``least`` asks for them. Each class gives its share,
    rounded down; those whose share lost most in the rounding give one more, until the number is reached. A class
    never gives its last sample.

    Args:
        labels: class numbers [N]; all 0 where there are no classes.
        fraction: share that is held out, inside (0, 1).
        randomness: which samples.
        least: samples that each class gives however small its share.

    Returns:
        Indices of those that stay and of those held out, both ascending, int64.
    """
    shuffled = torch.randperm(len(labels), generator=randomness)
    classes = [shuffled[labels[shuffled] == label] for label in torch.unique(labels)]
    shares = [fraction * len(members) for members in classes]
    counts = [min(max(int(share), least), len(members) - 1) for share, members in zip(shares, classes, strict=True)]
    missing = round(fraction * len(labels)) - sum(counts)
    for index in sorted(range(len(classes)), key=lambda index: counts[index] - shares[index]):
        if missing > 0 and counts[index] < len(classes[index]) - 1:
            counts[index] += 1
            missing -= 1
    held = torch.zeros(len(labels), dtype=torch.bool)
    for members, count in zip(classes, counts, strict=True):
        held[members[:count]] = True
    return held.logical_not().nonzero().flatten(), held.nonzero().flatten()
