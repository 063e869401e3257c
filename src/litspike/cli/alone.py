"""The subcommands that need no trainer, which takes seconds to import."""

from __future__ import annotations

import argparse
import pkgutil
from pathlib import Path
from typing import NoReturn

from litspike.installation import program
from litspike.settings import ParseError

_PLACES = {
    "compare": "litspike.cli.compare:compare",
    "new": "litspike.cli.new:new",
    "configs": "litspike.cli.configurations:configs",
    "doctor": "litspike.cli.doctor:doctor",
}

COMMANDS = {
    "compare": "Shows runs side by side, and writes a page with their curves.",
    "new": "Writes a starting point: data, neuron and network of your own, or a configuration for a file (--data).",
    "configs": "Lists the configurations that come with litspike.",
    "doctor": "Reports what litspike finds on this machine, and what is missing.",
}
"""Their names, and what each does."""


def run(args: list[str], home: Path) -> int:
    """Run one of them.

    Args:
        args: its name and its arguments.
        home: folder with ``configs/`` and ``logs/``.

    Returns:
        The exit status.
    """
    name, *rest = args
    status: int = pkgutil.resolve_name(_PLACES[name])(rest, home)
    return status


class OneLineParser(argparse.ArgumentParser):
    """The parser of one subcommand, whose errors are one line.

    Args:
        name: the subcommand.
        form: its arguments, as the usage shows them.
    """

    def __init__(self, name: str, form: str) -> None:
        self.name = name
        words = f"{program()} {name}"
        super().__init__(words, f"{words} {form}".rstrip(), COMMANDS[name], allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """Raise the message."""
        raise ParseError(f"{self.name}: {message}")
