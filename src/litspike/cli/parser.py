"""The argument parser: its errors are exceptions with the whole message."""

from __future__ import annotations

import ast
import json
from typing import Any, NoReturn

from lightning.pytorch.cli import LightningArgumentParser


class ParserExit(SystemExit):
    """Arguments that can't be parsed, in jsonargparse's own words, over several lines."""


class Parser(LightningArgumentParser):
    """Lightning's parser, which raises :class:`ParserExit` where that one prints its usage and exits.

    An exit, since jsonargparse tries several types for a value and takes any other exception for a try that failed.
    """

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        raise ParserExit(message) from ex

    def parse_args(self, args: Any = None, *more: Any, **kwargs: Any) -> Any:
        """Parse; what is two classes deep arrives here as Python prints it, for jsonargparse has formatted it again."""
        if isinstance(args, list):
            args = [_as_yaml(arg) for arg in args]
        return super().parse_args(args, *more, **kwargs)


def _as_yaml(argument: str) -> str:
    """An argument whose value is None, a dictionary or a list of Python's, with a value that YAML reads as the same."""
    name, equals, value = argument.partition("=")
    if not equals or not (value == "None" or value.startswith(("{'", "["))):
        return argument
    try:
        return f"{name}={json.dumps(ast.literal_eval(value))}"
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):  # typed, and no Python
        return argument
