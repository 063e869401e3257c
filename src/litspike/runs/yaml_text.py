"""YAML as configurations have it: plain values, each key once, of a size that a person writes."""

from __future__ import annotations

import math
import re
import stat
from pathlib import Path
from typing import Any

import yaml

from litspike.installation import similar_configuration
from litspike.internals.jsonargparse import yaml_loader
from litspike.settings import UserError

MOST_BYTES = 1_000_000
MOST_DEPTH = 40
MOST_VALUES = 20_000
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9_]*|0x[0-9a-fA-F_]+|0b[01_]+)$")
_SIXTY = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?$")
_INT, _FLOAT = "tag:yaml.org,2002:int", "tag:yaml.org,2002:float"
_KINDS = ("null", "bool", "int", "float", "str", "seq", "map")
_PLAIN_TAGS = {None, "!", *(f"tag:yaml.org,2002:{kind}" for kind in _KINDS)}


class YamlMistake(yaml.YAMLError):
    """YAML that no configuration needs, or that says one thing twice; its text is one line."""


class _Float:
    """A pattern of floats, without those to base 60."""

    def __init__(self, pattern: re.Pattern[str]) -> None:
        self.pattern = pattern

    def match(self, text: str) -> re.Match[str] | None:
        return None if _SIXTY.match(text) else self.pattern.match(text)


def _plain_loader() -> Any:
    """The class from which jsonargparse reads all YAML: 1:30 and 010, for YAML 1.1 90 and 8, are made text to it."""
    loader = yaml_loader()
    for first, pairs in loader.yaml_implicit_resolvers.items():
        resolvers = [(tag, _Float(pattern) if tag == _FLOAT else pattern) for tag, pattern in pairs if tag != _INT]
        loader.yaml_implicit_resolvers[first] = resolvers + ([(_INT, _INTEGER)] if first in "-+0123456789" else [])
    return loader


_LOADER = _plain_loader()


def in_one_line(value: Any) -> str:
    """A value as YAML in one line, as a command line takes it and a configuration has it."""
    text: str = yaml.safe_dump(value, default_flow_style=True, width=math.inf, sort_keys=False, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")


def read(path: str | Path) -> dict[str, Any]:
    """The settings in a configuration file.

    Raises:
        UserError: if it is no file, no UTF-8, no YAML or no group of settings, or what :func:`check` refuses.
    """
    text = _text(Path(path))
    try:
        check(text)
        settings = yaml.load(text, Loader=_LOADER)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"config: {path}: {problem(error)}") from None
    if not isinstance(settings, dict):
        shown = "is empty" if settings is None else f"holds {_kind(settings)}, not settings such as `trainer:`"
        raise UserError(f"config: {path} {shown}")
    for name in settings:
        if not isinstance(name, str):
            raise UserError(f"config: {path}: {name!r} is no name of a setting")
    return settings


def problem(error: Exception) -> str:
    """What is wrong with a YAML text, in a line with the place."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return f"line {mark.line + 1}, column {mark.column + 1}: {error.problem or error.context}"
    return " ".join(str(error).split())


def check(text: str) -> None:
    """Refuse a YAML text that is too deep, too large once its references are followed, or names a thing twice.

    Raises:
        YamlMistake: with the line.
        yaml.YAMLError: if it is no YAML.
    """
    checks = _Checks()
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the one in C, where there is one
    event: Any
    for event in yaml.parse(text, Loader=loader):
        if problem := checks.problem(event):
            raise YamlMistake(f"line {event.start_mark.line + 1}: {problem}")


class _Open:
    """A group whose end has not come yet, and its size: the number of values in it, with what references repeat."""

    def __init__(self, anchor: str | None, mapping: bool) -> None:
        self.anchor, self.mapping, self.size = anchor, mapping, 1
        self._keys: set[str] = set()
        self._entries = 0

    def named_twice(self, key: str | None) -> bool:
        """Count an entry; whether it is a key that was there before."""
        self._entries += 1
        if not self.mapping or self._entries % 2 == 0 or key is None:
            return False
        known = key in self._keys
        self._keys.add(key)
        return known


class _Checks:
    """Follows the events of a YAML text, without making its values."""

    def __init__(self) -> None:
        self._opened = [_Open(None, mapping=False)]
        self._sizes: dict[str, int] = {}
        self._documents = 0

    def problem(self, event: Any) -> str | None:
        """What is wrong with an event; None where nothing is."""
        if isinstance(event, yaml.CollectionEndEvent):
            group = self._opened.pop()
            self._anchored(group.anchor, group.size)
            return self._grown(group.size)
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            return "a second document begins: a configuration is one" if self._documents > 1 else None
        if isinstance(event, yaml.AliasEvent):
            return self._reference(str(event.anchor))
        if isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent):
            return self._value(event)
        return None

    def _reference(self, name: str) -> str | None:
        if any(group.anchor == name for group in self._opened):
            return f"*{name} is inside what it names"
        return self._entry(f"*{name}") or self._grown(self._sizes.get(name, 1))

    def _value(self, event: Any) -> str | None:
        if event.tag not in _PLAIN_TAGS:
            return f"the tag {event.tag[:60]} is not allowed: classes are named by class_path"
        if problem := self._entry(getattr(event, "value", None)):
            return problem
        if isinstance(event, yaml.ScalarEvent):
            self._anchored(event.anchor, 1)
            return self._grown(1)
        self._opened.append(_Open(event.anchor, isinstance(event, yaml.MappingStartEvent)))
        return f"groups in groups, more than {MOST_DEPTH} deep" if len(self._opened) > MOST_DEPTH else None

    def _entry(self, key: str | None) -> str | None:
        return f"{str(key)[:60]!r} is named twice in one group" if self._opened[-1].named_twice(key) else None

    def _anchored(self, name: str | None, size: int) -> None:
        if name is not None:
            self._sizes[name] = size

    def _grown(self, size: int) -> str | None:
        self._opened[-1].size += size
        many = sum(group.size for group in self._opened) > MOST_VALUES
        return f"more than {MOST_VALUES} values, with those that references repeat" if many else None


def _text(path: Path) -> str:
    """The text of a file; nothing but a plain file of a sane size is opened."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            kind = "a folder" if stat.S_ISDIR(status.st_mode) else "no plain file"
            raise UserError(f"config: {path} is {kind}: name a YAML file")
        if status.st_size > MOST_BYTES:
            raise UserError(f"config: {path} has {status.st_size} bytes: no configuration is so long")
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"config: {path} is no UTF-8 text (byte {error.start}): save it as UTF-8") from None
    except FileNotFoundError:
        raise UserError(f"config: there is no file {path}{similar_configuration(path)}") from None
    except (OSError, ValueError) as error:  # the latter where the name holds a null
        raise UserError(f"config: {path} can't be read ({getattr(error, 'strerror', None) or error})") from None


def _kind(value: Any) -> str:
    return "a list" if isinstance(value, list) else "a text" if isinstance(value, str) else "a single value"
