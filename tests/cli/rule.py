"""The one rule of every input: a line and a status, never a traceback, a hang or a file outside the run's folder."""

from __future__ import annotations

import contextlib
import io
import os
import resource
import signal
import traceback
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import yaml

from litspike.cli import main
from litspike.terminal import MOST_CHARACTERS
from tests.cli.inputs import Input, Inputs

SECONDS = 60
"""The longest that one input may take; far more than any needs."""
MEMORY = 6_000_000_000
"""Bytes that an input may ask for."""


def faults(count: int, seed: int, home: Path) -> Iterator[tuple[Input, str]]:
    """Try random inputs; nothing is trained.

    Args:
        count: how many.
        seed: of their draws.
        home: a folder with ``configs/``, which becomes the current one.

    Yields:
        The inputs that broke the rule, and how.
    """
    inputs = iter(Inputs(seed, yaml.safe_load((home / "configs" / "default.yaml").read_text())))
    with contextlib.chdir(home), nothing_trained(), bounded_memory():
        for _ in range(count):
            case = next(inputs)
            if (problem := fault(lambda args=case.args: main(args, home=home), case, home)) is not None:  # type: ignore[misc]
                yield case, problem


def fault(command: Callable[[], object], case: Input, home: Path) -> str | None:
    """What is wrong with how an input is answered; None where it is a line and a status.

    Args:
        command: runs it.
        case: the input, whose files are written first.
        home: the folder in which no other file may change.
    """
    for name, content in case.files.items():
        (home / name).write_bytes(content)
    before = _files(home)
    alarm = signal.signal(signal.SIGALRM, _hang)
    out, err = io.StringIO(), io.StringIO()
    signal.alarm(SECONDS)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = command()
    except Hang:
        return f"no end in {SECONDS} s"
    except BaseException:
        return traceback.format_exc()
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, alarm)
    if "Traceback" in err.getvalue():
        return err.getvalue()
    if written := _files(home) - before:
        return f"written: {sorted(written)}"
    return None if status == 0 else _no_line(status, err.getvalue())


def _no_line(status: object, text: str) -> str | None:
    if not isinstance(status, int):
        return f"the status is {status!r}"
    lines = text.splitlines()
    if sum(line.startswith("litspike: ") for line in lines) != 1 or not lines[-1].startswith("litspike: "):
        return f"not one line: {text[:3000]!r}"
    if len(lines[-1]) > MOST_CHARACTERS + 20 or any(unicodedata.category(sign) == "Cc" for sign in lines[-1]):
        return f"a line too long or with control characters: {lines[-1][:3000]!r}"
    return None


def _files(home: Path) -> set[str]:
    """Everything under the current folder but runs' own files."""
    return {str(path) for path in home.rglob("*") if "logs" not in path.relative_to(home).parts}


class Hang(BaseException):
    """An input took too long."""


def _hang(*_: object) -> None:
    raise Hang


@contextlib.contextmanager
def nothing_trained() -> Iterator[None]:
    """All of a command but its batches: data are read, and a sample goes through the network."""
    from lightning import Trainer
    from lightning.pytorch.strategies.launchers import _SubprocessScriptLauncher

    def one_process(*_: object) -> None:
        raise ValueError("no processes are started here")

    with (
        mock.patch.object(Trainer, "_run_stage", return_value=None),
        mock.patch.object(_SubprocessScriptLauncher, "launch", one_process),
        mock.patch.dict(os.environ),
    ):
        yield


@contextlib.contextmanager
def bounded_memory() -> Iterator[None]:
    """What asks for more than :data:`MEMORY` beside what the process has gets none."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm", encoding="ascii") as file:
        now = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + MEMORY, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
