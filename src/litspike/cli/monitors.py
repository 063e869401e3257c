"""The figures by which a fit decides: the best checkpoint, when to stop, when to lower the learning rate."""

from __future__ import annotations

from jsonargparse import Namespace

from litspike.cli.messages import namespaces, setting_name
from litspike.settings import SettingError


def check_monitors(config: Namespace) -> None:
    """Refuse a fit that would decide by anything but its own figures: the test data choose nothing.

    Args:
        config: the configuration of a fit. Every setting in it that is called ``monitor`` names such a figure,
            whether of ``checkpoint``, of a callback or of a scheduler.

    Raises:
        SettingError: with the setting's full name, if it names no figure of training or validation.
    """
    for path, settings in namespaces(config, ""):
        monitor = settings.get("monitor")
        if isinstance(monitor, str) and not monitor.startswith(("train/", "val/")):
            raise SettingError(setting_name(f"{path}.monitor"), monitor, "is no figure of training or validation")
