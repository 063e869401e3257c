"""The metrics by which a fit decides: the best checkpoint, when to stop, when to lower the learning rate."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Literal

from jsonargparse import Namespace
from lightning import Callback, LightningModule, Trainer

from litspike.cli.constructor_errors import namespaces
from litspike.internals.lightning import validation_metrics
from litspike.settings import LitspikeWarning, SettingError, setting_name
from litspike.tasks import Task


def check_monitors(config: Namespace) -> None:
    """Refuse a fit that would decide by anything but its own metrics: the test data choose nothing.

    Args:
        config: the configuration of a fit. Every setting in it that is called ``monitor`` names such a metric,
            whether of ``checkpoint``, of a callback or of a scheduler. A module of the user's own may call them as it
            likes; what begins with ``test`` is refused all the same.

    Raises:
        SettingError: with the setting's full name, if it names no metric of training or validation.
    """
    ours = str(config.get("model.class_path")).startswith("litspike.")
    for name, monitor in monitors(config):
        if monitor.startswith("test") or (ours and not monitor.startswith(("train/", "val/"))):
            raise SettingError(name, monitor, "is no metric of training or validation")


def monitors(config: Namespace) -> list[tuple[str, str]]:
    """Full name and value of every setting that names a metric to decide by."""
    return [
        (setting_name(f"{path}.{name}"), settings[name])
        for path, settings in namespaces(config, "")
        for name in ("monitor", "scheduler_monitor")
        if isinstance(settings.get(name), str) and settings.get("strict") is not False  # which may go without
    ]


def best_mode(model: LightningModule, monitor: str) -> Literal["min", "max"]:
    """Whether a metric is best where it is least or greatest; least where it isn't known."""
    name = monitor.removeprefix("val/").removeprefix("train/")
    return "max" if isinstance(model, Task) and model.val_metrics.higher_is_better(name) else "min"


def warn_of_modes(config: Namespace, model: LightningModule) -> None:
    """Say where a callback or a schedule takes a metric's worst value for its best: Lightning's and torch's follow the
    least unless a mode is set.

    Args:
        config: the configuration of a fit. ``checkpoint.mode`` follows the metric, and holds where it is set.
        model: made of it.
    """
    for path, settings in namespaces(config, ""):
        follows, mode = settings.get("monitor"), settings.get("mode")
        if path == "model.init_args.scheduler.init_args" and follows is None:
            follows = config.get("model.init_args.scheduler_monitor")
        if not isinstance(follows, str) or path == "checkpoint" or mode not in ("min", "max"):
            continue
        if mode != (best := best_mode(model, follows)) and (best == "max" or follows.endswith("/loss")):
            setting = setting_name(f"{path}.mode")
            problem = f"{setting}: {mode!r} takes the {mode}imum of {follows} for the best, and its {best}imum is"
            warnings.warn(f"{problem}: set it to {best}", LitspikeWarning, stacklevel=2)


class MonitorCheck(Callback):
    """Refuses a fit that would decide by a metric that isn't logged, as soon as this can be known.

    That is before training where litspike's own tasks and callbacks log, else after the sanity check, or at the first
    validation.

    Args:
        monitors: as :func:`monitors` gives them.

    Raises:
        SettingError: with the names of the metrics that there are.
    """

    def __init__(self, monitors: list[tuple[str, str]]) -> None:
        self.monitors = monitors

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compare with what a task of litspike's says that it logs."""
        logging = [pl_module, *trainer.callbacks]  # type: ignore[attr-defined]  # Lightning sets it from afar
        known = all(type(one).__module__.startswith(("litspike.", "lightning.")) for one in logging)
        if known and isinstance(pl_module, Task):
            self._check(pl_module.logged(), pl_module, ("train", "val"), pl_module.val_metrics.names)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look for the metrics of validation; those of training are logged later."""
        logged = dict.fromkeys((*trainer.callback_metrics, *validation_metrics(trainer)))
        known = [name for name in logged if name not in ("epoch", "step")]
        if trainer.state.fn == "fit" and (known or not trainer.sanity_checking):
            self._check(known, pl_module, ("val",))

    def _check(
        self, known: list[str], module: LightningModule, stages: tuple[str, ...], rows: Sequence[str] = ()
    ) -> None:
        """Refuse a monitor of these stages that isn't known, nor an entry of a metric that may be a row of them."""
        entries = tuple(f"{stage}/{name}_" for stage in stages for name in rows)
        for name, monitor in self.monitors:
            if monitor.startswith(stages) and monitor not in known and not monitor.startswith(entries):
                raise SettingError(name, monitor, f"is no metric of this fit, {_remedy(name, known, module)}")


def _remedy(setting: str, known: list[str], module: LightningModule) -> str:
    if not known:
        return f"for {type(module).__name__} logs none: give it one by self.log in its validation_step"
    option = setting if "[" in setting else f"--{setting}"
    return f"{type(module).__name__} logs {', '.join(known)}: set {option} to one of them"
