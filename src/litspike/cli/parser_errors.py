"""One line for a user's mistake: what jsonargparse says over many lines, with the setting's full name."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from typing import Any

from litspike.cli.missing import full_name, parts, remedy, unfinished
from litspike.runs.trust import not_trusted

_KEY = re.compile(r'(?:Parser key|Key) "([^"]+)"')
_UNKNOWN = re.compile(r"(?:[Oo]ption '|unrecognized arguments: )([^' =]+)")
_TYPE = re.compile(r"Expected a (<class '.*?'>|typing\.Literal\[.*?\])(?:$|[.\n])", re.MULTILINE)
_REQUIRED = re.compile(r"the following arguments are required: (.*)$")
_DENIED = re.compile(r"Importing '([^']+)' is not allowed, denied by")
_VALUE = re.compile(r"(?:Given|Got) value: (.*)")
_PLAIN_NAMES = {"NoneType": "null", "int": "an integer", "float": "a number", "bool": "true or false"}
_BASIC = ("an integer", "a number", "true or false", "str")
_CLASSES = (
    (
        re.compile(
            r"Multiple subclasses with name (\w+)\. Give the full class path to avoid ambiguity: (.*?)\.?$", re.M
        ),
        "several classes are called {0}, give its full path: {1}",
    ),
    (
        re.compile(r"Expected a dot import path string: (.*)$", re.M),
        "{0!r} is no class that is known here, give its full path, as package.module.Class",
    ),
)
_OF_ANOTHER_KIND = re.compile(
    r"(?:(?:Import path|Expected)(?P<path> '?[\w.]+'?)? (?:does not correspond to|to be) a|Not a valid) "
    r"subclass of (?:<class ')?(?P<kind>\w+)"
)
_NO_CLASS = re.compile(r"Type .+? expects a function or a callable class")
_ABSTRACT = re.compile(r"Expected an instantiatable class(?:, but ([\w.]+) is)?")
_CLASS_PATH = re.compile(r"^\W*class_path\W+([\w.]+)")
_MISSING = re.compile(r"(No module named '.*?'|module '.*?' has no attribute '.*?')")
_NESTED = re.compile(r"NestedArg\(key='([^']+)', val='?(.*?)'?\)$")
_ANY_KEY = re.compile(r"\bdict\[str, ")
_DOTTED = re.compile(r"[^\W\d]\w*\.[^\W\d]")
_EXPECTS = (
    "Not a valid",
    "Expected",
    "Problem with",
    "Import path",
    "Does not",
    "Type ",
    "Multiple",
    "Parser key",
    "Key ",
    "a ",
)
_NOISE = (
    "Given value",
    "Expected a path but",
    "Does not validate against",
    "Problem with given class_path",
    "Subtypes:",
    "Errors:",
)


def parser_message(message: str, given: Sequence[tuple[str, Any]], known: Iterable[str]) -> str:
    """The one line that matters in an error of the parser.

    Args:
        message: what jsonargparse says: the innermost part of a setting's name, and the cause, over several lines.
        given: full names and values of the settings that the user or a checkpoint gave, those that hold first.
        known: full names of the settings there are, to suggest one for a misspelling.
    """
    mentioned = [part for name, value in given for part, _ in parts(name, value)]
    if found := _DENIED.search(message):
        return not_trusted(found[1])
    if "Unexpected config" in message or "Problems parsing config" in message:
        return f"the configuration file is empty or no YAML: {' '.join(message.split())}"
    if found := _REQUIRED.search(message):
        names = [full_name(name, given) for name in found[1].split(", ")]
        place = names[0].rpartition(".")[0]
        kind = next((value for name, value in given for part, value in parts(name, value) if part == place), None)
        if problem := unfinished(kind):
            return f"{place}: {problem}"
        return f"{', '.join(names)}: {'it' if len(names) == 1 else 'they'} must be set"
    if found := _UNKNOWN.search(message):
        name = _full_name(found[1].lstrip("-"), mentioned)
        near = difflib.get_close_matches(name, set(known) - {name}, n=1)  # that of another class is called so too
        return f"{name}: there is no such setting" + (f"; did you mean {near[0]}?" if near else "")
    cause = message
    keys = _KEY.findall(message)
    if keys:
        cause = message[message.rindex(f'"{keys[-1]}"') + len(keys[-1]) + 2 :].lstrip(": \n")
    value = _VALUE.search(cause)
    got = value[1].strip() if value else ""
    nested = _NESTED.match(got)
    if nested:  # a setting inside another, whose class can't be had or has none of that name
        got = nested[2]
        keys[-1] = f"{keys[-1]}.{nested[1]}"
    unknown = nested and not _ANY_KEY.search(cause)
    problem = _not_imported(cause, got) or ("there is no such setting" if unknown else _mismatch(cause, got))
    return f"{_full_name(keys[-1], mentioned)}: {problem}" if keys else " ".join(problem.split())


def _mismatch(cause: str, given: str) -> str:
    """What a value should be and isn't."""
    allowed = list(dict.fromkeys(_plain(name) for name in _TYPE.findall(cause)))
    path = _CLASS_PATH.search(given)
    value = path[1] if path else given or "what is given"
    if found := _ABSTRACT.search(cause):
        kind = found[1] or value
        return unfinished(kind) or f"{kind} is abstract{remedy(kind.rpartition('.')[2])}"
    about_a_class = _about_a_class(cause, value)
    if about_a_class and (_given_another(cause) or not any(name in _BASIC for name in allowed)):
        return about_a_class
    if allowed and given and "import path" not in cause.split("Errors:")[0]:
        return f"{given!r} is not {' or '.join(allowed)}"
    lines = [line.strip().removeprefix("- ") for line in cause.splitlines() if line.strip()]
    return next((line for line in reversed(lines) if not line.startswith(_NOISE)), lines[-1])


def _not_imported(cause: str, given: str) -> str | None:
    """Why a class can't be had: its module is missing, lacks it, or raised something; None where nothing says so."""
    if missing := _MISSING.search(cause):
        return missing[1]
    if not _DOTTED.search(given):
        return None
    lines = [line.strip() for line in cause.partition("Errors:")[2].splitlines()]
    entries = [line.removeprefix("- ") for line in lines if line.startswith("- ")]
    raised = next((entry for entry in entries if not entry.startswith(_EXPECTS)), None)
    path = _CLASS_PATH.search(given)
    return f"{path[1] if path else given} can't be imported ({raised})" if raised else None


def _about_a_class(cause: str, value: str) -> str | None:
    """What is wrong with the name of a class; None where the value is to be something else."""
    for pattern, text in _CLASSES:
        if match := pattern.search(cause):
            return text.format(*match.groups())
    if found := list(_OF_ANOTHER_KIND.finditer(cause)):
        *kinds, last = dict.fromkeys(match["kind"] for match in found)
        path = (found[0]["path"] or value).strip(" '")
        return f"{path} is no {', '.join(kinds)}{' or ' if kinds else ''}{last}{remedy(last)}"
    return f"{value} is no class" if _NO_CLASS.search(cause) else None


def _given_another(cause: str) -> bool:
    return any("Not a valid" not in match[0] for match in _OF_ANOTHER_KIND.finditer(cause))


def _full_name(key: str, mentioned: Iterable[str]) -> str:
    return next((name for name in mentioned if name == key or name.endswith(f".{key}")), key)


def _plain(expected: str) -> str:
    if expected.startswith("<class"):
        name = expected.split("'")[1].rsplit(".", 1)[-1]
        return _PLAIN_NAMES.get(name, name)
    return expected.removeprefix("typing.Literal[").removesuffix("]")
