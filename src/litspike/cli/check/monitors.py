"""The figures by which a fit decides: the best checkpoint, when to stop, when to lower the learning rate."""

from __future__ import annotations

from jsonargparse import Namespace
from lightning import Callback, LightningModule, Trainer

from litspike.cli.parser_errors import namespaces
from litspike.settings import SettingError, setting_name


def check_monitors(config: Namespace) -> None:
    """Refuse a fit that would decide by anything but its own figures: the test data choose nothing.

    Args:
        config: the configuration of a fit. Every setting in it that is called ``monitor`` names such a figure,
            whether of ``checkpoint``, of a callback or of a scheduler. A module of the user's own may call them as it
            likes; what begins with ``test`` is refused all the same.

    Raises:
        SettingError: with the setting's full name, if it names no figure of training or validation.
    """
    ours = str(config.get("model.class_path")).startswith("litspike.")
    for path, settings in namespaces(config, ""):
        monitor = settings.get("monitor")
        if not isinstance(monitor, str):
            continue
        if monitor.startswith("test") or (ours and not monitor.startswith(("train/", "val/"))):
            raise SettingError(setting_name(f"{path}.monitor"), monitor, "is no figure of training or validation")


class MonitorCheck(Callback):
    """Ends a fit at its first validation where this logged other metrics than the one that chooses the best checkpoint.

    Args:
        monitor: the value of ``checkpoint.monitor``.

    Raises:
        SettingError: at the end of a validation, with the names of the metrics that there are.
    """

    def __init__(self, monitor: str) -> None:
        self.monitor = monitor

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look for the metric; one of training is logged later."""
        known = [name for name in trainer.callback_metrics if name not in ("epoch", "step")]
        if trainer.state.fn != "fit" or trainer.sanity_checking or self.monitor in known:
            return
        if self.monitor.startswith("val"):
            raise SettingError(
                "checkpoint.monitor", self.monitor, f"is no metric of this fit, {_remedy(known, pl_module)}"
            )


def _remedy(known: list[str], module: LightningModule) -> str:
    if not known:
        return f"for {type(module).__name__} logs none: give it one by self.log in its validation_step"
    return f"{type(module).__name__} logs {', '.join(known)}: set --checkpoint.monitor to one of them"
