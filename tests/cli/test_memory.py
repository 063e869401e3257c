"""What the machine's memory can't hold is refused in one line, where the system would end the process."""

from __future__ import annotations

import resource
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from jsonargparse import Namespace

from litspike import memory
from litspike.cli.check.memory import Largest, check_batch, check_network
from litspike.settings import UserError
from tests.conftest import Cli, runs

QUICK = "--pictures.every 0 --trainer.max_epochs 1"
OWN = """
import torch
from lightning import LightningDataModule
from torch import nn


class Wide(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(10**9))


class WideInside(nn.Linear):
    def forward(self, x, state=None):
        return torch.zeros(len(x), x.shape[1], 10**9).sum(2, keepdim=True), ()


class Data(LightningDataModule):
    def setup(self, stage):
        torch.zeros(10**9)

    def train_dataloader(self):
        raise NotImplementedError
"""


@pytest.fixture(autouse=True)
def small_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of 2 GB, of which one is left."""
    monkeypatch.setattr(memory, "_machine", lambda: (2 * 10**9, 10**9))
    monkeypatch.setattr(memory, "_groups", lambda: iter(()))
    monkeypatch.setattr(memory, "_GPUS", ())


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            "--model.network.sizes [2,20000,20000,1]",
            "model.network: its 400100001 parameters take 6.4 GB with their gradients and the optimizer's state, and "
            "this machine has 1.0 GB: make it smaller",
        ),
        (
            "--model.network.sizes [2,20000,20000,1] --model.optimizer torch.optim.SGD",
            "model.network: its 400100001 parameters take 3.2 GB with",
        ),
        (
            "--data.train_points 200000000",
            "data: 200000000 samples of the train part take 2.4 GB, and this machine has 1.0 GB: make them fewer",
        ),
        (
            "--data litspike.data.DelayedXOR --data.train_samples 10000000 --model.network.sizes [15,8,1]",
            "data: 10000000 samples of the train part take 7.6 GB",
        ),
        (
            "--data.train_points 20000 --data.batch_size 2147483647 --model.network.sizes [2,10000,1]",
            "data: a batch of 20000 samples of 16 steps takes 12.8 GB in layers.1 (LIF) alone, and there are 1.0 GB",
        ),
        (
            "--data.val_points 20000 --data.eval_batch_size 20000 --model.network.sizes [2,10000,1]",
            "data: a batch of 20000 samples of 16 steps takes 12.8 GB in layers.1 (LIF) alone",
        ),
        ("--model.encoder.steps 300000000", "there is not enough memory"),
        ("--model.network own_and_wide.Wide", "model.network: there is not enough memory (4.0 GB at once, and this"),
        (
            "--model.network own_and_wide.WideInside --model.network.in_features 2 --model.network.out_features 1",
            "there is not enough memory (64.0 GB at once",
        ),
        ("--data own_and_wide.Data", "data: there is not enough memory (4.0 GB at once, and this machine has 1.0 GB)"),
    ],
)
def test_what_is_larger_than_the_memory_is_refused_before_training(
    cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch, arguments: str, line: str
):
    (home / "own_and_wide.py").write_text(OWN)
    monkeypatch.chdir(home)
    monkeypatch.syspath_prepend(str(home))
    result = cli(f"fit {QUICK} {arguments}")
    assert result.error_line.startswith(line), result.err
    assert runs(home) == []


@pytest.mark.parametrize(
    ("accelerator", "strategy", "gpu", "line"),
    [
        ("gpu", "auto", 10**9, "take 1.6 GB with their gradients and the optimizer's state, and the GPU has 1.0 GB"),
        ("auto", "ddp", 10**9, "take 1.6 GB with their gradients and the optimizer's state, and the GPU has 1.0 GB"),
        ("gpu", "auto", 2 * 10**9, None),
        ("auto", "ddp_fork", 0, "take 1.6 GB with their gradients and the optimizer's state, and this machine has 1.0"),
        ("cpu", "auto", 2 * 10**9, "take 1.6 GB with their gradients and the optimizer's state, and this machine has"),
    ],
)
def test_a_network_on_a_gpu_has_that_ones_memory(
    monkeypatch: pytest.MonkeyPatch, accelerator: str, strategy: str, gpu: int, line: str | None
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (gpu - 3 * 10**8, 10**10))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: 4 * 10**8)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: 10**8)
    network = Namespace(class_path="torch.nn.Linear", init_args=Namespace(in_features=10**4, out_features=10**4))
    optimizer = Namespace(class_path="torch.optim.Adam", init_args=Namespace(lr=0.1))
    model = Namespace(init_args=Namespace(network=network, optimizer=optimizer))
    config = Namespace(model=model, trainer=Namespace(accelerator=accelerator, strategy=strategy))
    with pytest.raises(UserError, match=line) if line else nullcontext():
        check_network(config, trains=True)


@pytest.mark.parametrize(
    ("steps", "together", "refused"),
    [(2048, None, True), (4096, None, False), (2048, 512, False), (4096, 4096, True)],
)
def test_a_long_sequence_counts_by_the_piece_that_is_run(steps: int, together: int | None, refused: bool):
    task: Any = SimpleNamespace(steps_together=together)
    largest = Largest(size=10**4 * steps // 2048, layer="layers.1 (LIF)")  # 2 GB for 2048 steps of all samples
    current = torch.zeros(steps, 1, 1, dtype=torch.uint8)
    with pytest.raises(UserError, match=r"in layers\.1 \(LIF\) alone") if refused else nullcontext():
        check_batch(task, current, largest, 120_000)


def test_memory_that_is_not_there_is_refused_when_it_is_asked_for_and_the_bound_goes():
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with memory.bounded():
        with pytest.raises(RuntimeError) as of_torch:
            torch.empty(10**9)
        with pytest.raises(MemoryError) as of_numpy:
            np.zeros(10**9)
    assert memory.ran_out(of_torch.value)
    assert memory.ran_out(of_numpy.value)
    assert [memory.asked_for(error.value) for error in (of_torch, of_numpy)] == ["4.0 GB", "8.0 GB"]
    assert resource.getrlimit(resource.RLIMIT_DATA) == before
    assert len(np.zeros(10**9, dtype=np.int16)) == 10**9


def test_beside_a_gpu_there_is_no_bound(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(memory, "_GPUS", ("/dev/null",))
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with memory.bounded():
        assert resource.getrlimit(resource.RLIMIT_DATA) == before


def test_a_bound_of_the_user_that_is_lower_holds():
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    low = memory._taken() + 5 * 10**8
    resource.setrlimit(resource.RLIMIT_DATA, (low, hard))
    try:
        with memory.bounded():
            assert resource.getrlimit(resource.RLIMIT_DATA)[0] == low
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ([], 10**9),
        ([(5 * 10**8, 10**8)], 4 * 10**8),
        ([(8 * 10**8, 7 * 10**8)], 4 * 10**8),  # half of the group's at least
        ([(8 * 10**8, 10**8), (6 * 10**8, 10**8)], 5 * 10**8),
        ([(2**63, 0)], 10**9),
    ],
)
def test_the_narrowest_control_group_counts(
    monkeypatch: pytest.MonkeyPatch, groups: list[tuple[int, int]], expected: int
):
    monkeypatch.setattr(memory, "_groups", lambda: iter(groups))
    assert memory.available() == expected


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 KB"),
        (123_456, "123 KB"),
        (16 * 10**9, "16.0 GB"),
        (2 * 10**18, "2.0 EB"),
    ],
)
def test_bytes_are_shown_in_a_unit_that_suits_them(count: int, text: str):
    assert memory.shown(count) == text
