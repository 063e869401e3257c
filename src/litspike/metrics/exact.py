"""Sums in double precision, also of values on a device that has none."""

from __future__ import annotations

import torch
from torch import Tensor


def exact_device(device: torch.device) -> torch.device:
    """Where float64 numbers of a device can be: there, or on the CPU where it has none, as Apple's GPUs (MPS)."""
    return torch.device("cpu") if device.type == "mps" else device


def exact(values: Tensor) -> Tensor:
    """Values as float64, on :func:`exact_device`."""
    return values.to(exact_device(values.device)).double()
