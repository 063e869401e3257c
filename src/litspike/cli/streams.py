"""Standard input, output and error that are there, whatever was closed by whom."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from litspike.cli.errors import print_error

CLOSED = 141
"""Exit status where whoever reads standard output doesn't read on, as a shell gives it for SIGPIPE."""


@contextmanager
def standard_streams() -> Iterator[None]:
    """Let those that were closed before the process began lead nowhere: a file opened later would get their place, and
    what torch writes to standard error.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # it gets the lowest number that is free
    missing = [name for name in ("stdin", "stdout", "stderr") if getattr(sys, name) is None]
    with ExitStack() as stack:
        for name in missing:
            nowhere = stack.enter_context(open(os.devnull, "r" if name == "stdin" else "w", encoding="utf-8"))
            setattr(sys, name, nowhere)
            stack.callback(setattr, sys, name, None)
        yield


def written_out(status: int) -> int:
    """Write out what standard output still holds.

    Returns:
        The status given; :data:`CLOSED` or 1 where it can't be written.
    """
    try:
        sys.stdout.flush()
        return status
    except (OSError, ValueError) as error:
        broken = isinstance(error, BrokenPipeError)
        reason = "was closed" if broken else f"can't be written ({getattr(error, 'strerror', None) or error})"
        if status == 0:
            print_error(f"standard output {reason}")
        with suppress(OSError, ValueError), open(os.devnull, "w", encoding="utf-8") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())  # else Python tries once more when it ends
        return CLOSED if broken else status or 1
