"""How features are scaled and what takes a missing value's place, learned from training samples."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from litspike.data.file_part import FilePart
from litspike.settings import UserError

Rule = Literal["standard", "unit"]
Filling = Literal["refuse", "mean", "median"]


def learn(train: FilePart, scaling: Rule | None, missing: Filling) -> dict[str, Any]:
    """What :func:`apply` needs, measured over the training samples, their steps and pixels: tensors and plain values.

    Equations, for each feature::

        standard    x ← (x − mean) / std
        unit        x ← (x − min) / (max − min), clipped to [0, 1]

    A feature that is constant becomes 0.

    Raises:
        UserError: if a feature has no value in any training sample and others are to be imputed from it.
    """
    values = train.rows()
    known: dict[str, Any] = {"clip": scaling == "unit"}
    if missing != "refuse":
        absent = np.isnan(values).all(0)
        if absent.any():
            raise UserError(f"{train.name}: {train.feature(int(np.flatnonzero(absent)[0]))} has no value in training")
        fill = np.nanmean(values, 0) if missing == "mean" else np.nanmedian(values, 0)
        values = np.where(np.isnan(values), fill, values)
        known["fill"] = torch.as_tensor(fill)
    features = values.shape[1]
    shift, scale = np.zeros(features), np.ones(features)
    if scaling == "standard":
        shift, scale = values.mean(0), values.std(0)
    elif scaling == "unit":
        shift, scale = values.min(0), np.ptp(values, 0)
    constant = scale <= 1e-12 * np.abs(values).max(0) if scaling else np.zeros(features, bool)
    return {**known, "mean": torch.as_tensor(shift), "std": torch.as_tensor(np.where(constant, 1.0, scale))}


def apply(samples: FilePart, learned: dict[str, Any]) -> Tensor:
    r"""Samples as a network gets them, float32 [N, \*], with 0 after the end of a sequence.

    Raises:
        UserError: that names the sample, if a value is missing and training had no rule for it.
    """
    shape = [1] * samples.x.ndim
    shape[samples.axis] = -1
    x = torch.from_numpy(samples.x)
    if (fill := learned.get("fill")) is None:
        samples.check_complete("; what replaces it is learned in training: fit with data.missing mean or median")
    else:
        x = torch.where(x.isnan(), fill.view(shape), x)
    x = (x - learned["mean"].view(shape)) / learned["std"].view(shape)
    if learned.get("clip"):
        x = x.clamp(0, 1)
    if samples.lengths is not None:
        x = x * torch.from_numpy(samples.valid()).view(*x.shape[:2], *[1] * (x.dim() - 2))
    scaled: Tensor = x.float()
    return scaled
