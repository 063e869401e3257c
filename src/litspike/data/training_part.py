"""What the other parts of a data set have in common with its training part."""

from __future__ import annotations

from typing import Any

import numpy as np

from litspike.data.file_part import FilePart, check_whole
from litspike.settings import UserError


def numbered(samples: FilePart, learned: dict[str, Any]) -> Any:
    """Labels as numbers of classes, float64 [N, 1]; raises :class:`UserError` of a class that training didn't have."""
    names = learned.get("names", [])
    if not samples.named and not names:
        check_whole(samples, learned["classes"])
        return samples.labels
    number = {name: index for index, name in enumerate(names)}
    for index, label in enumerate(samples.labels[:, 0]):
        if label not in number:
            known = ", ".join(map(repr, names[:10])) or f"0 to {learned['classes'] - 1}"
            raise UserError(f"{samples.label_at(index)}: the label {label!s:.40} is none of training's, {known}")
    return np.array([[number[label]] for label in samples.labels[:, 0]], float)


def check_same_form(samples: FilePart, learned: dict[str, Any]) -> None:
    """Refuse a part with other features or targets than the training part's."""
    ours, theirs = samples.x.shape[samples.axis], len(learned["mean"])
    if ours != theirs:
        raise UserError(f"{samples.name} has {ours} features, but the training part has {theirs}")
    for our, their in zip(samples.features, learned["features"], strict=False):
        if our != their:
            raise UserError(f"{samples.name} has the feature {our!r} where the training part has {their!r}")
    if samples.y is None:
        return
    if samples.y.ndim == 3 and samples.x.shape[:2] != samples.y.shape[:2]:
        steps = samples.x.shape[1] if samples.x.ndim == 3 else "no"
        raise UserError(f"{samples.name} has targets of {samples.y.shape[1]} steps, but samples of {steps} steps")
    if samples.y.shape[-1] != learned["targets"]:
        raise UserError(
            f"{samples.name} has {samples.y.shape[-1]} targets, but the training part has {learned['targets']}"
        )
