"""A process that is asked to end does so within seconds, and keeps what it has."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from litspike.cli.errors import exit_status
from litspike.runs import signals
from litspike.runs.saving import LastCheckpoint
from litspike.runs.signals import Stopped, stoppable
from tests.conftest import LIMIT, PROJECT, Cli, runs
from tests.grids import every_nth

QUICK = "--data.train_points 200 --pictures.every 0"
DDP = f"{QUICK} --trainer.devices 2 --trainer.strategy ddp"
# as README has it, on a port that is free
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "--"]


@contextmanager
def started(command: list[str], folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Start a command in a group of processes of its own, which is killed where it takes too long."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder, start_new_session=True
    )
    watchdog = threading.Timer(LIMIT, os.killpg, (process.pid, signal.SIGTERM))  # torchrun's own have other groups
    watchdog.start()
    try:
        yield process
    finally:
        watchdog.cancel()
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(60)


def main_py(arguments: str, home: Path) -> list[str]:
    return [str(PROJECT / "main.py"), *arguments.split(), "--logs", f"{home}/logs"]


def wait_for(process: subprocess.Popen[str], start: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(start):
            return
    raise AssertionError(process.communicate())


@pytest.fixture(autouse=True)
def handled() -> Iterator[None]:
    """Signals as in a terminal: where the tests run in the background, a shell or nohup has them ignored."""
    before = {signal.SIGINT: signal.default_int_handler, signal.SIGHUP: signal.SIG_DFL}
    before = {number: signal.signal(number, handler) for number, handler in before.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The forced end waits: on a busy machine it would be that of the tests themselves."""
    monkeypatch.setattr(signals, "SECONDS", LIMIT)


@pytest.mark.slow
@pytest.mark.parametrize("starter", [[sys.executable], TORCHRUN], ids=["lightning", "torchrun"])
def test_the_readmes_commands_for_two_processes_run_as_they_stand(home: Path, starter: list[str]):
    with started([*starter, *main_py(f"fit {DDP} --trainer.max_epochs 2", home)], home) as process:
        out, err = process.communicate()
    assert process.returncode == 0, err
    assert len(re.findall(r"^epoch", out, re.MULTILINE)) == 2
    (run,) = runs(home)
    assert json.loads((run / "run.json").read_text())["status"] == "finished"


@pytest.mark.slow
@pytest.mark.parametrize(("whom", "status"), [("first", 143), ("second", 1), ("all", 143)])
def test_sigterm_ends_two_processes_and_keeps_what_they_have(home: Path, cli: Cli, whom: str, status: int):
    with started([sys.executable, *main_py(f"fit {DDP} --trainer.max_epochs 4000", home)], home) as process:
        wait_for(process, "epoch")
        second = int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0])
        if whom == "all":
            os.killpg(process.pid, signal.SIGTERM)
        else:
            os.kill(process.pid if whom == "first" else second, signal.SIGTERM)
        _, err = process.communicate()
        assert not Path(f"/proc/{second}").exists()
    assert err == "litspike: stopped by SIGTERM: go on with `python main.py fit --ckpt_path last`\n"
    assert process.returncode in ({1, 143} if whom == "all" else {status})
    (run,) = runs(home)
    assert json.loads((run / "run.json").read_text())["status"] == "interrupted"
    assert (run / "checkpoints/last.ckpt").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("whom", ["torchrun", "second"])
def test_sigterm_ends_what_torchrun_started_and_keeps_what_it_has(home: Path, whom: str):
    with started([*TORCHRUN, *main_py(f"fit {DDP} --trainer.max_epochs 4000", home)], home) as process:
        wait_for(process, "epoch")
        workers = workers_of(process.pid)
        os.kill(process.pid if whom == "torchrun" else workers[1], signal.SIGTERM)
        _, err = process.communicate()
        assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()]
    assert process.returncode not in (0, None)
    said = [line for line in err.splitlines() if line.startswith("litspike: ")]
    assert said == ["litspike: stopped by SIGTERM: go on with `python main.py fit --ckpt_path last`"]
    (run,) = runs(home)
    assert json.loads((run / "run.json").read_text())["status"] == "interrupted"
    assert (run / "checkpoints/last.ckpt").is_file()


def workers_of(torchrun: int) -> list[int]:
    """The processes that torchrun started, by rank."""
    children = (
        int(pid) for file in Path(f"/proc/{torchrun}/task").glob("*/children") for pid in file.read_text().split()
    )
    environments = {pid: Path(f"/proc/{pid}/environ").read_bytes().split(b"\0") for pid in children}
    ranks = {bytes(f"RANK={rank}", "ascii"): rank for rank in range(2)}
    found = {ranks[entry]: pid for pid, entries in environments.items() for entry in entries if entry in ranks}
    assert len(found) == 2
    return [found[rank] for rank in range(2)]


def raising(number: int, place: str) -> str:
    """The source of a callback that sends a signal to its own process."""
    return f"""
import os
from lightning import Callback
class Sends(Callback):
    def {place}(self, *_, **__):
        os.kill(os.getpid(), {number})
"""


NAMES = {signal.SIGINT: "interrupted", signal.SIGTERM: "stopped by SIGTERM", signal.SIGHUP: "stopped by SIGHUP"}
PLACES = ["setup", "on_train_batch_end", "on_validation_batch_start", "on_train_epoch_end"]


