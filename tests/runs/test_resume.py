"""A run that was cut short goes on as if it had not been."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from litspike.runs.folder import Run
from litspike.settings import UserError
from tests.conftest import LIMIT, PROJECT, Cli, runs
from tests.grids import thorough

QUICK = "--data.train_points 200 --pictures.every 0"


def weights(run: Path, name: str = "last") -> dict[str, torch.Tensor]:
    return torch.load(run / "checkpoints" / f"{name}.ckpt", weights_only=True)["state_dict"]


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("config", ["default", "article"])
def test_a_resumed_fit_ends_bit_for_bit_where_an_uninterrupted_one_does(cli: Cli, home: Path, config: str):
    chosen = f"-c {home}/configs/{config}.yaml {QUICK}"
    cli(f"fit {chosen} --trainer.max_epochs 5")
    cli(f"fit {chosen} --trainer.max_epochs 2")
    assert cli("fit --ckpt_path last --trainer.max_epochs 5").status == 0
    whole, pieces = runs(home, config)
    assert equal(weights(whole), weights(pieces))
    assert equal(weights(whole, "best"), weights(pieces, "best"))


def start(arguments: str, logs: Path) -> subprocess.Popen[str]:
    command = [sys.executable, str(PROJECT / "main.py"), *arguments.split(), "--logs", str(logs)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=_hears_interrupts
    )


def _hears_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs are born deaf to it


def wait_for_epochs(process: subprocess.Popen[str], epochs: int) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("epoch"):
            epochs -= 1
            if epochs == 0:
                return
    raise AssertionError(process.communicate())


def by_interrupt(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=LIMIT)
    assert process.returncode == 130
    assert err.strip() == "litspike: interrupted: go on with `python main.py fit --ckpt_path last`"


def by_kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


@pytest.mark.slow
@pytest.mark.parametrize("stop", [thorough(by_interrupt), by_kill])
def test_a_fit_stopped_at_any_moment_goes_on_to_the_same_weights(
    cli: Cli, home: Path, stop: Callable[[subprocess.Popen[str]], None]
):
    process = start(f"fit {QUICK} --trainer.max_epochs 4000", home / "logs")
    wait_for_epochs(process, 3)
    stop(process)
    (stopped,) = runs(home)
    done = torch.load(stopped / "checkpoints" / "last.ckpt", weights_only=True)["epoch"] + 1
    assert 1 <= done < 4000  # the checkpoint is at most a second old
    assert cli(f"fit --ckpt_path last --trainer.max_epochs {done + 2}").status == 0
    cli(f"fit {QUICK} --trainer.max_epochs {done + 2}")
    _, whole = runs(home)
    assert equal(weights(stopped), weights(whole))
    assert json.loads((stopped / "run.json").read_text())["status"] == "finished"


def test_a_run_that_stops_before_its_last_epoch_keeps_the_one_it_stopped_at(cli: Cli, home: Path):
    cli(f"fit {QUICK} --trainer.max_epochs 50 --trainer.max_steps 60")
    (run,) = runs(home)
    assert torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 60


def test_a_new_learning_rate_holds_after_a_resume(cli: Cli, home: Path):
    cli(f"fit {QUICK} --trainer.max_epochs 1")
    (run,) = runs(home)
    before = weights(run)
    cli("fit --ckpt_path last --trainer.max_epochs 2 --model.optimizer.lr 0.0")
    assert equal(weights(run), before)


def test_a_finished_run_says_that_nothing_is_left_to_do(cli: Cli):
    cli(f"fit {QUICK} --trainer.max_epochs 2")
    assert "has done its 2 epochs: raise it to go on" in cli("fit --ckpt_path last").error_line


def test_a_resumed_run_keeps_the_configuration_of_its_beginning(cli: Cli, home: Path):
    cli(f"fit {QUICK} --trainer.max_epochs 1")
    cli("fit --ckpt_path last --trainer.max_epochs 2")
    (run,) = runs(home)
    assert "max_epochs: 1" in (run / "config.before-1.yaml").read_text()
    assert "max_epochs: 2" in (run / "config.yaml").read_text()


def test_a_run_is_written_by_one_process_at_a_time(cli: Cli, home: Path):
    cli(f"fit {QUICK} --trainer.max_epochs 1")
    (run,) = runs(home)
    with Run(run):
        line = cli("fit --ckpt_path last --trainer.max_epochs 2").error_line
    assert line == f"{run} is being written by another process"


def test_runs_that_begin_at_once_get_folders_of_their_own(tmp_path: Path):
    folders = {Run.create(tmp_path, "default").folder for _ in range(5)}
    assert len(folders) == 5


def test_a_logs_path_that_is_a_file_is_refused(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="can't be written"):
        Run.create(tmp_path / "file", "default")


@pytest.mark.slow
def test_a_terminal_gets_a_bar_with_the_time_that_remains(home: Path):
    arguments = f"fit {QUICK} --trainer.max_epochs 30 --logs {home}/logs"
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(TERM="xterm-256color", COLUMNS="100")
        os.execv(sys.executable, [sys.executable, str(PROJECT / "main.py"), *arguments.split()])
    shown, end = b"", time.monotonic() + LIMIT
    while time.monotonic() < end and select.select([terminal], [], [], LIMIT)[0]:
        try:
            shown += os.read(terminal, 65536)
        except OSError:  # the end of a terminal's output
            break
    os.waitpid(pid, 0)
    plain = re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", shown).decode()
    assert re.search(r"\d+/600 batches.*remaining 0:0\d:\d\d", plain)
    assert len(re.findall(r"epoch [ \d]\d/30  train loss", plain)) == 30
