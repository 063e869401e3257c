"""What jsonargparse doesn't say of a class: the full name of an argument that it needs, a method that it lacks.

It is a file of its own, as :mod:`litspike.cli.parser_errors` reads texts and this looks at classes.
"""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import Any

import yaml

_SOME = 6
"""Names of classes that are shown."""


def full_name(argument: str, given: Iterable[tuple[str, Any]]) -> str:
    """Where a class that needs an argument is named without it; the argument alone where that isn't known.

    Args:
        argument: the argument's name.
        given: names and values of settings, those that hold first.
    """
    settings: dict[str, Any] = {}
    for name, value in given:
        for part, inner in parts(name, value):
            settings.setdefault(part, inner)
    for place, value in settings.items():
        if f"{place}.{argument}" not in settings and any(_needs(kind, argument) for kind in _classes(value)):
            return f"{place}.{argument}"
    return argument


def lacking(path: str) -> list[str]:
    """The methods that a class must have before one of it can be made, and hasn't."""
    return sorted({name for kind in _classes(path) for name in getattr(kind, "__abstractmethods__", ())})


def remedy(name: str) -> str:
    """What to take where a class of litspike's is asked for that is called so; empty of anybody else's."""
    base = next((kind for kind in _classes(name) if kind.__module__.startswith("litspike.")), None)
    if base is None:
        return ""
    package = ".".join(base.__module__.split(".")[:2])
    public = vars(import_module(package))
    below = [kind.__name__ for kind in _all_below(base, set()) if not inspect.isabstract(kind)]
    there = sorted(one for one in below if one in public)
    some = f"{', '.join(there[:_SOME])}{', …' if there[_SOME:] else ''} or " if there else ""
    return f": take {some}a class derived from {package if name in public else base.__module__}.{name}"


def plain(text: str | None) -> Any:
    """The value of an option, as a configuration file would hold it."""
    try:
        return yaml.safe_load(text or "")
    except (yaml.YAMLError, ValueError, RecursionError):
        return text


def parts(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """A setting and those inside it; of a class the setting's value is its path."""
    if isinstance(value, dict):
        yield name, value.get("class_path")
        for key, inner in value.items():
            if key != "class_path":
                yield from parts(name if key == "init_args" else f"{name}.{key}", inner)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from parts(f"{name}[{index}]", inner)
    else:
        yield name.removesuffix(".class_path"), value


def _classes(path: Any) -> list[type]:
    """The class of a full path, or those that are called so."""
    if not isinstance(path, str):
        return []
    if "." in path:
        try:
            found = pkgutil.resolve_name(path)
        except (ValueError, ImportError, AttributeError):
            return []
        return [found] if inspect.isclass(found) else []
    return [kind for kind in _all_below(object, set()) if kind.__name__ == path]


def _all_below(kind: type, seen: set[type]) -> set[type]:
    below: type
    for below in type.__subclasses__(kind):
        if below not in seen:
            seen.add(below)
            _all_below(below, seen)
    return seen


def _needs(kind: type, argument: str) -> bool:
    try:
        parameter = inspect.signature(kind).parameters.get(argument)
    except (TypeError, ValueError):  # one of C's
        return False
    return parameter is not None and parameter.default is parameter.empty
