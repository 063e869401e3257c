"""What a task takes from the data: samples, targets, and the lengths of sequences that end before their last step."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch.utilities import CombinedLoader
from torch import Tensor

from litspike.coding.valid import valid_steps
from litspike.settings import UserError

Batch = tuple[Any, ...]
"""What :func:`unpack` takes."""


def given(lengths: Tensor | None) -> dict[str, Tensor]:
    """Lengths as an argument, where there are some: a part of one's own may not know them."""
    return {} if lengths is None else {"lengths": lengths}


def unpack(batch: Any) -> tuple[Tensor, Tensor, Tensor | None]:
    """Samples, targets and the lengths of sequences, None where all have one.

    A batch is (x, y), or (x, y, {"lengths": lengths}) with integers [B].

    Raises:
        UserError: if it is anything else.
    """
    if isinstance(batch, (tuple, list)) and isinstance(batch[0], Tensor):
        if len(batch) == 2:
            return batch[0], batch[1], None
        if len(batch) == 3 and isinstance(batch[2], dict) and [*batch[2]] == ["lengths"]:
            return batch[0], batch[1], batch[2]["lengths"]
    kind = f"{type(batch).__name__} of {len(batch)}" if isinstance(batch, (tuple, list, dict)) else type(batch).__name__
    raise UserError(
        f"data: a batch is a {kind}; a task takes (x, y), samples and their targets as tensors, and "
        'of sequences of different lengths a third entry, {"lengths": lengths}'
    )


def unpack_new(batch: Any) -> tuple[Tensor, Tensor, Tensor | None]:
    """As :func:`unpack`; samples without targets, x or (x,), have none: a tensor [B, 0]."""
    alone = batch[0] if isinstance(batch, (tuple, list)) and len(batch) == 1 else batch
    if isinstance(alone, Tensor) and alone.dim():
        return alone, alone.new_empty(len(alone), 0), None
    return unpack(batch)


def check_one_loader(part: str, loaders: Any) -> None:
    """Refuse several loaders where a task takes one: what it measures is one part's.

    Args:
        part: ``train``, ``val``, ``test`` or ``predict``.
        loaders: what ``PART_dataloader`` gives.
    """
    if part != "train" and isinstance(loaders, (list, tuple, dict)) and len(loaders) == 1:
        return
    if isinstance(loaders, (list, tuple, dict, CombinedLoader)):
        raise UserError(
            f"data: {part}_dataloader gives a {type(loaders).__name__} of loaders; a task takes one: join their data "
            "into it"
        )


def pair(batch: Any) -> tuple[Tensor, Tensor]:
    """Samples and targets, for what takes no sequences of different lengths; raises :class:`UserError` of these."""
    x, y, lengths = unpack(batch)
    if lengths is not None:
        raise UserError("data: the sequences have different lengths; this needs sequences of one length")
    return x, y


def without_padding(values: Tensor, targets: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor]:
    """Values and targets as metrics take them: where each step has one, NaN after a sequence's end."""
    if lengths is None or values.dim() < 3 or targets.shape != values.shape:
        return values, targets
    outside = ~valid_steps(values.shape[1], lengths).T[..., None]
    return values.masked_fill(outside, torch.nan), targets.masked_fill(outside, torch.nan)


def check_finite(part: str, x: Tensor) -> None:
    """Refuse samples that hold NaN or infinity: neurons turn them into no spikes, and the loss stays finite."""
    if not bool(x.isfinite().all()):
        raise UserError(f"data: the {part} samples hold NaN or infinity: look for them, or replace them, in the data")
