"""Checks of what a user sets, and the errors that answer a wrong value in one line."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterator
from typing import Any

MOST_OF_A_VALUE = 500
"""The most characters of a wrong value that an error shows."""


class UserError(Exception):
    """A user's mistake: its text is one line that says what to do. The command line shows it without traceback."""

    status = 1
    """The exit status of a command line that ends with it."""


class ParseError(UserError):
    """Arguments that can't be parsed."""

    status = 2


class LitspikeWarning(UserWarning):
    """What a user should know of a run that goes on all the same; the command line says it in a line."""


class SettingError(UserError, ValueError):
    """A setting has a value that is not allowed.

    Args:
        setting: name of the setting, as its constructor calls it.
        value: what was given.
        problem: what is wrong with it and what is allowed, as in ``is outside [0, 1]``.
    """

    def __init__(self, setting: str, value: object, problem: str) -> None:
        super().__init__(setting, value, problem)
        self.setting, self.value, self.problem = setting, value, problem

    def __str__(self) -> str:
        shown = repr(self.value)
        if "\n" in shown or len(shown) > MOST_OF_A_VALUE:
            shown = f"a value of type {type(self.value).__name__}"
        return f"{self.setting}: {shown} {self.problem}"


def number(setting: str, value: Any, interval: str) -> float:
    """Check that ``value`` is a finite number inside ``interval``, and return it.

    Args:
        setting: the setting's name.
        value: the value to check.
        interval: as mathematics writes it, such as ``"[0, 1]"`` or ``"(0, inf)"``.

    Raises:
        SettingError: if it is no number, not finite or outside the interval.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise SettingError(setting, value, "is not a number")
    checked = float(value)
    if not inside(checked, interval):
        raise SettingError(setting, value, f"is outside {interval}")
    return checked


def inside(value: float, interval: str) -> bool:
    """Whether a number is finite and inside an interval written as in :func:`number`."""
    low, high = bounds(interval)
    above = value > low or (interval[0] == "[" and value == low)
    below = value < high or (interval[-1] == "]" and value == high)
    return math.isfinite(value) and above and below


def bounds(interval: str) -> tuple[float, float]:
    """The ends of an interval written as in :func:`number`."""
    low, high = interval[1:-1].split(",")
    return float(low), float(high)


def integer(setting: str, value: Any, least: int = 1, most: int = 2**31 - 1) -> int:
    """Check that ``value`` is an integer of at least ``least`` and at most ``most``, and return it.

    Raises:
        SettingError: if it is not.
    """
    if type(value) is int and least <= value <= most:  # every call of a layer asks
        return value
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise SettingError(setting, value, "is not an integer")
    checked = int(value)
    if checked < least:
        raise SettingError(setting, value, f"is less than {least}")
    if checked > most:
        raise SettingError(setting, value, f"is above {most}")
    return checked


def setting_name(key: str) -> str:
    """A setting's name as the command line takes it: without ``init_args``."""
    return ".".join(part for part in key.split(".") if part != "init_args")


def named_settings(settings: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Name and value of every setting in nested dictionaries, groups of settings included."""
    if isinstance(settings, dict):
        for key, value in settings.items():
            name = f"{path}.{key}".lstrip(".")
            yield setting_name(name), value
            yield from named_settings(value, name)