@pytest.mark.parametrize(("number", "place"), list(zip([*NAMES, signal.SIGTERM], PLACES, strict=True)))
def test_a_fit_ends_by_any_signal_at_any_place(
    cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, place: str
):
    module = f"sends_{place}_{number.value}"
    (home / f"{module}.py").write_text(raising(number, place))
    monkeypatch.syspath_prepend(str(home))
    result = cli(f"fit {QUICK} --trainer.callbacks {module}.Sends")
    assert result.status == 128 + number
    assert result.error_line == f"{NAMES[number]}: no epoch was complete, nothing is kept"
    assert runs(home) == [] or not list(runs(home)[0].glob("checkpoints/*"))


@pytest.mark.parametrize("place", ["on_train_batch_end", "on_validation_batch_start", "on_train_epoch_end"])
def test_a_fit_goes_on_after_sigterm_to_the_weights_of_one_that_was_left_alone(
    cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch, place: str
):
    monkeypatch.setattr(LastCheckpoint, "SECONDS", 0.0)
    (home / f"sends_once_{place}.py").write_text(ONCE.format(place=place))
    monkeypatch.syspath_prepend(str(home))
    fit = f"fit {QUICK} --trainer.max_epochs 4 --trainer.callbacks sends_once_{place}.Sends"
    assert cli(fit).error_line == "stopped by SIGTERM: go on with `python main.py fit --ckpt_path last`"
    assert cli("fit --ckpt_path last").status == 0
    assert cli(fit).status == 0
    stopped, whole = (torch.load(run / "checkpoints/last.ckpt", weights_only=True) for run in runs(home))
    assert stopped["global_step"] == whole["global_step"]
    for name, value in whole["state_dict"].items():
        assert torch.equal(stopped["state_dict"][name], value), name


ONCE = """
import os, signal
from lightning import Callback
class Sends(Callback):
    sent = False
    def {place}(self, trainer, *_, **__):
        if trainer.current_epoch == 2 and not Sends.sent:
            Sends.sent = True
            os.kill(os.getpid(), signal.SIGTERM)
"""


@pytest.mark.parametrize(
    ("number", "command"),
    list(zip([*NAMES, signal.SIGTERM], ["test", "validate", "predict", "picture"], strict=True)),
)
def test_every_other_command_ends_by_any_signal(
    cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, command: str
):
    (home / f"sends_setup_{number.value}.py").write_text(raising(number, "setup"))
    monkeypatch.syspath_prepend(str(home))
    cli(f"fit {QUICK} --trainer.max_epochs 1")
    result = cli(f"{command} --trainer.callbacks sends_setup_{number.value}.Sends")
    assert (result.status, result.error_line) == (128 + number, NAMES[number])


IMPORTED = ["numpy", "torch", "lightning.pytorch", "litspike.cli.execute"]


@pytest.mark.parametrize(
    ("number", "module"), every_nth(list(zip([*NAMES, signal.SIGTERM], IMPORTED, strict=True)), len(IMPORTED))
)
def test_a_command_ends_by_any_signal_while_it_is_imported(home: Path, number: signal.Signals, module: str):
    command = [sys.executable, "-X", "importtime", *main_py(f"fit {QUICK} --trainer.max_epochs 4000", home)]
    with started(command, home) as process:
        assert process.stderr is not None
        assert any(line.split("|")[-1].strip() == module for line in process.stderr)  # each line once it is imported
        process.send_signal(number)
        said = [line for line in process.stderr if not line.startswith("import time:")]
        process.communicate()
    assert process.returncode == 128 + number
    (line,) = said
    assert line.startswith(("litspike: stopped", f"litspike: {NAMES[number]}"))


def test_a_signal_that_is_ignored_stays_so():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stoppable():
            os.kill(os.getpid(), signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_second_signal_disturbs_no_process_that_ends(capsys: pytest.CaptureFixture[str]):
    def run() -> int:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            os.kill(os.getpid(), signal.SIGINT)
        return 0

    with stoppable():
        assert exit_status(run) == 143
    assert capsys.readouterr().err == "litspike: stopped by SIGTERM\n"


def test_a_signal_that_the_main_thread_does_not_notice_is_sent_again(monkeypatch: pytest.MonkeyPatch):
    heard: list[int] = []
    stop = signals._stop

    def second_time(number: int, frame: object) -> None:  # as where the first came just before a wait began
        heard.append(number)
        if len(heard) > 1:
            stop(number, None)

    def stopped_and_waiting() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        threading.Event().wait(LIMIT)

    monkeypatch.setattr(signals, "_stop", second_time)
    with pytest.raises(Stopped), stoppable():
        stopped_and_waiting()
    assert heard == [signal.SIGTERM] * 2


def test_the_handlers_are_what_they_were_before():
    handlers = {number: signal.getsignal(number) for number in signals.ENDING}
    with pytest.raises(Stopped), stoppable():
        os.kill(os.getpid(), signal.SIGTERM)
    assert {number: signal.getsignal(number) for number in signals.ENDING} == handlers


def test_a_process_that_cannot_end_by_itself_is_ended(tmp_path: Path):
    program = """
import os, signal, threading
from litspike.runs import signals
signals.SECONDS = 0.1
with signals.stoppable():
    try:
        os.kill(os.getpid(), signal.SIGTERM)
    finally:
        threading.Event().wait()  # as a process does that waits for another one
"""
    with started([sys.executable, "-c", program], tmp_path) as process:
        _, err = process.communicate()
    assert process.returncode == 143
    assert err == "litspike: stopped by SIGTERM, and ended after 0.1 s of waiting\n"


def test_lightnings_handler_is_where_it_was():
    """It is replaced by its name."""
    from lightning import Trainer

    assert callable(Trainer(logger=False, accelerator="cpu")._signal_connector._sigterm_notifier_fn)
