"""Two processes train as one with the doubled batch, into one folder, with one voice."""

from __future__ import annotations

import csv
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from litspike.cli.arguments import Call
from litspike.cli.seeds import run_seeds
from litspike.runs.processes import Place, place
from litspike.settings import UserError
from tests.conftest import LIMIT, PROJECT, Cli, runs

DATA = "--calibrate.min_layers 1 --data.train_points 211 --data.val_points 101 --data.test_points 11"
METRICS = '--model.metrics {"f1":{"class_path":"torchmetrics.F1Score","init_args":{"task":"binary"}}'
METRICS += ',"auroc":"torchmetrics.classification.BinaryAUROC"}'
DDP = "--trainer.devices 2 --trainer.strategy ddp"


@pytest.fixture
def pair(cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """As ``cli``, for commands that start a second process: it runs the project's main.py, with the same logs."""
    monkeypatch.setattr(sys, "argv", [str(PROJECT / "main.py")])
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None)  # pytest's own would be started
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return lambda arguments, *more: cli(f"{arguments} --logs {home}/logs", *more)


def checkpoint(run: Path) -> dict[str, dict[str, torch.Tensor]]:
    return torch.load(run / "checkpoints/last.ckpt", weights_only=True)


def figures(run: Path) -> dict[str, list[float]]:
    read = EventAccumulator(str(run)).Reload()
    return {name: [event.value for event in read.Scalars(name)] for name in read.Tags()["scalars"]}


@pytest.mark.slow
def test_two_processes_train_and_predict_as_one_with_the_doubled_batch(pair: Cli, cli: Cli, home: Path):
    cli(
        f"fit {DATA} {METRICS} --trainer.max_epochs 3 --data.batch_size 20"
    )  # 211 points: the last batches are of 6 and of 5
    alone = runs(home)
    result = pair(f"fit {DATA} {METRICS} --trainer.max_epochs 2 {DDP}")
    assert (result.status, result.err) == (0, "")
    (one,), (two,) = alone, [run for run in runs(home) if run not in alone]
    assert f"run: {two} (41 parameters, cpu, 2 processes)" in result.out
    assert len(re.findall(r"^epoch", result.out, re.MULTILINE)) == 2
    assert len(re.findall(r"^calibration: .* weights × ", result.out, re.MULTILINE)) == 1
    resumed = pair(f"fit --ckpt_path {two}/checkpoints/last.ckpt --trainer.max_epochs 3")
    assert (resumed.status, resumed.err) == (0, "")
    assert len(runs(home)) == 2
    ours, theirs = checkpoint(two), checkpoint(one)
    assert ours["global_step"] == theirs["global_step"]
    for name, value in theirs["state_dict"].items():
        torch.testing.assert_close(ours["state_dict"][name], value, rtol=1e-4, atol=1e-6)
    assert figures(two).keys() == figures(one).keys() >= {"train/f1", "val/f1", "train/auroc", "val/auroc"}
    for name, values in figures(one).items():
        if name.startswith("validation potentials"):
            continue  # of some samples of each process: two look at twice as many
        assert figures(two)[name] == pytest.approx(values, rel=1e-5)

    pair(f"predict --ckpt_path {two}")
    cli(f"predict --ckpt_path {one}")
    rows = [list(csv.DictReader((run / "predictions.csv").open())) for run in (one, two)]
    assert [row["x0"] for row in rows[0]] == [row["x0"] for row in rows[1]]
    assert [float(row["probability"]) for row in rows[0]] == pytest.approx(
        [float(row["probability"]) for row in rows[1]], rel=1e-4
    )


def command(home: Path, *more: str) -> list[str]:
    arguments = [*DATA.split(), *DDP.split(), *more, "--logs", f"{home}/logs"]
    return [sys.executable, str(PROJECT / "main.py"), "fit", *arguments]


