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
    quieten()
    speak()
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # where a user's own classes lie
    try:
        return _run(sys.argv[1:] if args is None else args, home or Path.cwd())
    except (UserError, MisconfigurationException) as error:
        print(f"litspike: {' '.join(str(error).split())}", file=sys.stderr)
        return {Interrupted: 130, ParseError: 2}.get(type(error), 1)
    except OSError as error:
        if error.errno not in DISK_ERRORS:
            raise
        where = f"{error.filename}: " if error.filename else ""
        print(f"litspike: {where}{error.strerror}: what was complete before is kept", file=sys.stderr)
        return 1
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else 0
    except KeyboardInterrupt:
        print("litspike: interrupted", file=sys.stderr)
        return 130


def _run(args: list[str], home: Path) -> int:
    call = Call(args)
    if call.subcommand == "fit" and call.option("--seeds") is not None and not call.asks_for_help:
        return run_seeds(call, home, main)
    LitspikeCLI(args, home)
    return 0
