"""A process that another one trained with is gone: the first says so within seconds, and waits for nobody."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.strategies.launchers import _SubprocessScriptLauncher
from torch import distributed

from litspike.runs import launched, signals
from litspike.runs.launched import LaunchedProcesses
from litspike.runs.signals import Lost, stoppable
from tests.conftest import LIMIT, PROJECT, runs

DDP = "--data.train_points 60 --trainer.devices 2 --trainer.strategy ddp"
ENDS = {
    "killed": ("import os; os.kill(os.getpid(), 9)", "was killed by SIGKILL"),
    "refused": ("raise SystemExit(1)", "ended with status 1"),
    "stopped": ("raise SystemExit(143)", "ended with status 143"),
    "early": ("", "ended with status 0"),
}


@pytest.fixture
def trainer(monkeypatch: pytest.MonkeyPatch) -> Any:
    """As much of a trainer as is needed to start one other process, which runs ``trainer.program``."""
    launcher = _SubprocessScriptLauncher(LightningEnvironment(), 2, 1)
    started = SimpleNamespace(
        strategy=SimpleNamespace(launcher=launcher, barrier=lambda name: None), interrupted=False, program=""
    )

    def start() -> None:
        launcher.procs = [subprocess.Popen([sys.executable, "-c", started.program])]

    monkeypatch.setattr(launcher, "_call_children_scripts", start)
    monkeypatch.setattr(launched, "SECONDS", 0.1)
    monkeypatch.setattr(launched, "AT_ONCE", LIMIT)  # or a busy machine's pause would end the tests themselves
    monkeypatch.setattr(signals, "SECONDS", LIMIT)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # else the launcher sets torch's threads
    return started


@pytest.mark.parametrize("joined", [False, True])
@pytest.mark.parametrize("end", ENDS)
def test_the_end_of_another_process_stops_this_one(
    trainer: Any, monkeypatch: pytest.MonkeyPatch, end: str, joined: bool
):
    monkeypatch.setattr(distributed, "is_initialized", lambda: joined)
    trainer.program, words = ENDS[end]
    LaunchedProcesses(trainer)
    with pytest.raises(Lost) as lost, stoppable():
        trainer.strategy.launcher.launch(lambda: threading.Event().wait(LIMIT))
    if joined or end != "refused":  # before they know each other, each says its own mistakes
        began = "which trained with this one" if joined else "which was to train with this one"
        words = f"process 1, {began}, {words}"
    else:
        words = None
    assert lost.value.words == words


def test_a_process_that_has_said_everything_may_end(trainer: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(distributed, "destroy_process_group", lambda: None)
    trainer.program = "import sys; sys.stdin.read()"
    watched = LaunchedProcesses(trainer)
    with stoppable():
        trainer.strategy.launcher.launch(watched.end_together)
        assert watched.processes[0].returncode == 0
        watching = [thread for thread in threading.enumerate() if thread.name == "litspike others"]
        for thread in watching:
            thread.join(LIMIT)


def test_those_that_are_left_after_an_error_are_ended(trainer: Any):
    trainer.program = "import time; time.sleep(600)"
    watched = LaunchedProcesses(trainer)
    with stoppable():
        trainer.strategy.launcher.launch(watched.end)
    assert watched.processes[0].returncode == -signal.SIGKILL


@pytest.mark.slow
@pytest.mark.parametrize(("words", "line"), [("process 1 is gone", "litspike: process 1 is gone\n"), (None, "")])
def test_a_process_whose_main_thread_cannot_end_it_leaves_nothing(tmp_path: Path, words: str | None, line: str):
    program = f"""
import os, threading
from pathlib import Path
from litspike.runs import launched, signals
with signals.stoppable(), signals.before_the_end(Path({str(tmp_path / "left")!r}).touch):
    try:
        signals.lose(signals.Lost({words!r}, 0.1))
    finally:
        threading.Event().wait()  # as in torch, until the others come
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=LIMIT, check=False)
    assert (done.returncode, done.stderr) == (1, line)
    assert (tmp_path / "left").exists()


@pytest.mark.thorough
def test_a_second_process_that_dies_before_the_first_knows_it_is_not_waited_for(home: Path):
    (home / "mine.py").write_text(
        "import os\nfrom lightning import Callback\nclass Mine(Callback):\n    def __init__(self):\n"
        "        if os.environ.get('LOCAL_RANK') == '1':\n            os.kill(os.getpid(), 9)\n"
    )
    command = [sys.executable, str(PROJECT / "main.py"), "fit", *DDP.split(), "--trainer.callbacks", "mine.Mine"]
    done = subprocess.run(
        [*command, "--logs", f"{home}/logs"], cwd=home, capture_output=True, text=True, timeout=LIMIT, check=False
    )
    line = "litspike: process 1, which was to train with this one, was killed by SIGKILL\n"
    assert (done.returncode, done.stderr) == (1, line)
    assert runs(home) == []