@pytest.mark.slow
def test_a_mistake_that_both_processes_meet_is_said_once(home: Path):
    refused = command(home, "--model.network.sizes", "[2,5,2]")
    done = subprocess.run(refused, capture_output=True, text=True, timeout=LIMIT, check=False)
    assert done.stderr.startswith("litspike: the network gives [2] outputs a sample; two classes need one logit")
    assert done.stderr.count("\n") == 1
    assert done.returncode == 1
    assert runs(home) == []


@pytest.mark.slow
def test_a_process_that_is_killed_ends_the_other_with_a_word(home: Path):
    endless = command(home, "--trainer.max_epochs", "4000")
    process = subprocess.Popen(endless, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    watchdog = threading.Timer(LIMIT, process.kill)
    watchdog.start()
    assert process.stdout is not None
    next(line for line in process.stdout if line.startswith("epoch"))
    other = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0]
    os.kill(int(other), signal.SIGKILL)
    _, err = process.communicate()
    watchdog.cancel()
    assert process.returncode == 1
    assert re.fullmatch(r"litspike: a process that trained with this one is gone \(.*\): go on with .*\n", err)


@pytest.mark.slow
def test_a_port_that_is_taken_is_named(home: Path):  # torch counts the groups that failed: not in this process
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        environment = {**os.environ, "MASTER_PORT": str(port)}
        done = subprocess.run(
            command(home), env=environment, capture_output=True, text=True, timeout=LIMIT, check=False
        )
    assert done.returncode == 1
    assert done.stderr == f"litspike: trainer: port {port} is used by another program: set MASTER_PORT to a free one\n"
    assert runs(home) == []


@pytest.mark.slow
def test_the_membrane_that_is_carried_is_of_one_process(pair: Cli, home: Path):
    line = pair(f"fit -c {home}/configs/article.yaml {DDP}").error_line
    assert line == "trainer.devices: the membrane carried from batch to batch is that of one process: set 1"


SLURM = {"SLURM_NTASKS": "4", "SLURM_NTASKS_PER_NODE": "2", "SLURM_PROCID": "2", "SLURM_LOCALID": "0"}
TORCHRUN = {"TORCHELASTIC_RUN_ID": "x", "RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "2"}


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, Place()),
        ({"LOCAL_RANK": "1"}, Place(first=False)),
        ({"NODE_RANK": "1"}, Place(first=False)),
        (SLURM, Place(False, True, "SLURM", 4)),
        ({**SLURM, "SLURM_JOB_NAME": "interactive"}, Place()),
        (TORCHRUN, Place(False, False, "torchrun", 2)),
        ({**TORCHRUN, **SLURM}, Place(False, False, "torchrun", 2)),
    ],
)
def test_the_environment_says_which_process_is_the_first(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: Place
):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert place() == expected


def slurm(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    for name, value in {"NTASKS": "2", "PROCID": "0", "LOCALID": "0", "NODEID": "0", **variables}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)


def test_a_trainer_of_another_size_than_slurms_is_refused(cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch):
    slurm(monkeypatch, NTASKS_PER_NODE="2")
    line = cli("fit").error_line
    assert line.startswith(
        "trainer.devices: SLURM started 2 processes, and trainer.devices times trainer.num_nodes is 1"
    )
    assert runs(home) == []


def test_slurms_tasks_without_their_number_on_a_node_are_refused(cli: Cli, monkeypatch: pytest.MonkeyPatch):
    slurm(monkeypatch)
    assert "--ntasks-per-node" in cli("fit").error_line


def test_seeds_start_processes_of_their_own(home: Path, monkeypatch: pytest.MonkeyPatch):
    slurm(monkeypatch, NTASKS_PER_NODE="2")
    with pytest.raises(UserError, match="leave SLURM out"):
        run_seeds(Call(["fit", "--seeds", "2"]), home, lambda args, home: 0)


def test_a_strategy_whose_processes_have_no_command_line_is_refused(cli: Cli):
    assert "set ddp" in cli("fit --trainer.devices 2 --trainer.strategy ddp_spawn").error_line
