"""The part of ``--help`` that jsonargparse leaves out: the settings of the classes that a configuration uses."""

from __future__ import annotations

import inspect
import pkgutil
import textwrap
from collections.abc import Iterator
from typing import Any

from docstring_parser import parse

SKIPPED = {"self", "params", "parameters", "kwargs", "args"}


def explain(configs: list[dict[str, Any]]) -> str:
    """Explain every setting of each class under ``model`` and ``data``, by its full name.

    Args:
        configs: configurations as their files have them, a later one overriding the earlier.
    """
    config: dict[str, Any] = {}
    for later in configs:
        config = _merged(config, later)
    return "\n".join([*(line for key in ("model", "data") for line in _explained(config.get(key), key)), ""])


def _merged(earlier: Any, later: Any) -> Any:
    if not isinstance(earlier, dict) or not isinstance(later, dict):
        return later
    if later.get("class_path", earlier.get("class_path")) != earlier.get("class_path"):
        return later
    return {**earlier, **{key: _merged(earlier.get(key), value) for key, value in later.items()}}


def _explained(settings: Any, name: str) -> Iterator[str]:
    path = settings.get("class_path") if isinstance(settings, dict) else settings
    if not isinstance(path, str) or "." not in path:
        return
    try:
        kind = pkgutil.resolve_name(path)
        parameters = inspect.signature(kind).parameters
    except (ImportError, AttributeError, ValueError, TypeError):
        return
    texts = {entry.arg_name: entry.description or "" for text in (kind, kind.__init__) for entry in _documented(text)}
    given = settings.get("init_args", {}) if isinstance(settings, dict) else {}
    yield f"\n--{name} {path}:"
    for parameter in parameters.values():
        if parameter.name in SKIPPED or parameter.kind is inspect.Parameter.VAR_KEYWORD:
            continue
        value = given.get(parameter.name, parameter.default)
        plain = value is None or isinstance(value, (bool, int, float, str, list, tuple))
        shown = f" (here {value})" if plain and value is not inspect.Parameter.empty else ""
        text = " ".join(texts.get(parameter.name, "").split())
        yield f"  --{name}.{parameter.name}{shown}"
        yield from textwrap.wrap(text, 110, initial_indent=" " * 8, subsequent_indent=" " * 8)
    for parameter in parameters.values():
        yield from _explained(given.get(parameter.name), f"{name}.{parameter.name}")


def _documented(thing: Any) -> list[Any]:
    return list(parse(thing.__doc__ or "").params)
