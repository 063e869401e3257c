"""A process that dies at any write leaves a run that goes on to the same weights, and is tested."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from litspike.cli import main
from litspike.cli.arguments import Call
from litspike.cli.seeds import _one_seed
from litspike.runs.folder import Run, runs_in
from litspike.runs.folder import tested as first_tested
from litspike.runs.resolve import find, is_finished
from litspike.runs.saving import LastCheckpoint
from litspike.settings import UserError
from tests.conftest import Cli, runs

QUICK = "--data.train_points 20 --data.val_points 20 --data.test_points 2 --pictures.every 0 --checkup.every 0"
QUICK += " --console.epochs false --console.table false --receipt.enabled false --calibrate.batches 0"
NO_PROCESS = 2**22 + 1  # above the largest number that Linux gives one


class Moments:
    """What a process would leave that dies at any of its writes below a folder: a copy of it before each."""

    def __init__(self, folder: Path, copies: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder, self.copies = folder, copies
        self.found: list[Path] = []
        self.busy = False
        for name in ("replace", "rename", "mkdir", "unlink", "rmdir", "fsync"):
            patch.setattr(os, name, self.copied(getattr(os, name)))
        patch.setattr(torch, "save", self.copied(torch.save, torn=True))

    def copied(self, write: Callable[..., Any], torn: bool = False) -> Callable[..., Any]:
        def instead(*args: Any, **kwargs: Any) -> Any:
            path = os.readlink(f"/proc/self/fd/{args[0]}") if isinstance(args[0], int) else args[torn]
            below = isinstance(path, (str, Path)) and Path(path).is_relative_to(self.folder)
            if below and not self.busy and (write.__name__ != "unlink" or os.path.lexists(path)):
                self.busy = True
                if torn:
                    Path(path).write_bytes(b"half of it")
                self.copy()
                self.busy = False
            return write(*args, **kwargs)

        return instead

    def copy(self) -> None:
        copy = self.copies / str(len(self.found))
        copy.mkdir(parents=True)
        if self.folder.is_dir():
            shutil.copytree(self.folder, copy, dirs_exist_ok=True)
        for draft in drafts(copy):  # of a process that is gone
            draft.rename(draft.with_name(f"{draft.name.rpartition('.')[0]}.{NO_PROCESS}"))
        self.found.append(copy)

    def back_to(self, copy: Path) -> None:
        shutil.rmtree(self.folder)
        copy.rename(self.folder)


def drafts(folder: Path) -> list[Path]:
    return [path for path in folder.rglob(".*") if re.fullmatch(r"\..+\.\d+", path.name)]


def moments(folder: Path, copies: Path, command: Callable[[], Any]) -> Moments:
    with pytest.MonkeyPatch.context() as patch:
        found = Moments(folder, copies, patch)
        command()
    return found


def weights(run: Run) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(run.checkpoint("last"), weights_only=True)["state_dict"]
    return state


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one | other)


@pytest.fixture(autouse=True)
def every_epoch_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LastCheckpoint, "SECONDS", 0.0)


@pytest.mark.thorough
def test_a_seed_that_dies_at_any_write_goes_on_to_the_same_weights_and_its_test(home: Path):
    arguments, logs = [*QUICK.split(), "--trainer.max_epochs", "2"], home / "logs"

    def one_seed() -> None:
        with pytest.raises(SystemExit) as ended:
            _one_seed(arguments, logs, 3, home, main)
        assert not ended.value.code

    killed = moments(logs, home / "copies", one_seed)
    (reference,) = (weights(run) for run in runs_in(logs))
    assert len(killed.found) > 20
    for copy in killed.found:
        killed.back_to(copy)
        one_seed()
        run = first_tested(logs)
        assert run is not None, copy.name
        assert same(weights(run), reference), copy.name


@pytest.mark.thorough
def test_a_fit_that_dies_at_any_write_of_going_on_goes_on_again(home: Path):
    logs = home / "logs"

    def fit(epochs: int, *more: str) -> int:
        return main(["fit", *QUICK.split(), "--trainer.max_epochs", str(epochs), *more], home)

    fit(1)
    killed = moments(logs, home / "copies", lambda: fit(2, "--ckpt_path", "last"))
    (reference,) = (weights(run) for run in runs_in(logs))
    assert len(killed.found) > 10
    for copy in killed.found:
        killed.back_to(copy)
        (run,) = runs_in(logs)
        done = torch.load(run.checkpoint("last"), weights_only=True)["epoch"] == 1
        assert is_finished(run), copy.name  # with one epoch or two
        assert fit(2, "--ckpt_path", "last") == (1 if done else 0)
        assert same(weights(run), reference), copy.name
        assert find(Call(["test"]).checkpoint_request, logs) == run.checkpoint("best")
        assert done or not drafts(logs)


def test_a_run_that_was_killed_early_says_so_and_a_new_one_is_taken(cli: Cli, home: Path):
    killed = moments(home / "logs", home / "copies", lambda: cli(f"fit {QUICK} --trainer.max_epochs 1"))
    (whole,) = runs(home)
    killed.back_to(killed.found[8])
    for command in ("test", "fit --ckpt_path last"):
        line = cli(command).error_line
        assert line == (
            f"the newest run, {whole}, has no checkpoint, for no epoch of it was complete: "
            "train again with `python main.py fit`"
        )
    assert cli(f"fit {QUICK} --trainer.max_epochs 1").status == 0
    assert f"checkpoint: {runs(home)[-1]}/" in cli("test").out
    assert len(runs(home)) == 2


def test_drafts_of_processes_that_are_gone_are_removed_and_nothing_else(tmp_path: Path):
    run = Run.create(tmp_path, "mine")
    gone = [run.folder / f".run.json.{NO_PROCESS}", run.checkpoint("best").with_name(f".best.ckpt.{NO_PROCESS}")]
    kept = [
        run.folder / f".notes.md.{NO_PROCESS}",
        run.folder / f"run.json.{NO_PROCESS}",
        run.folder / f".run.json.{os.getppid()}",
        run.folder / ".run.json.x",
        run.checkpoint("best").with_name(".best.ckpt.1"),
    ]
    for path in (*gone, *kept):
        path.write_text("")
    with run:
        assert not any(path.exists() for path in gone)
        assert all(path.exists() for path in kept)


@pytest.mark.parametrize("content", ["", "\0" * 50, "{", "[]", "null", '{"status": 3}', "[" * 100_000, "\xff"])
def test_a_damaged_record_is_kept_and_written_anew(tmp_path: Path, content: str):
    run = Run.create(tmp_path, "mine")
    (run.folder / "run.json").write_bytes(content.encode("latin-1"))
    assert run.record() == {}
    run.note(figures={"test/loss": 0.5})
    assert first_tested(tmp_path) is not None
    kept = [path.read_bytes() for path in run.folder.glob("run.before-*.json")]
    assert kept == ([content.encode("latin-1")] if content.strip("\0") else [])


@pytest.mark.parametrize(
    "entries",
    [
        {"figures": 3},
        {"figures": {"test/loss": "low"}},
        {"figures": {"test/loss": [1]}},
        {"figures": {"test/loss": 10**400}},
        {"changed": 5},
        {"changed": "yesterday"},
        {"changed": "0001-01-01"},
        {"best": []},
    ],
)
def test_wrong_types_in_a_record_are_passed_over(tmp_path: Path, entries: dict[str, Any]):
    run = Run.create(tmp_path, "mine")
    (run.folder / "run.json").write_text(json.dumps({"status": "running", **entries}))
    assert run.record()["figures"] == {}
    assert run.record()["best"] == {}
    assert first_tested(tmp_path) is None
    with pytest.raises(UserError, match="has no checkpoint"):
        find(Call(["test"]).checkpoint_request, tmp_path)
