"""The command lines that need a trainer, on one process or several."""

from __future__ import annotations

from pathlib import Path

from lightning.fabric.utilities.exceptions import MisconfigurationException
from torch import distributed

from litspike.cli import class_changes, configurations
from litspike.cli.app import LitspikeCLI
from litspike.cli.arguments import Call
from litspike.cli.errors import answered, say
from litspike.cli.help import help_text
from litspike.cli.process_state import one_voice, restored
from litspike.cli.seeds import Command, run_seeds
from litspike.installation import program
from litspike.runs import yaml_text
from litspike.runs.processes import loss_of_another, place, repeatable, to_say
from litspike.runs.signals import Lost
from litspike.settings import UserError


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
    with repeatable(args), restored(), one_voice(first):
        return answered(lambda: _run(args, home, command), _say)


def _run(args: list[str], home: Path, command: Command) -> int:
    try:
        call = Call(args, home)
        if any(word.asks_for_help_text for word in call.words):
            print(help_text(call, configurations.default(home)))
            return 0
        if call.subcommand == "fit" and call.option("--seeds") is not None and not call.asks_for_help:
            return run_seeds(call, home, command)
        _with_trainer(call, args, home)
    except MisconfigurationException as error:
        raise UserError(str(error)) from error
    except ValueError as error:
        if "`val_check_interval`" in str(error):  # it is above the batches of an epoch
            raise UserError(f"trainer.val_check_interval: {' '.join(str(error).split())}") from error
        raise
    except RuntimeError as error:
        if str(error).startswith("Early stopping conditioned on metric"):  # it names the figures there are
            raise UserError(f"trainer.callbacks: {error}") from error
        reason = loss_of_another(error)
        if reason is None:
            raise
        return _lost(f"a process that trained with this one is gone ({reason})", args)
    except Lost as lost:
        return _lost(lost.words, args)
    return 0


def _with_trainer(call: Call, args: list[str], home: Path) -> None:
    try:
        LitspikeCLI(args, home)
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


def _lost(words: str | None, args: list[str]) -> int:
    if words:
        began = "fit" in args and distributed.is_available() and distributed.is_initialized()
        _say(f"{words}: go on with `{program()} fit --ckpt_path last`" if began else words, lost=True)
    return Lost.status


def _say(line: str, lost: bool = False) -> None:
    if (said := to_say(line, lost)) is not None:
        say(said)
