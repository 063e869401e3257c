"""The command lines that need a trainer, on one process or several."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from lightning import Callback
from lightning.fabric.utilities.exceptions import MisconfigurationException
from torch import distributed

from litspike.cli import alone, class_changes, configurations
from litspike.cli.arguments import SUBCOMMANDS, Call
from litspike.cli.command import Outcome, configured
from litspike.cli.errors import exit_status, print_error
from litspike.cli.help import help_text
from litspike.cli.process_state import console_messages, restored
from litspike.cli.seeds import Command, run_seeds
from litspike.cli.subcommands.evaluate import evaluate
from litspike.cli.subcommands.fit import fit
from litspike.installation import program
from litspike.runs import yaml_text
from litspike.runs.processes import line_to_print, loss_of_another, place, repeatable
from litspike.runs.signals import Lost
from litspike.settings import ParseError, UserError


def train(args: list[str], home: Path, command: Command) -> int:
    """Run one command line; of several processes that end for the same reason one says it.

    Args:
        args: the arguments after the program's name.
        home: folder with ``configs/`` and ``logs/``.
        command: what runs the command lines of several seeds.

    Returns:
        The exit status.
    """
    first = place().first
    with repeatable(args), restored(), console_messages(first):
        return exit_status(lambda: _run(Call(args, home), home, command), _report)


def run_command(call: Call, home: Path, callbacks: Sequence[Callback] = ()) -> Outcome:
    """Run one command, without a word about what goes wrong.

    Args:
        call: the command line, with a subcommand.
        home: folder with ``configs/`` and, unless ``--logs`` says otherwise, ``logs/``.
        callbacks: what the trainer gets beside those of the command and of the configuration.
    """
    with ExitStack() as limits:
        command = configured(call, home, limits)
        return fit(command, callbacks) if call.subcommand == "fit" else evaluate(command, callbacks)


def _answer(call: Call, home: Path, command: Command) -> int:
    """Do what a command line asks for."""
    if any(word.asks_for_help_text for word in call.words):
        print(help_text(call, configurations.default(home)))
    elif call.subcommand is None:
        raise _no_subcommand(call)
    elif call.subcommand == "sweep":
        from litspike.cli.sweep import sweep  # it draws, and matplotlib is slow to import

        return sweep(call, home, run_command)
    elif call.subcommand == "fit" and call.option("--seeds") is not None and not call.asks_for_help:
        return run_seeds(call, home, command)
    else:
        _run_command(call, home)
    return 0


def _run_command(call: Call, home: Path) -> None:
    """Run one, and say of a mistake what a change of class has to do with it."""
    try:
        run_command(call, home)
    except UserError as error:
        if call.subcommand != "fit" or call.option("--ckpt_path") is not None:
            raise  # the settings are the checkpoint's
        try:
            files = [yaml_text.read(path) for path in (str(configurations.default(home)), *call.configs)]
        except UserError:  # it is what the error says
            raise error from None
        longer = class_changes.explained(error, call, files)
        if longer is error:
            raise
        raise longer from error


def _no_subcommand(call: Call) -> ParseError:
    names = [*SUBCOMMANDS, *alone.COMMANDS]
    if call.unknown is None:
        return ParseError(f"say what to do: {', '.join(names[:-1])} or {names[-1]} (--help explains each)")
    near = difflib.get_close_matches(call.unknown, names, n=1)
    meant = f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}"
    return ParseError(f"{call.unknown}: there is no such command; {meant}")


def _run(call: Call, home: Path, command: Command) -> int:
    try:
        return _answer(call, home, command)
    except MisconfigurationException as error:
        raise UserError(str(error)) from error
    except RuntimeError as error:
        reason = loss_of_another(error)
        if reason is None:
            raise
        return _lost(f"a process that trained with this one is gone ({reason})", call)
    except Lost as lost:
        return _lost(lost.words, call)


def _lost(words: str | None, call: Call) -> int:
    if words:
        began = call.subcommand == "fit" and distributed.is_available() and distributed.is_initialized()
        _report(f"{words}: go on with `{program()} fit --ckpt_path last`" if began else words, lost=True)
    return Lost.status


def _report(line: str, lost: bool = False) -> None:
    if (text := line_to_print(line, lost)) is not None:
        print_error(text)
