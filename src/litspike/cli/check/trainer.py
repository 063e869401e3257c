"""Lightning's switches: what of the Trainer's arguments and callbacks is refused before anything runs, and why."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from lightning import Callback
from lightning.fabric.plugins import CheckpointIO
from lightning.pytorch import callbacks as of_lightning
from lightning.pytorch.plugins import DeepSpeedPrecision, FSDPPrecision

from litspike.settings import SettingError, UserError

_AVERAGE = "use lightning.pytorch.callbacks.WeightAveraging, whose average is validated and kept"
_TRIALS = "can't be used: it trains for a trial, and every run here starts from its seed; try several values of"

REFUSED_CALLBACKS: dict[type[Callback], str] = {
    of_lightning.StochasticWeightAveraging: f"can't be kept: its average comes after the last checkpoint; {_AVERAGE}",
    of_lightning.LearningRateFinder: f"{_TRIALS} model.optimizer.lr",
    of_lightning.BatchSizeFinder: f"{_TRIALS} data.batch_size",
    of_lightning.ModelPruning: "can't be kept: it renames the weights, so that no checkpoint belongs to the network",
    of_lightning.Timer: "can't be written into the run's configuration: trainer.max_time does the same",
    of_lightning.BackboneFinetuning: "needs a part called backbone, which a task of litspike's hasn't",
}
"""Callbacks of Lightning's that would change nothing, or what no checkpoint would show."""


_HOOKS = ["__init__", *(name for name in vars(Callback) if name.startswith("on_") or name in ("setup", "teardown"))]
_OF_STRATEGIES = (DeepSpeedPrecision, FSDPPrecision)
"""Precisions that do nothing, or fail, beside another strategy; theirs makes them of the setting."""


def _above(limit: float) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, (int, float)) and not isinstance(value, bool) and value > limit


def _lasts(value: Any) -> bool:
    """Whether it is a time above 0 in one of Lightning's forms, or none of these at all."""
    try:
        if isinstance(value, str):
            days, hours, minutes, seconds = (int(part) for part in value.split(":") if part.isdigit())
            value = timedelta(days, hours=hours, minutes=minutes, seconds=seconds) if value.count(":") == 3 else None
        elif isinstance(value, dict):
            value = timedelta(**value)
    except (TypeError, ValueError, OverflowError):
        return False
    return value is not None and (not isinstance(value, timedelta) or value > timedelta())


_CHECKS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "accumulate_grad_batches": (_above(0), "is not at least 1"),
    "check_val_every_n_epoch": (_above(0), "is not at least 1; null validates by val_check_interval alone"),
    "log_every_n_steps": (_above(0), "is not at least 1; null logs once an epoch"),
    "gradient_clip_val": (lambda value: 0 < value < math.inf, "is no number above 0; null clips nothing"),
    "max_time": (_lasts, "is no time above 0, as 00:12:00:00 for 12 hours or {hours: 12}"),
    "val_check_interval": (_lasts, "is no time above 0, as 00:00:30:00 for 30 minutes or {minutes: 30}"),
    "reload_dataloaders_every_n_epochs": (_above(-1), "is below 0"),
    "min_epochs": (_above(-1), "is below 0"),
    "min_steps": (_above(-1), "is below 0"),
    "num_nodes": (_above(0), "is not at least 1"),
    "num_sanity_val_steps": (_above(-2), "is below -1"),
    "precision": (lambda value: value != "16-true", "holds no value as small as Adam's: set bf16-true or 16-mixed"),
    "strategy": (
        lambda value: not (isinstance(value, str) and "." in value),
        "is no name of a strategy; a class is given as {class_path: package.module.Class}",
    ),
    "barebones": (lambda value: not value, "can't be: a run has a logger, metrics and checkpoints; unset it"),
    "default_root_dir": (lambda value: False, "has no effect: --logs says where runs are filed"),
    "model_registry": (lambda value: False, "has no effect: a run is named by its folder"),
}
"""Argument of the Trainer → whether a value that isn't null is allowed, and the message where it isn't."""


def check_switches(settings: dict[str, Any]) -> None:
    """Refuse arguments of the Trainer that would be without effect, or end in an error later.

    Args:
        settings: the Trainer's arguments.

    Raises:
        UserError: with the argument's name.
    """
    for name, (allowed, reason) in _CHECKS.items():
        value = settings.get(name)
        if value is not None and not allowed(value):
            raise SettingError(f"trainer.{name}", value, reason)
    for unit in ("epochs", "steps"):
        least, most = settings.get(f"min_{unit}"), settings.get(f"max_{unit}")
        if isinstance(least, int) and isinstance(most, int) and 0 <= most < least:
            raise SettingError(f"trainer.min_{unit}", least, f"is above trainer.max_{unit}, {most}")
    for callback in as_list(settings.get("callbacks")):
        for kind, reason in REFUSED_CALLBACKS.items():
            if isinstance(callback, kind):
                raise UserError(f"trainer.callbacks: {type(callback).__name__} {reason}")
        _check_acts(callback)
    _check_plugins(as_list(settings.get("plugins")))


def _check_acts(callback: Callback) -> None:
    kind = type(callback)
    if all(getattr(kind, name) is getattr(Callback, name) for name in _HOOKS):
        raise UserError(
            f"trainer.callbacks: {kind.__name__} would do nothing: it has none of the methods that the trainer calls, "
            "such as on_train_epoch_end"
        )


def _check_plugins(plugins: list[Any]) -> None:
    for plugin in plugins:
        if isinstance(plugin, CheckpointIO):
            raise UserError(
                f"trainer.plugins: {type(plugin).__name__} can't be used: checkpoints are written whole or not at all, "
                "and signed, by litspike's own"
            )
        if isinstance(plugin, _OF_STRATEGIES):
            raise UserError(f"trainer.plugins: {type(plugin).__name__} is its strategy's own: set trainer.precision")


def check_trial(settings: dict[str, Any], subcommand: str | None, goes_on: bool) -> None:
    """Refuse a trial of a few batches where it would write over what is kept of whole ones.

    Args:
        settings: the Trainer's arguments.
        subcommand: what the trainer is for.
        goes_on: whether it goes on from a checkpoint.

    Raises:
        SettingError: if a trial is asked for elsewhere than in a new fit, or with a profile and no folder for it.
    """
    if not settings["fast_dev_run"]:
        return
    reason = "tries a new fit: leave --ckpt_path out"
    if subcommand != "fit":
        part = subcommand if subcommand in ("test", "predict") else "val"
        reason = f"tries a fit: set trainer.limit_{part}_batches"
    if subcommand != "fit" or goes_on:
        raise SettingError("trainer.fast_dev_run", settings["fast_dev_run"], reason)
    if settings["profiler"] and getattr(settings["profiler"], "dirpath", None) is None:
        raise UserError("trainer.profiler: a trial (trainer.fast_dev_run) has no run's folder that it is written into")


def as_list(setting: Any) -> list[Any]:
    """Callbacks or plugins as a list, of which a configuration may name one, several or none."""
    return setting if isinstance(setting, list) else [setting] if setting else []
