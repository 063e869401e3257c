"""The scale of a regression's targets: measured on the training data, kept with the weights."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from itertools import islice
from typing import Any

import torch
from lightning import Trainer
from torch import Tensor, nn

from litspike.internals.lightning import new_training_loader
from litspike.settings import UserError
from litspike.tasks.epoch_metrics import of_all_processes

MOST_BATCHES = 1000
"""Batches that are read of a loader which doesn't say how many it has."""


class TargetScale(nn.Module):
    r"""Mean μ and standard deviation σ of each target, so that a network learns ``z = (y − μ) / σ``.

    Identity (μ = 0, σ = 1) until :meth:`measure`, and of weights that were saved without them. They are no buffers, as
    these would be averaged, rounded to 16 bits or left behind with the weights; a ``state_dict`` holds them.
    """

    def __init__(self) -> None:
        super().__init__()
        self._scale: Tensor | None = None
        self.register_load_state_dict_pre_hook(_identity_where_missing)  # type: ignore[no-untyped-call]  # torch's

    @property
    def known(self) -> bool:
        """Whether they are anything but the identity."""
        return self._scale is not None

    def measure(self, targets: Iterable[Tensor]) -> None:
        r"""Take mean and standard deviation from batches of targets, [B], [B, D] or [B, T, D], of all processes.

        They are those of the last dimension's D targets, over samples and steps. A target that is the same in every
        sample keeps σ = 1.

        Raises:
            UserError: if a target is NaN or infinite, or there is none.
        """
        parts = of_all_processes(_merged(map(_moments, targets)))
        count, mean, squares = _merged(part for part in parts if part is not None) or (0, None, None)
        if mean is None or squares is None:
            raise UserError("the training data are empty")
        if not bool(mean.isfinite().all()):
            raise UserError("the targets of the training data hold NaN or infinity: look at the data")
        deviation = (squares / count).sqrt()
        constant = deviation <= torch.finfo(torch.float32).eps * mean.abs()
        self._scale = torch.stack([mean, torch.where(constant, 1.0, deviation)])

    def standardised(self, targets: Tensor) -> Tensor:
        """(y − μ) / σ."""
        if self._scale is None:
            return targets
        mean, deviation = self._on(targets.device)
        standardised: Tensor = (targets - mean) / deviation
        return standardised.to(_exact(targets.dtype))

    def restored(self, values: Tensor) -> Tensor:
        """μ + σ z."""
        if self._scale is None:
            return values
        mean, deviation = self._on(values.device)
        restored: Tensor = values * deviation + mean
        return restored.to(_exact(values.dtype))

    def _on(self, device: torch.device) -> Tensor:
        assert self._scale is not None
        if self._scale.device != device:
            self._scale = self._scale.float().to(device) if device.type == "mps" else self._scale.to(device)
        return self._scale

    def get_extra_state(self) -> Tensor:
        """μ and σ, [2, D]; without entries of the identity."""
        return torch.zeros(2, 0) if self._scale is None else self._scale.cpu()

    def set_extra_state(self, state: Any) -> None:
        """Take up what :meth:`get_extra_state` gave; raises :class:`UserError` of anything else."""
        if not (isinstance(state, Tensor) and state.dim() == 2 and len(state) == 2 and state.isfinite().all()):
            raise UserError("the scale of the targets in these weights is damaged: it is not a mean and a deviation")
        self._scale = state.clone() if state.numel() else None


def _exact(dtype: torch.dtype) -> torch.dtype:
    """A dtype that large targets are not rounded to a few digits in."""
    return torch.promote_types(dtype, torch.float32)


def training_batches(trainer: Trainer) -> Iterator[Any]:
    """The batches of the training data on the module's device, as a fit would get them in its first epoch.

    They come from a loader of their own: an iterator of the fit's would move its workers and its order on.
    """
    loader = new_training_loader(trainer)
    most = len(loader) if isinstance(loader, Sized) else MOST_BATCHES
    for batch in islice(loader, most):
        yield trainer.strategy.batch_to_device(batch)


def class_counts(labels: Iterable[Tensor]) -> Tensor:
    """How often each class is there in batches of labels [B], of all processes: int64 [C], two at least."""
    here = torch.zeros(2, dtype=torch.int64)
    for batch in labels:
        found = torch.bincount(batch.detach().long().cpu().flatten(), minlength=len(here))
        here = torch.nn.functional.pad(here, (0, len(found) - len(here))) + found
    parts = of_all_processes(here)
    most = max(map(len, parts))
    return torch.stack([torch.nn.functional.pad(part, (0, most - len(part))) for part in parts]).sum(0)


Moments = tuple[int, Tensor, Tensor]
"""Number of values, their mean and the sum of their squared distances from it, each of the latter [D]."""


def _moments(targets: Tensor) -> Moments:
    """Those of one batch, float64 on the CPU."""
    values = targets.detach().cpu().double()
    values = values.reshape(-1, values.shape[-1] if values.dim() > 1 else 1)
    mean = values.mean(0)
    return len(values), mean, (values - mean).square().sum(0)


def _merged(parts: Iterable[Moments]) -> Moments | None:
    """The moments of several parts together (Chan, Golub and LeVeque 1979); None of no part."""
    found: Moments | None = None
    for count, mean, squares in parts:
        if found is None:
            found = count, mean, squares
            continue
        before, total, apart = found[0], found[0] + count, mean - found[1]
        found = total, found[1] + apart * count / total, found[2] + squares + apart.square() * before * count / total
    return found


def _identity_where_missing(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Weights that were saved without a scale were trained without one."""
    state.setdefault(f"{prefix}_extra_state", torch.zeros(2, 0))
