"""The entry to the command line."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from litspike.cli.compare import compare
from litspike.cli.messages import answered


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
    home = home or Path.cwd()
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # where a user's own classes lie
    if args[:1] == ["compare"]:
        return answered(lambda: compare(args[1:], home))
    from litspike.cli.training import train  # Lightning takes seconds to import, and comparing needs none

    return train(args, home, main)
