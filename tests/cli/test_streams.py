"""Standard streams that are closed, or that nobody reads."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from litspike.cli import main
from litspike.cli.streams import standard_streams
from tests.conftest import LIMIT, PROJECT, Cli

QUICK = "--data.train_points 20 --data.val_points 10 --pictures.every 0 --trainer.max_epochs 3"


class NobodyReads(io.StringIO):
    """Takes some lines, and then is a closed pipe."""

    def __init__(self, lines: int) -> None:
        super().__init__()
        self.lines = lines

    def write(self, text: str) -> int:
        if self.lines <= 0:
            raise BrokenPipeError(32, "Broken pipe")
        self.lines -= text.count("\n")
        return super().write(text)

    def flush(self) -> None:
        if self.lines <= 0:
            raise BrokenPipeError(32, "Broken pipe")


@pytest.mark.parametrize(
    "arguments", [f"fit {QUICK}", "fit --help", "test", "predict", "compare --help", "fit --print_config"]
)
@pytest.mark.parametrize("lines", [0, 1])
def test_a_closed_pipe_is_a_line_and_a_status(
    cli: Cli,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: str,
    lines: int,
):
    if arguments in ("test", "predict", "picture"):
        cli(f"fit {QUICK}")
    monkeypatch.setattr(sys, "stdout", NobodyReads(lines))
    status = main(arguments.split(), home=home)
    err = capsys.readouterr().err
    assert status == 141
    assert err.startswith("litspike: standard output was closed")
    assert err.count("\n") == 1


def test_streams_that_are_not_there_lead_nowhere(monkeypatch: pytest.MonkeyPatch):
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    with standard_streams():
        print("nothing", flush=True)
        print("nothing", file=sys.stderr, flush=True)
        assert not sys.stdout.isatty()
        assert sys.stdin.read() == ""
    assert (sys.stdin, sys.stdout, sys.stderr) == (None, None, None)


@pytest.mark.slow
def test_a_command_without_streams_home_or_readers_ends_as_it_should(tmp_path: Path):
    """One process for what only a process can show: the descriptors, and what Python does when it ends."""
    program = [sys.executable, str(PROJECT / "main.py"), "compare", "--help"]
    environment = {name: value for name, value in os.environ.items() if name not in ("HOME", "PYTHONUNBUFFERED")}
    closed = " ".join(f"{number}>&-" for number in range(3))
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {closed}', "sh", *program], env=environment, timeout=LIMIT, check=False
    )
    assert done.returncode == 0
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(program, stdout=write, stderr=subprocess.PIPE, text=True, env=environment, timeout=LIMIT)
    os.close(write)
    assert done.stderr == "litspike: standard output was closed\n"
    assert done.returncode == 141
