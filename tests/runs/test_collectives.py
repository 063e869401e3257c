"""What processes decide to communicate doesn't depend on what only some of them have.

Each subcommand runs twice in this process, once as the first of two processes and once as the second, and every call
that the other process would have to join is noted. The first has the run's folder, the console and a terminal, the
second has none. Both have to come to the same calls in the same order.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import Callback, Trainer
from lightning.pytorch.strategies import SingleDeviceStrategy, StrategyRegistry
from torch import Tensor, distributed

import litspike
from litspike.callbacks import Receipt
from litspike.cli import execute
from litspike.reports.checkup.collect import WatchedLayer
from litspike.reports.pictures.collect import ValidationSamples
from litspike.reports.receipt.collect import Measurements
from tests.conftest import Cli

QUICK = "--data.train_points 40 --data.val_points 10 --data.test_points 10"
FIT = f"fit {QUICK} --trainer.max_epochs 2 --calibrate.min_layers 1"
STEPS = f"{FIT} --trainer.log_every_n_steps 2"
ON = "fit --ckpt_path last --trainer.max_epochs"
COMMANDS = [
    (STEPS, STEPS),
    (FIT, FIT),
    (f"{ON} 3", f"{ON} 4"),
    *((name, name) for name in ("validate", "test", "predict", "picture", "picture --pictures.format gif")),
]
"""Of the first process and of the second, which goes on with what the first one did."""


class Talk:
    """What one process says to the other, and hears from it: what the other said when it ran before.

    Args:
        rank: the process's number.
        other: the talk of the other process; one that agrees with everything where None.
    """

    def __init__(self, rank: int, other: Talk | None = None) -> None:
        self.rank, self.other = rank, other
        self.calls: list[str] = []
        self.sent: list[Any] = []
        self.decisions: list[bool] = []
        self.callbacks: set[type] = set()
        self.logger: Any = None
        self.runs = False

    def note(self, what: str) -> None:
        self.calls.append(f"{what} in {caller()}")

    def broadcast(self, value: Any) -> Any:
        self.note("broadcast")
        place = len(self.sent)
        if self.rank and self.other is not None and place < len(self.other.sent):
            value = self.other.sent[place]
        self.sent.append(value)
        return value

    def decide(self, decision: bool) -> bool:
        self.note("reduce_boolean_decision")
        place = len(self.decisions)
        self.decisions.append(decision)
        return decision and (self.other is None or place >= len(self.other.decisions) or self.other.decisions[place])


def caller() -> str:
    """The function that communicates, outside of this file, torch and torchmetrics."""
    frame = inspect.currentframe()
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        around = name.startswith((__name__, "torch.", "torchmetrics.", "litspike.runs.collectives"))
        if not around and frame.f_code.co_name != "asks":
            return f"{name}.{frame.f_code.co_name}"
        frame = frame.f_back
    return "nowhere"


talk = Talk(0)


class Alone(SingleDeviceStrategy):
    """Says that it is one of two processes, and notes what it would ask the other."""

    def __init__(self) -> None:
        super().__init__(torch.device("cpu"))
        self.world_size, self.global_rank = 2, talk.rank

    @property
    def is_global_zero(self) -> bool:
        return talk.rank == 0

    def broadcast(self, obj: Any, src: int = 0) -> Any:
        return talk.broadcast(obj)

    def reduce(self, tensor: Any, *args: Any, **kwargs: Any) -> Any:
        talk.note("reduce")
        return tensor

    def reduce_boolean_decision(self, decision: bool, all: bool = True) -> bool:
        return talk.decide(decision)

    def all_gather(self, tensor: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        talk.note("all_gather")
        return tensor

    def barrier(self, *args: Any, **kwargs: Any) -> None:
        talk.note("barrier")


def gather_object(value: Any, values: list[Any] | None = None, *args: Any, **kwargs: Any) -> None:
    talk.note("gather_object")
    if values is not None:
        values[:] = [value] * len(values)


def all_gather(parts: list[Tensor], part: Tensor, *args: Any, **kwargs: Any) -> None:
    talk.note("all_gather")
    for other in parts:
        other.copy_(part)


def all_gather_object(values: list[Any], value: Any, *args: Any, **kwargs: Any) -> None:
    talk.note("all_gather_object")
    values[:] = [value] * len(values)


@pytest.fixture
def of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch says that there are two processes; nothing that was not foreseen here can be said to the other."""
    known = {
        "is_initialized": lambda: talk.runs,
        "destroy_process_group": lambda: setattr(talk, "runs", False),
        "get_rank": lambda *_: talk.rank,
        "get_world_size": lambda *_: 2,
        "get_backend": lambda *_: "gloo",
        "broadcast": lambda *_, **__: talk.note("broadcast"),
        "barrier": lambda *_, **__: talk.note("barrier"),
        "gather_object": gather_object,
        "all_gather": all_gather,
        "all_gather_object": all_gather_object,
        "all_reduce": lambda *_, **__: talk.note("all_reduce"),
    }
    for name, function in known.items():
        monkeypatch.setattr(distributed, name, function)
    monkeypatch.setattr(Trainer, "_run", _noting(Trainer._run))
    monkeypatch.setitem(StrategyRegistry, "of_two", {"strategy": Alone, "description": "", "init_params": {}})


