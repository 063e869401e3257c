"""The entry to the command line: runs it, and answers mistakes and interruptions in one line."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

from lightning.fabric.utilities.exceptions import MisconfigurationException

from litspike.cli.app import Interrupted, LitspikeCLI, ParseError
from litspike.cli.call import Call
from litspike.cli.messages import quieten, speak
from litspike.cli.processes import loss_of_another, place, repeatable, to_say
from litspike.cli.seeds import run_seeds
from litspike.settings import UserError

DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)


def main(args: list[str] | None = None, home: Path | None = None) -> int:
    """Run one command line.

    Args:
        args: the arguments after the program's name; those of the process where None.
        home: folder with ``configs/`` and ``logs/``; the current folder where None.

    Returns:
        The exit status: 0 for success, 1 for a mistake that a line on standard error explains, 2 for arguments that
        can't be parsed, 130 after Ctrl-C.
    """
    args = sys.argv[1:] if args is None else args
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # where a user's own classes lie
    with repeatable(args):
        return _answered(args, home or Path.cwd())


def _answered(args: list[str], home: Path) -> int:
    """Run; of several processes that end for the same reason one says it."""
    try:
        quieten(place().first)
        speak(place().first)
        return _run(args, home)
    except (UserError, MisconfigurationException) as error:
        _say(" ".join(str(error).split()))
        return {Interrupted: 130, ParseError: 2}.get(type(error), 1)
    except OSError as error:
        if error.errno not in DISK_ERRORS:
            raise
        where = f"{error.filename}: " if error.filename else ""
        _say(f"{where}{error.strerror}: what was complete before is kept")
        return 1
    except RuntimeError as error:
        reason = loss_of_another(error)
        if reason is None:
            raise
        onward = ": go on with `python main.py fit --ckpt_path last`" if "fit" in args else ""
        _say(f"a process that trained with this one is gone ({reason}){onward}", lost=True)
        return 1
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else 0
    except KeyboardInterrupt:
        _say("interrupted")
        return 130


def _say(line: str, lost: bool = False) -> None:
    if (said := to_say(line, lost)) is not None:
        print(f"litspike: {said}", file=sys.stderr, flush=True)


def _run(args: list[str], home: Path) -> int:
    call = Call(args)
    if call.subcommand == "fit" and call.option("--seeds") is not None and not call.asks_for_help:
        return run_seeds(call, home, main)
    LitspikeCLI(args, home)
    return 0
