"""A trainer's loggers, and the axis that they draw metrics along: epochs, or optimizer steps.

Steps are counted where something happens inside epochs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lightning import Trainer
from lightning.pytorch.callbacks import DeviceStatsMonitor, LearningRateMonitor, ThroughputMonitor
from lightning.pytorch.loggers import TensorBoardLogger

_BY_STEP = (LearningRateMonitor, DeviceStatsMonitor, ThroughputMonitor)
"""Lightning's callbacks that log at optimizer steps."""

EPOCHS, STEPS = "epochs", "steps"
"""What an axis may count."""


def boards(trainer: Trainer) -> list[TensorBoardLogger]:
    """The loggers that write for TensorBoard, which takes pictures and settings too."""
    return [logger for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]


def counts_steps(trainer: Trainer) -> bool:
    """Whether the axis counts optimizer steps, and not epochs: what a callback has in ``kept_axis``, or as is asked."""
    callbacks: list[Any] = trainer.callbacks  # type: ignore[attr-defined]  # Lightning sets it from afar
    axis_name = next((axis for callback in callbacks if (axis := getattr(callback, "kept_axis", None))), None)
    return axis_name == STEPS if axis_name else asks_for_steps(trainer)


def asks_for_steps(trainer: Trainer) -> bool:
    """Whether the settings ask for an axis of optimizer steps.

    They do where an epoch may have several validations, and where a callback logs inside epochs: one of Lightning's
    that do, or one with an attribute ``logs_steps`` that is true.
    """
    interval = getattr(trainer, "val_check_interval", None)  # there is none where it is a time
    if not (isinstance(interval, float) and interval == 1.0) or trainer.check_val_every_n_epoch is None:
        return True
    callbacks: list[Any] = trainer.callbacks  # type: ignore[attr-defined]  # Lightning sets it from afar
    return any(isinstance(callback, _BY_STEP) or getattr(callback, "logs_steps", False) for callback in callbacks)


def position(trainer: Trainer) -> int:
    """Where a fit's newest metrics belong: the epoch that is trained, from 1, or the optimizer steps done."""
    return trainer.global_step if counts_steps(trainer) else trainer.current_epoch + 1


def log_at(trainer: Trainer, metrics: Mapping[str, Any], place: int) -> None:
    """Give every logger metrics at a place of the axis; where it counts steps, with the epoch beside them.

    Lightning would take the place from a metric called ``step``, which its checkpoints take for the step as well.
    """
    values = {name: float(value) for name, value in metrics.items()}
    if values and counts_steps(trainer) and trainer.state.fn == "fit":
        values["epoch"] = float(trainer.current_epoch + 1)
    for logger in trainer.loggers if values else []:
        logger.log_metrics(values, place)
        logger.save()
