"""Every command ends in one place: a mistake gets a line of bounded length, a fault of litspike's its traceback."""

from __future__ import annotations

import errno
import importlib.util
import os
from functools import partial
from pathlib import Path

import pytest
import torch

from litspike.cli import main
from litspike.cli.errors import exit_status
from litspike.settings import UserError, integer
from litspike.terminal import MOST_CHARACTERS, one_line
from tests.conftest import Cli, runs

QUICK = "--trainer.max_epochs 1 --data.train_points 20 --pictures.every 0"


def ended(error: BaseException, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    def run() -> int:
        raise error

    return exit_status(run), capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (UserError("two\nlines"), 1, "two lines"),
        (SystemExit(3), 3, None),
        (SystemExit(None), 0, None),
        (SystemExit("a text"), 1, "a text"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (FileNotFoundError(2, "No such file or directory", "/gone"), 1, "/gone: No such file or directory: what was"),
        (OSError(24, "Too many open files"), 1, "Too many open files: what was complete before is kept"),
        (RuntimeError("Symlink loop from '/loop'"), 1, "Symlink loop from '/loop'"),
        (MemoryError(), 1, "there is not enough memory: make the network"),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 80 bytes."),
            1,
            "there is not en",
        ),
        (
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB."),
            1,
            "there is not enough memory (21.5 GB at once): make the network",
        ),
        (ModuleNotFoundError("No module named 'somewhere.inside'"), 1, "somewhere is not installed: pip install 'some"),
        (ModuleNotFoundError("Requirement 'wandb>=0.12.10' not met. HINT"), 1, "wandb>=0.12.10 is not installed"),
    ],
)
def test_what_is_nobodys_fault_gets_a_line(
    capsys: pytest.CaptureFixture[str], error: BaseException, status: int, line: str | None
):
    ends, said = ended(error, capsys)
    assert ends == status
    assert said == "" if line is None else said.startswith(f"litspike: {line}") and said.count("\n") == 1


def test_a_fault_of_litspikes_keeps_its_traceback_and_asks_to_be_reported(capsys: pytest.CaptureFixture[str]):
    assert exit_status(partial(integer, "threads", 1, "y")) == 1  # type: ignore[arg-type]  # an error in a file of litspike's
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-1] == "litspike: TypeError that litspike did not expect: please report it, with the lines above"


def test_an_error_in_a_users_own_code_names_its_file(cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch):
    (home / "network_with_a_fault.py").write_text(
        "from torch import nn\n\n\nclass Own(nn.Linear):\n"
        "    def forward(self, x, state=None):\n        return x.nothing\n"
    )
    monkeypatch.chdir(home)
    monkeypatch.syspath_prepend(str(home))
    result = cli(
        f"fit {QUICK} --model.network network_with_a_fault.Own --model.network.in_features 2 "
        "--model.network.out_features 1"
    )
    assert result.status == 1
    assert "Traceback" in result.err
    last = result.err.splitlines()[-1]
    assert last.startswith(f"litspike: AttributeError in {home}/network_with_a_fault.py, line 6, which is none of")


def test_a_line_is_bounded_and_has_no_control_characters():
    assert one_line("a\n b\tc") == "a b c"
    assert one_line("x\x1b[31mred\x9b\u202e") == "x\\x1b[31mred\\x9b\\x202e"
    assert len(one_line("y" * 10_000_000)) == MOST_CHARACTERS
    assert one_line("größe ≥ 1 – µ") == "größe ≥ 1 – µ"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("--trainer.devices -3", "trainer: `devices` selected with `CPUAccelerator` should be an int > 0."),
        ("--trainer.devices 100000000000000000000000", "trainer: OverflowError: cannot fit 'int' into an index-sized"),
        ("--trainer.logger WandbLogger", "wandb>=0.12.10 is not installed: pip install"),
        ("--model.network.sizes [2,10000000000,1]", "model.network.sizes[1]: 10000000000 is above 2147483647"),
        ("--data.batch_size 1000000000000000000000000", "data.batch_size: 1000000000000000000000000 is above 2147"),
        ("--model.optimizer torch.optim.SparseAdam", "model.optimizer: SparseAdam does not support dense gradients"),
        ("--threads 100000000000", "threads: 100000000000 is above 1024"),
        ("--seed_everything 4294967296", "seed_everything: 4294967296 is above 4294967295"),
        ("--data litspike.data.Arrays --data.path fifo.npz", "data.path: 'fifo.npz' is no file"),
    ],
)
def test_what_a_library_refuses_is_a_mistake(
    cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch, arguments: str, line: str
):
    os.mkfifo(home / "fifo.npz")
    monkeypatch.chdir(home)
    if "Wandb" in arguments and importlib.util.find_spec("wandb"):
        pytest.skip("wandb is installed here")
    assert cli(f"fit {QUICK} {arguments}").error_line.startswith(line)
    assert runs(home) == []


def test_a_current_folder_that_is_gone_gets_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert main(["fit"]) == 1
    assert capsys.readouterr().err == "litspike: the current folder is gone: change into another one\n"


@pytest.mark.parametrize(
    "arguments", ["fit -c ./\udcff.yaml", "fit --data.path \udcff", "new --data \udcff.csv", "test"]
)
def test_a_name_that_is_no_utf_8_gets_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: str
):
    folder = tmp_path / ("\udcff" if arguments == "test" else "folder")
    folder.mkdir()
    monkeypatch.chdir(folder)
    assert main(arguments.split()) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("is no UTF-8: rename it")
    assert "\\udcff" in line
    assert not [*folder.iterdir()]


def test_a_system_that_opens_no_more_files_gets_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def no_more(*_: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr("litspike.runs.signals.socket.socketpair", no_more)
    assert main(["configs"]) == 1
    assert capsys.readouterr().err.startswith("litspike: Too many open files")
