"""The form of what a user says, before the parser gets it: what that would overlook is refused here."""

from __future__ import annotations

from typing import Any

import yaml

from litspike.cli.arguments import Call
from litspike.runs import yaml_text
from litspike.settings import ParseError, UserError, setting_name

_OF_ONE_CALL = ("seeds", "ckpt_path")


def check_form(call: Call, files: list[dict[str, Any]], known: list[str]) -> None:
    """Refuse values and configuration files that the parser would overlook, or spend minutes on.

    Args:
        call: the command line.
        files: the settings in the configuration files.
        known: full names of the settings there are, with dots.

    Raises:
        UserError: with the setting's name.
    """
    for word in call.words:
        if word.name and word.value is None and not word.asks_for_help:
            raise ParseError(f"{word.name.lstrip('-')}: it needs a value")
        if word.name and word.name != "--config" and word.value:
            try:
                yaml_text.check(word.value)
            except yaml_text.YamlMistake as error:
                raise ParseError(f"{word.name.lstrip('-')}: {error}") from None
            except (yaml.YAMLError, ValueError):
                pass  # then it is a text
    groups = {name.split(".")[0] for name in known if "." in name}
    for settings in files:
        for name, value in settings.items():
            if name in groups and not isinstance(value, dict):
                empty = "it is empty: leave it out, or name a setting in it"
                raise UserError(f"{name}: {empty if value is None else f'{value!r} is no group of settings'}")
            _check_classes(name, value)
            if name in _OF_ONE_CALL and value is not None:
                raise UserError(f"{name}: it belongs on the command line, not into a file: --{name} {value}")


def _check_classes(name: str, value: Any) -> None:
    """Refuse a class that is no text, and settings of one that are no group, wherever they are in a value."""
    if isinstance(value, list):
        for index, entry in enumerate(value):
            _check_classes(f"{name}[{index}]", entry)
    if not isinstance(value, dict):
        return
    if not isinstance(value.get("class_path", ""), str):
        raise UserError(f"{setting_name(name)}: class_path: {value['class_path']!r} is no class")
    if not isinstance(value.get("init_args", {}), dict | None):
        raise UserError(f"{setting_name(name)}: init_args: {value['init_args']!r} is no group of settings")
    for key, entry in value.items():
        _check_classes(f"{name}.{key}", entry)
