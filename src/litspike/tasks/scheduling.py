"""When a schedule changes the learning rate."""

from __future__ import annotations

import math
from typing import Any, Literal

from lightning import Trainer
from torch.optim.lr_scheduler import CyclicLR, LRScheduler, OneCycleLR, ReduceLROnPlateau

from litspike.settings import SettingError, UserError, integer


class Scheduling:
    """What the user says of when a schedule changes the learning rate.

    Args:
        interval: what it counts, ``epoch`` or ``step`` (of the optimizer); None: as torch describes the schedule.
        frequency: how many of them there are from one change to the next; None: one, or for a metric of the
            validation as many epochs as from one validation to the next.
        monitor: the metric that a schedule follows that follows one.

    Raises:
        SettingError: if the frequency is below 1, or the metric none of training or validation.
    """

    def __init__(self, interval: Literal["epoch", "step"] | None, frequency: int | None, monitor: str) -> None:
        if not monitor.startswith(("train/", "val/")):
            raise SettingError("scheduler_monitor", monitor, "is no metric of training or validation")
        self.interval, self.monitor = interval, monitor
        self.frequency = None if frequency is None else integer("scheduler_frequency", frequency)
        self._by_step = 1

    def of(self, scheduler: LRScheduler, trainer: Trainer) -> dict[str, Any]:
        """Lightning's description of a schedule.

        Raises:
            UserError: if it can't be followed in this fit.
        """
        if isinstance(scheduler, ReduceLROnPlateau):
            return self._by_metric(scheduler, trainer)
        by_step = (self.interval or ("step" if isinstance(scheduler, (OneCycleLR, CyclicLR)) else "epoch")) == "step"
        frequency = self.frequency or 1
        self._by_step = frequency if by_step else 1
        if isinstance(scheduler, OneCycleLR):
            _check_length(scheduler, trainer, frequency, by_step)
        interval = "step" if by_step else "epoch"
        return {"scheduler": scheduler, "interval": interval, "frequency": 1 if by_step else frequency}

    def due(self, trainer: Trainer) -> bool:
        """Whether a schedule that follows no metric changes the learning rate now."""
        return trainer.global_step % self._by_step == 0

    def _by_metric(self, scheduler: ReduceLROnPlateau, trainer: Trainer) -> dict[str, Any]:
        monitor = getattr(scheduler, "monitor", None) or self.monitor
        if self.interval == "step":
            raise SettingError("scheduler_interval", "step", "can't be: a metric is followed from epoch to epoch")
        between = 1
        if monitor.startswith("val/"):
            if trainer.limit_val_batches == 0:
                raise UserError(f"model.scheduler: it follows {monitor}, and there is no validation")
            between = trainer.check_val_every_n_epoch or 1
        frequency = self.frequency or between
        if frequency % between:
            raise SettingError(
                "scheduler_frequency", frequency, f"is no multiple of the {between} epochs to a validation"
            )
        strict = trainer.check_val_every_n_epoch is not None  # else an epoch may end before the first validation
        return {"scheduler": scheduler, "frequency": frequency, "monitor": monitor, "strict": strict}


def _check_length(scheduler: OneCycleLR, trainer: Trainer, frequency: int, by_step: bool) -> None:
    """Refuse a cycle that would be over before the fit is."""
    planned = _steps(trainer) if by_step else trainer.max_epochs
    if planned is None or planned < 0 or planned // frequency <= scheduler.total_steps:
        return
    what, other = ("steps", "epoch") if by_step else ("epochs", "step")
    raise UserError(
        f"model.scheduler: OneCycleLR has {scheduler.total_steps} changes and this fit {planned // frequency} {what}: "
        f"make total_steps as many, or set scheduler_interval to {other}"
    )


def _steps(trainer: Trainer) -> int | None:
    """The optimizer steps of a fit, as far as they are known before it."""
    module: Any = trainer.datamodule  # type: ignore[attr-defined]  # Lightning sets it from afar
    if trainer.max_steps >= 0:
        return trainer.max_steps
    if module is None or trainer.max_epochs is None or trainer.max_epochs < 0:
        return None
    batches, limit = len(module.train_dataloader()), trainer.limit_train_batches
    batches = min(batches, limit) if isinstance(limit, int) else int(batches * limit)
    return math.ceil(batches / trainer.accumulate_grad_batches) * trainer.max_epochs
