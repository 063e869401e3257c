"""Settings that stay where a file or an option names another class, when one of them is a mistake there."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from litspike.cli.arguments import Call
from litspike.settings import UserError, named_settings


class Staying(NamedTuple):
    """A setting that the class before had too."""

    group: str
    name: str
    value: Any
    before: str
    after: str


def explained(error: UserError, call: Call, files: list[dict[str, Any]]) -> UserError:
    """A mistake with the settings that it names and that stay from the class before; the same where there are none.

    Args:
        error: its message.
        call: the command line.
        files: configurations as their files have them, a later one overriding the earlier.
    """
    line = str(error)
    named = [setting for setting in staying([*map(_flat, files), _typed(call)]) if _names(line, setting)]
    if not named:
        return error
    parts = [f"{one.name} {one.value} stays from {one.before}, the class before {one.after}" for one in named]
    longer = UserError(f"{line} ({'; '.join(parts)})")
    longer.status = error.status
    return longer


def staying(layers: Iterable[dict[str, Any]]) -> list[Staying]:
    """The settings that were set for one class and hold for another.

    Args:
        layers: settings by their full names, with dots, each layer over the one before.
    """
    classes: dict[str, str] = {}
    values: dict[str, Any] = {}
    found: dict[str, Staying] = {}
    for layer in layers:
        for name, value in layer.items():
            group = name.removesuffix(".class_path")
            after = value.rsplit(".", 1)[-1] if isinstance(value, str) else ""
            if group == name and group not in classes:
                continue  # a value, and no class
            before = classes.get(group)
            if before and after and before != after:
                for full, old in values.items():
                    if full.rpartition(".")[0] == group:
                        found[full] = Staying(group, full.rpartition(".")[2], old, before, after)
            classes[group] = after or classes.get(group, "")
        plain = {
            name: value
            for name, value in layer.items()
            if not isinstance(value, dict) and not name.endswith(".class_path")
        }
        values |= plain
        found = {full: setting for full, setting in found.items() if full not in plain}
    return list(found.values())


def _flat(settings: dict[str, Any]) -> dict[str, Any]:
    return dict(named_settings(settings))


def _typed(call: Call) -> dict[str, Any]:
    return {word.name.removeprefix("--"): word.value for word in call.words if word.name and word.value is not None}


def _names(line: str, setting: Staying) -> bool:
    """Whether a message is about a setting: by its full name, or by its last part where it is about the group."""
    full = f"{setting.group}.{setting.name}"
    about = line.startswith((f"{setting.group}:", f"{setting.group}."))
    return re.search(rf"\b{re.escape(full)}\b", line) is not None or (
        about and re.search(rf"\b{re.escape(setting.name)}\b", line) is not None
    )
