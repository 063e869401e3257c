"""Checks of the inputs of encoders and readouts."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from litspike.arguments import check_floats, check_tensor
from litspike.settings import UserError, inside

SCALED = ": scale it, as data.scaling unit of litspike.data.Arrays does"
"""What an encoder of values in [0, 1] says of others."""


def check_range(name: str, x: Tensor, interval: str, remedy: str = "") -> None:
    """Check that an input is inside an interval: one pass over it, and one value read back from its device.

    An input without elements passes, and so does any while it is compiled or exported, where no values are known.

    Args:
        name: what the error calls the encoder or readout.
        x: the input.
        interval: as :func:`litspike.settings.number` takes it.
        remedy: what the error adds of a finite value outside.

    Raises:
        UserError: if a value is outside the interval, NaN or infinite, or if the input's dtype is not floating-point.
    """
    check_floats(name, "the input", x)
    if x.numel() == 0 or x.is_meta or torch.compiler.is_compiling():
        return
    for value in torch.stack(x.detach().aminmax()).tolist():
        if not inside(value, interval):
            advice = remedy if math.isfinite(value) else ""
            raise UserError(f"{name}: the input holds {value:.8g}, which is outside {interval}{advice}")


def check_sequence(name: str, x: Tensor) -> None:
    """Check that an input is a sequence [B, T, *] with T ≥ 1. Raises :class:`UserError`."""
    check_tensor(name, "the input", x)
    if x.dim() < 2 or x.shape[1] < 1:
        raise UserError(f"{name} takes sequences [B, T, *] with T ≥ 1, not {list(x.shape)}")
