"""Folders that can't be written, vanish, or hold pipes where files belong: a line and a status, and no waiting."""

from __future__ import annotations

import errno
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from lightning import LightningModule, Trainer

from litspike.callbacks import Console
from litspike.runs.saving import LastCheckpoint
from litspike.settings import LitspikeWarning
from tests.conftest import Cli, runs

QUICK = "--data.train_points 20 --data.val_points 20 --pictures.every 0 --console.epochs false"


@pytest.fixture(autouse=True)
def nothing_waits(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A wait for a pipe ends with an error, long after everything else has ended."""

    def waited(*_: Any) -> None:
        raise AssertionError("it waits")

    before = signal.signal(signal.SIGALRM, waited)
    signal.alarm(300)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def a_file(path: Path) -> None:
    path.write_text("mine")


def a_loop(path: Path) -> None:
    path.symlink_to(path)


def a_link_to_nothing(path: Path) -> None:
    path.symlink_to(path.with_name("nothing"))


def a_folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("thing", [a_file, a_loop, a_link_to_nothing, os.mkfifo])
@pytest.mark.parametrize("place", ["logs", "logs/default"])
def test_logs_that_are_no_folder_are_one_line_and_stay(cli: Cli, home: Path, thing: Callable[[Path], None], place: str):
    (home / place).parent.mkdir(exist_ok=True)
    thing(home / place)
    before = os.lstat(home / place).st_ino
    assert f"{home / 'logs'} can't be written" in cli(f"fit {QUICK} --trainer.max_epochs 1").error_line
    assert "no run" in cli("test").error_line
    assert "no run to go on with" in cli("fit --ckpt_path last").error_line
    assert os.lstat(home / place).st_ino == before
    assert not (home / "nothing").exists()


@pytest.mark.parametrize(("number", "call"), [(errno.EACCES, 1), (errno.EROFS, 2), (errno.ENOSPC, 3), (errno.EIO, 4)])
def test_logs_that_take_no_folder_are_one_line_and_nothing_is_left(
    cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch, number: int, call: int
):
    mkdir, made = os.mkdir, []

    def refuses(path: Any, *more: Any) -> None:
        if Path(path).is_relative_to(home / "logs"):
            made.append(path)
            if len(made) >= call:
                raise OSError(number, os.strerror(number), str(path))
        mkdir(path, *more)

    monkeypatch.setattr(os, "mkdir", refuses)
    line = cli(f"fit {QUICK} --trainer.max_epochs 1").error_line
    assert line == (f"logs: {home}/logs can't be written ({os.strerror(number)}): name another folder with --logs")
    assert not (home / "logs").exists()


@pytest.fixture
def run(cli: Cli, home: Path) -> Path:
    assert cli(f"fit {QUICK} --trainer.max_epochs 1").status == 0
    (run,) = runs(home)
    return run


FILES = ["run.json", "config.yaml", "checkpoints/best.ckpt", "checkpoints/last.ckpt", ".lock", "hparams.yaml"]


@pytest.mark.slow
@pytest.mark.parametrize("thing", [os.mkfifo, a_folder])
def test_something_else_in_place_of_a_file_is_not_waited_for(
    cli: Cli, home: Path, run: Path, thing: Callable[[Path], None]
):
    kept = home / "kept"
    shutil.copytree(run, kept)
    command = "fit --ckpt_path last --trainer.max_epochs 2"
    for name in FILES if thing is os.mkfifo else FILES[:2]:
        shutil.rmtree(run)
        shutil.copytree(kept, run)
        (run / name).unlink(missing_ok=True)
        thing(run / name)
        result = cli(f"{command} {QUICK}")
        assert result.status == 0 or result.error_line, name


def test_results_are_not_written_into_pipes(cli: Cli, run: Path):
    for name in ("receipt.md", "anytime.csv", "predictions.csv"):
        os.mkfifo(run / name)
    with pytest.warns(LitspikeWarning, match="something is there that is no file"):
        assert cli("test").status == 0
    assert "something is there that is no file" in cli("predict").error_line


@pytest.mark.parametrize("logger", ["false", "true"])
def test_a_folder_that_is_deleted_while_a_fit_goes_on_comes_again_or_is_missed_in_a_line(
    cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch, logger: str
):
    def deletes(console: Console, trainer: Trainer, module: LightningModule) -> None:
        if trainer.current_epoch == 1:
            shutil.rmtree(home / "logs")

    monkeypatch.setattr(LastCheckpoint, "SECONDS", 0.0)
    monkeypatch.setattr(Console, "on_train_epoch_start", deletes)
    result = cli(f"fit {QUICK} --trainer.max_epochs 3 --trainer.logger {logger}")
    if logger == "true":  # TensorBoard's file is gone
        assert "No such file or directory" in result.error_line
        return
    assert (result.status, result.err) == (0, "")
    (run,) = runs(home)
    assert f"checkpoint: {run}/checkpoints/best.ckpt" in cli("validate").out