def _noting(run: Any) -> Any:
    def noted(trainer: Any, *args: Any, **kwargs: Any) -> Any:
        talk.callbacks |= {type(callback) for callback in trainer.callbacks}
        talk.logger = type(trainer.logger)
        talk.runs = True
        result = run(trainer, *args, **kwargs)
        talk.runs = False  # after an error they still are two
        return result

    return noted


RunAs = Callable[..., Talk]


@pytest.fixture
def run_as(cli: Cli, of_two: None) -> RunAs:
    def run(rank: int, other: Talk | None, arguments: str) -> Talk:
        global talk
        talk = Talk(rank, other)
        with pytest.MonkeyPatch.context() as patch:
            if rank:
                patch.setenv("LOCAL_RANK", str(rank))
            patch.setattr("sys.stdout.isatty", lambda: rank == 0, raising=False)
            result = cli(f"{arguments} --trainer.strategy of_two")
        assert result.status == 0, result.err
        return talk

    return run


def package_callbacks() -> set[type]:
    """Every callback of litspike's that is made, whoever writes the next one."""
    for module in pkgutil.walk_packages(litspike.__path__, "litspike."):
        with suppress(ModuleNotFoundError):  # of an extra
            importlib.import_module(module.name)
    found, todo = set(), [Callback]
    while todo:
        kind = todo.pop()
        todo += kind.__subclasses__()
        # a sweep's are in commands that it runs itself: one is off among several processes, one sums in all of them
        ours = kind.__module__.startswith("litspike.") and not kind.__module__.startswith("litspike.cli.sweep.")
        if ours and not getattr(kind, "__abstractmethods__", None):
            found.add(kind)
    return {kind for kind in found if not any(other is not kind and issubclass(other, kind) for other in found)}


@pytest.mark.thorough
def test_both_processes_come_to_the_same_calls_in_every_command(run_as: RunAs):
    seen: set[type] = set()
    for first_arguments, second_arguments in COMMANDS:
        first = run_as(0, None, first_arguments)
        second = run_as(1, first, second_arguments)
        assert first.calls
        assert first.calls == second.calls, first_arguments
        assert first.logger == second.logger, first_arguments
        seen |= first.callbacks
    assert package_callbacks() <= seen, "a callback of litspike's that no command has"


@pytest.mark.slow
@pytest.mark.parametrize("broken", [0, 1])
@pytest.mark.parametrize(
    ("command", "parts"),
    [
        (FIT, [(WatchedLayer, "update"), (ValidationSamples, "add")]),
        ("test", [(Measurements, "_answer"), (Measurements, "_fired"), (Receipt, "_content")]),
    ],
)
def test_what_fails_in_one_process_leaves_no_other_waiting(
    run_as: RunAs, monkeypatch: pytest.MonkeyPatch, command: str, parts: list[tuple[type, str]], broken: int
):
    if command == "test":
        run_as(0, None, FIT)
    for owner, name in parts:
        monkeypatch.setattr(owner, name, breaking(getattr(owner, name), broken))
    first = run_as(0, None, command)
    second = run_as(1, first, command)
    first = run_as(0, second, command)  # now it hears what the second one decides
    assert first.calls == second.calls


def breaking(method: Callable[..., Any], rank: int) -> Callable[..., Any]:
    def breaks(*arguments: Any) -> Any:
        if talk.rank == rank:
            raise OSError("no such thing")
        return method(*arguments)

    return breaks


SAVING = """
from lightning import Callback
class Saves(Callback):
    def __init__(self, folder: str): self.folder = folder
    def on_exception(self, trainer, pl_module, exception): trainer.save_checkpoint(f"{self.folder}/own.ckpt")
class Breaks(Callback):
    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if trainer.global_step == 3:
            SAID.extend(trainer.strategy.calls())
            raise KeyError("mine")
SAID = []
"""
"""Callbacks that save after an error, and one that makes it."""


@pytest.mark.parametrize("rank", [0, 1])
def test_what_saves_after_an_error_waits_for_no_other_process(
    cli: Cli, of_two: None, home: Path, monkeypatch: pytest.MonkeyPatch, rank: int
):
    global talk
    talk = Talk(rank)
    monkeypatch.setattr(execute, "line_to_print", lambda line, lost: line)
    monkeypatch.setattr(Alone, "calls", lambda self: list(talk.calls), raising=False)
    (home / f"saving_{rank}.py").write_text(SAVING)
    monkeypatch.syspath_prepend(str(home))
    if rank:
        monkeypatch.setenv("LOCAL_RANK", str(rank))
    (home / "saving.yaml").write_text(
        "trainer: {callbacks: ["
        f"{{class_path: saving_{rank}.Saves, init_args: {{folder: {home}}}}}, saving_{rank}.Breaks,"
        f"{{class_path: lightning.pytorch.callbacks.OnExceptionCheckpoint, init_args: {{dirpath: {home}/collected}}}},"
        "{class_path: lightning.pytorch.callbacks.ModelCheckpoint, "
        f"init_args: {{dirpath: {home}/best, save_on_exception: true, save_last: true}}}}]}}"
    )
    accumulated = "--trainer.accumulate_grad_batches 2 --data.batch_size 5"
    result = cli(f"{FIT} -c {home}/saving.yaml {accumulated} --trainer.strategy of_two")
    assert "KeyError" in result.err
    said = importlib.import_module(f"saving_{rank}").SAID
    assert said
    assert talk.calls == said
    if rank == 0:
        assert (home / "own.ckpt").is_file()
        assert list((home / "best").glob("*.ckpt"))
