"""Errors of the constructors that a configuration calls, by the setting's full name."""

from __future__ import annotations

import inspect
import pkgutil
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from jsonargparse import Namespace

from litspike import memory
from litspike.cli.errors import being_made, chain, expected, raised_by_a_library
from litspike.cli.missing import unfinished
from litspike.settings import SettingError, UserError, setting_name

_HIDDEN = "Not a valid subclass of"


@contextmanager
def users_mistakes(config: Namespace) -> Iterator[None]:
    """Raise the user's mistake behind an error, where there is one.

    Args:
        config: the configuration of which classes are made meanwhile.
    """
    try:
        yield
    except Exception as error:
        mistake = _users_mistake(error, config)
        if mistake is error:
            raise
        raise mistake from error


def _users_mistake(error: Exception, config: Namespace) -> Exception:
    """The user's mistake behind an error of a constructor, which jsonargparse wraps; the error itself if there is none.

    A wrong setting gets its full name, as far as the configuration tells which one holds the value. What a library
    refuses is a mistake too, but not what fails in litspike's own code or in the user's.
    """
    cause = next((cause for cause in chain(error) if isinstance(cause, UserError)), None)
    if isinstance(cause, SettingError):
        name = cause.setting.split("[")[0]
        for path, settings in namespaces(config, ""):
            value = settings.get(name)
            inside = isinstance(value, list | tuple | dict) and cause.value in value
            if name in settings and (value == cause.value or inside):
                return UserError(f"{setting_name(path)}.{cause}".lstrip("."))
    setting = _refusing(error, config)
    if cause is not None:
        return cause if setting is None or isinstance(cause, SettingError) else _named(cause, setting)
    if line := expected(error):
        named = setting is not None and any(memory.ran_out(cause) for cause in chain(error))
        return UserError(f"{setting_name(setting)}: {line}" if named and setting else line)
    if not raised_by_a_library(error):
        return error
    deepest = list(chain(error))[-1]
    if str(deepest).startswith(_HIDDEN) and (found := _made_again(config, str(deepest))):
        return found
    name = type(deepest).__name__
    kind = "" if name in ("TypeError", "ValueError", "RuntimeError", "MisconfigurationException") else f"{name}: "
    return UserError(f"{setting_name(setting or 'trainer')}: {kind}{deepest}")


def _named(mistake: UserError, setting: str) -> UserError:
    """A mistake with the name of the setting whose class says so, where it names none."""
    if re.match(r"[a-z_]+(\.\w+)+(\[\d+\])?:", str(mistake)):
        return mistake
    return UserError(f"{setting_name(setting)}: {mistake}")


def _made_again(config: Namespace, text: str) -> UserError | None:
    """What a class raises that jsonargparse couldn't make, where it may be one of several kinds and the reason is lost.

    Args:
        config: the configuration.
        text: jsonargparse's, which has the class's path.
    """
    for path, settings in namespaces(config, ""):
        place, given = settings.get("class_path"), settings.get("init_args")
        if f"class_path='{place}'" not in text or not isinstance(given, Namespace):
            continue
        try:
            _class(place)(**vars(given))
        except Exception as error:
            reason = expected(error) or " ".join(str(error).split()) or type(error).__name__
            return UserError(f"{setting_name(path)}: {str(place).rpartition('.')[2]} can't be made: {reason}")
    return None


def _refusing(error: Exception, config: Namespace) -> str | None:
    """Name of the innermost group of settings whose class was being made when an error was raised."""
    paths = {_class(settings.get("class_path")): path for path, settings in namespaces(config, "")}
    return next((paths[kind] for kind in reversed(list(being_made(error))) if kind in paths), None)


def check_needed(config: Namespace) -> None:
    """Refuse a class that others are to be derived from, and null for an argument with neither a type nor a default.

    Null is the parser's word for an argument that isn't given.

    Raises:
        UserError: with the setting's name.
    """
    for path, settings in namespaces(config, ""):
        kind, given = _class(settings.get("class_path")), settings.get("init_args")
        if problem := unfinished(settings.get("class_path")):
            raise UserError(f"{setting_name(path)}: {problem}")
        for parameter in _parameters(kind):
            bare = parameter.default is parameter.empty and parameter.annotation is parameter.empty
            if bare and isinstance(given, Namespace) and given.get(parameter.name, path) is None:
                raise UserError(f"{setting_name(path)}.{parameter.name}: it must be set")


def _parameters(kind: Any) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(kind).parameters.values())
    except (TypeError, ValueError):  # no class, or one of C's
        return []


def _class(path: Any) -> Any:
    """The class of a path, which may not be the one where it is defined; None of anything else."""
    try:
        return pkgutil.resolve_name(path)
    except (TypeError, ValueError, ImportError, AttributeError):
        return None


def namespaces(config: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Path and entries of every group of settings in a parsed configuration, also in lists and dictionaries."""
    if isinstance(config, Namespace):
        entries = dict(vars(config))
        yield path, entries
        for key, value in entries.items():
            yield from namespaces(value, f"{path}.{key}".lstrip("."))
    elif isinstance(config, dict):
        for key, value in config.items():
            yield from namespaces(value, f"{path}.{key}")
    elif isinstance(config, list):
        for index, value in enumerate(config):
            yield from namespaces(value, f"{path}[{index}]")
