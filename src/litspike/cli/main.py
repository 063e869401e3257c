"""The entry to the command line."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from litspike import memory
from litspike.cli import alone
from litspike.cli.errors import exit_status
from litspike.cli.streams import standard_streams, written_out
from litspike.installation import version
from litspike.runs.signals import ignore_further_signals, stoppable
from litspike.settings import UserError

VERSION = "--version"


def main(args: list[str] | None = None, home: Path | None = None) -> int:
    """Run one command line.

    Args:
        args: the arguments after the program's name; those of the process where None.
        home: folder with ``configs/`` and ``logs/``; the current folder where None. Configurations that it doesn't
            have are litspike's own.

    Returns:
        The exit status: 0 for success, 1 for a mistake that a line on standard error explains, 2 for arguments that
        can't be parsed, 130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP, 141 where standard output was closed.
    """
    arguments = sys.argv[1:] if args is None else args
    with standard_streams():
        # what is raised while something is imported may be lost in it: here a signal ends the process, as it did before
        if status := exit_status(lambda: _import_for(arguments)):
            return written_out(status)
        return exit_status(lambda: _watched(arguments, home))  # of a system that grants not even a pipe


def _import_for(args: list[str]) -> int:
    if not _needs_no_trainer(args):
        import litspike.cli.execute  # noqa: F401  # Lightning takes seconds to import
    return 0


def _watched(args: list[str], home: Path | None) -> int:
    with stoppable(), memory.bounded():
        status = exit_status(lambda: _run(args, home))
        ignore_further_signals()
        return written_out(status)


def _run(args: list[str], home: Path | None) -> int:
    try:
        current = Path.cwd()
    except FileNotFoundError:
        raise UserError("the current folder is gone: change into another one") from None
    for name, text in (("the current folder", str(current)), *(("an argument", text) for text in args)):
        _check_text(name, text)
    if args[:1] == [VERSION]:
        print(f"litspike {version()}")
        return 0
    if _needs_no_trainer(args):
        return alone.run(args, home or current)
    from litspike.cli.execute import train

    with importable(str(current)):
        return train(args, home or current, main)


def _check_text(name: str, text: str) -> None:
    """Refuse the name of a file in bytes that are no UTF-8: no record of a run could hold it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UserError(f"{name}, {text!a}, is no UTF-8: rename it") from None


def _needs_no_trainer(args: list[str]) -> bool:
    return bool(args) and args[0] in (VERSION, *alone.COMMANDS)


@contextmanager
def importable(folder: str) -> Iterator[None]:
    """Let a user's own classes be found in a folder."""
    there = folder in sys.path
    if not there:
        sys.path.append(folder)
    try:
        yield
    finally:
        if not there and folder in sys.path:
            sys.path.remove(folder)
