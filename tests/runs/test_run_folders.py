"""Run folders: what is found, what is never removed, and what is said where there is nothing to take."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from lightning import LightningModule, Trainer

from litspike.callbacks import Console
from litspike.cli.arguments import Call
from litspike.runs.checkpoints import AtomicCheckpointIO
from litspike.runs.folder import Run
from litspike.runs.resolve import find
from litspike.settings import UserError
from tests.conftest import Cli, runs

QUICK = "--trainer.max_epochs 1 --data.train_points 50 --pictures.every 0 --console.epochs false"
SHORT = f"fit {QUICK}"


def content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def tree(folder: Path) -> dict[str, bytes | str | None]:
    """Everything in a folder: a file's bytes, a link's target, None for the rest."""
    return {
        str(path.relative_to(folder)): os.readlink(path) if path.is_symlink() else content(path)
        for path in sorted(folder.rglob("*"))
    }


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run of one epoch."""
    from litspike.cli import main

    home = tmp_path_factory.mktemp("trained")
    shutil.copytree(Path(__file__).parents[2] / "configs", home / "configs")
    assert main(SHORT.split(), home=home) == 0
    (run,) = runs(home)
    return run


def a_record_of_nobody(run: Path) -> Path:
    """A project with a file run.json of its own, and a checkpoint in a folder of its own."""
    project = run.parent.parent.parent / "proj"
    (project / "ckpts").mkdir(parents=True)
    shutil.copy(run / "checkpoints" / "best.ckpt", project / "ckpts")
    (project / "run.json").write_text('{"name": "mine"}')
    (project / "config.yaml").write_text("mine: true\n")
    return project / "ckpts" / "best.ckpt"


def the_layout_of_a_run(run: Path) -> Path:
    """The same in folders named as a run's."""
    other_record = a_record_of_nobody(run)
    other_record.parent.rename(other_record.parent.with_name("checkpoints"))
    return other_record.parent.with_name("checkpoints") / "best.ckpt"


def no_last_checkpoint(run: Path) -> Path:
    (run / "checkpoints" / "last.ckpt").unlink()
    return run


def empty_record(run: Path) -> Path:
    (run / "run.json").write_text("")
    return no_last_checkpoint(run)


def damaged_record(run: Path) -> Path:
    (run / "run.json").write_text('{"status": ["finished"')
    return no_last_checkpoint(run)


def no_record(run: Path) -> Path:
    (run / "run.json").unlink()
    return no_last_checkpoint(run)


def a_link_to_a_run(run: Path) -> Path:
    (run.parent / "newest").symlink_to(no_last_checkpoint(run))
    return run.parent / "newest"


def notes_in_the_folder(run: Path) -> Path:
    (run / "notes.md").write_text("what I saw")
    (run / "checkpoints" / "paper").mkdir()
    (run / "checkpoints" / "paper" / "best.ckpt").write_text("the one of the paper")
    return no_last_checkpoint(run)


LAYOUTS = [
    a_record_of_nobody,
    the_layout_of_a_run,
    no_last_checkpoint,
    empty_record,
    damaged_record,
    no_record,
    a_link_to_a_run,
    notes_in_the_folder,
]
EARLY, LATE = "--model.network.neuron.decay 1.3", "--model.optimizer.lr -1"
MORE = [
    "--trainer.max_epochs 1",  # which are done
    "--trainer.max_epochs 0",
    "--model.network.sizes [2,7,1]",
    "--trainer.strategy ddp_spawn",
    "--trainer.limit_train_batches 0",
]


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)
def test_a_mistake_changes_nothing_that_was_there(cli: Cli, home: Path, trained: Path, layout: Callable[[Path], Path]):
    run = home / "logs" / "default" / "run"
    shutil.copytree(trained, run)
    checkpoint = layout(run)
    before = tree(home)
    for mistake in [EARLY, LATE, *(MORE if layout in (the_layout_of_a_run, no_last_checkpoint) else [])]:
        assert cli(f"fit --ckpt_path {checkpoint} {QUICK} --trainer.max_epochs 3 {mistake}").error_line
        after = {name: content for name, content in tree(home).items() if name in before or "tfevents" not in name}
        assert after == before, mistake


@pytest.mark.slow
@pytest.mark.parametrize("command", ["fit --trainer.max_epochs 2", "test", "predict", "picture"])
def test_no_command_removes_or_changes_what_is_not_litspikes(cli: Cli, home: Path, trained: Path, command: str):
    for number, layout in enumerate(LAYOUTS):
        run = home / str(number) / "logs" / "default" / "run"
        shutil.copytree(trained, run)
        checkpoint = layout(run)
        for name in ("receipt.json", "receipt.md", "anytime.csv", "anytime.png", "predictions.csv", "run.json"):
            if checkpoint.is_file():
                (checkpoint.parent / name).write_text("mine")
        if command.startswith("fit") or layout in (the_layout_of_a_run, empty_record):
            before = tree(home)
            logs = f"--logs {home}/{number}/logs"
            assert cli(f"{command} --ckpt_path {checkpoint} --pictures.every 0 {logs}").status == 0
            after = tree(home)
            changed = {name for name, content in before.items() if name not in after or after[name] != content}
            ours = {"run.json", "config.yaml", "checkpoints/best.ckpt", "checkpoints/last.ckpt", "hparams.yaml"}
            assert changed <= {f"{number}/logs/default/run/{name}" for name in ours}, layout.__name__


def test_only_the_folder_that_this_process_made_is_removed(tmp_path: Path):
    run = Run.create(tmp_path / "logs", "mine")
    Run(run.folder).discard()  # another one's
    assert (run.folder / "checkpoints").is_dir()
    with run:
        run.note(status="running")
    (run.folder / "notes.md").write_text("mine")
    before = tree(tmp_path)
    run.discard()
    assert tree(tmp_path) == before
    (run.folder / "notes.md").unlink()
    run.discard()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_was_there_before_stays(tmp_path: Path):
    (tmp_path / "logs" / "mine").mkdir(parents=True)
    Run.create(tmp_path / "logs", "mine").discard()
    assert tree(tmp_path) == {"logs": None, "logs/mine": None}


@pytest.mark.parametrize(
    "settings",
    ["--trainer.max_epochs 0", "--trainer.limit_train_batches 0", "--trainer.max_steps 0", "--model.optimizer.lr -1"],
)
def test_a_fit_that_trains_nothing_leaves_no_folder_and_says_so(cli: Cli, home: Path, settings: str):
    assert cli(f"{SHORT} {settings}").error_line
    assert not (home / "logs").exists()


def interrupts(console: Console, trainer: Trainer, module: LightningModule) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ("--trainer.max_steps 3", "has no best checkpoint, for no epoch of it was validated"),
        ("--trainer.limit_val_batches 0", "has no best checkpoint, for no epoch of it was validated"),
        ("--trainer.enable_checkpointing false", "has no checkpoint, for it was trained without any"),
        ("interrupted", "has no checkpoint, for no epoch of it was complete"),
    ],
)
def test_where_the_newest_run_has_nothing_to_take_no_other_is_taken(
    cli: Cli, home: Path, trained: Path, monkeypatch: pytest.MonkeyPatch, settings: str, why: str
):
    old = home / "logs" / "default" / "run"
    shutil.copytree(trained, old)
    if settings == "interrupted":
        monkeypatch.setattr(Console, "on_validation_end", interrupts)
        assert cli(SHORT).status == 130
        monkeypatch.undo()
    else:
        assert cli(f"{SHORT} {settings}").status == 0
    (new,) = (run for run in runs(home) if run != old)
    for command in ("test", "validate", "predict", "picture"):
        line = cli(command).error_line
        assert line.startswith(f"the newest run, {new}, {why}")
        assert line.endswith(f"or name another run, such as {old}")
    assert f"checkpoint: {old}/" in cli(f"validate --ckpt_path {old}").out


def test_the_last_checkpoint_of_a_run_without_validation_is_taken_where_it_is_named(cli: Cli, home: Path):
    cli(f"{SHORT} --trainer.limit_val_batches 0")
    (run,) = runs(home)
    assert f"take the last one by --ckpt_path {run}/checkpoints/last.ckpt" in cli("test").error_line
    assert f"{run}/checkpoints/last.ckpt" in cli("test --ckpt_path last").out
    assert f"{run}/checkpoints/last.ckpt" in cli(f"test --ckpt_path {run}").error_line


def record(folder: Path, status: str, changed: str, *kept: str) -> Run:
    """A run's folder with a record, and files for checkpoints."""
    (folder / "checkpoints").mkdir(parents=True)
    for name in kept:
        (folder / "checkpoints" / f"{name}.ckpt").write_text("")
        os.utime(folder / "checkpoints" / f"{name}.ckpt", (0, 0))
    (folder / "run.json").write_text(json.dumps({"status": status, "changed": changed}))
    return Run(folder)


def test_the_newest_run_is_the_one_that_was_active_last(tmp_path: Path):
    early = record(tmp_path / "mine" / "early", "finished", "2026-01-01T10:00:00", "best", "last")
    late = record(tmp_path / "mine" / "late", "finished", "2026-01-01T11:00:00", "best", "last")
    assert find(Call(["test"]).checkpoint_request, tmp_path) == late.checkpoint("best")
    early.note(status="finished")  # it went on
    assert find(Call(["test"]).checkpoint_request, tmp_path) == early.checkpoint("best")
    early.note(figures={"test/loss": 1.0})
    late.note(figures={"test/loss": 1.0})  # a test makes no run newer
    assert find(Call(["test"]).checkpoint_request, tmp_path) == early.checkpoint("best")


def test_the_time_of_the_last_checkpoint_counts_for_a_run_that_was_killed(tmp_path: Path):
    record(tmp_path / "mine" / "done", "finished", "2026-01-01T11:00:00", "best", "last")
    killed = record(tmp_path / "mine" / "killed", "running", "2026-01-01T10:00:00", "last")
    os.utime(killed.checkpoint("last"), (2e9, 2e9))
    assert find(Call(["fit", "--ckpt_path", "last"]).checkpoint_request, tmp_path) == killed.checkpoint("last")
    with pytest.raises(
        UserError, match=r"killed, did not finish, go on with it by `python main.py fit --ckpt_path last`"
    ):
        find(Call(["test"]).checkpoint_request, tmp_path)


def test_a_run_that_goes_on_is_not_taken_and_says_so(tmp_path: Path):
    record(tmp_path / "mine" / "done", "finished", "2026-01-01T11:00:00", "best", "last")
    running = record(tmp_path / "mine" / "running", "running", "2026-01-01T12:00:00", "best", "last")
    with running, pytest.raises(UserError, match="is still running: wait for its end, or take it as it is by"):
        find(Call(["test"]).checkpoint_request, tmp_path)


def test_what_is_gone_is_said(tmp_path: Path):
    record(tmp_path / "mine" / "done", "finished", "2026-01-01T11:00:00", "best", "last")
    lost = record(tmp_path / "mine" / "lost", "finished", "2026-01-01T12:00:00", "best")
    with pytest.raises(UserError, match="lost, has lost its last checkpoint"):
        find(Call(["fit", "--ckpt_path", "last"]).checkpoint_request, tmp_path)
    lost.checkpoint("best").unlink()
    with pytest.raises(UserError, match="lost, has no checkpoint"):
        find(Call(["fit", "--ckpt_path", "last"]).checkpoint_request, tmp_path)


def test_a_folder_names_its_last_checkpoint_to_a_fit_and_its_best_to_others(tmp_path: Path):
    run = record(tmp_path / "run", "finished", "2026-01-01", "best", "last")
    assert find(Call(["fit", "--ckpt_path", str(run.folder)]).checkpoint_request, tmp_path) == run.checkpoint("last")
    assert find(Call(["test", "--ckpt_path", str(run.folder)]).checkpoint_request, tmp_path) == run.checkpoint("best")


NAMES = ["my[1].yaml", "..yaml", "...yaml", "a/../b.yaml", "x y.yaml", "*.yaml", "??.yaml", "[!a].yaml", ".yaml"]
NAMES += ["{a}.yaml", "a'b.yaml", "$HOME.yaml", "~.yaml", "-.yaml", "a::b.yaml", "s3:x.yaml", "é.yaml", "a#b%20.yaml"]


@pytest.mark.parametrize("name", NAMES)
def test_a_configuration_of_any_name_finds_its_runs(tmp_path: Path, name: str):
    experiment = Call(["fit", "-c", f"{tmp_path}/{name}"]).experiment or ""
    run = Run.create(tmp_path / "logs", experiment)
    assert run.folder.parent.parent == tmp_path / "logs"
    run.note(status="finished")
    run.checkpoint("best").write_text("")
    record(tmp_path / "logs" / "m1", "finished", "2050-01-01", "best")
    record(tmp_path / "logs" / "other" / "run", "finished", "2050-01-01", "best")
    assert find(Call(["test", "-c", f"{tmp_path}/{name}"]).checkpoint_request, tmp_path / "logs") == run.checkpoint(
        "best"
    )


@pytest.mark.parametrize("name", ["my[1].yaml", "...yaml", "a::b.yaml", "{a} *.yaml"])
def test_checkpoints_and_events_lie_under_any_name(cli: Cli, home: Path, name: str):
    config = home / name
    config.write_text("model: {init_args: {encoder: {init_args: {steps: 2}}}}\n")
    before = set(tree(home))
    result = cli("fit", *QUICK.split(), "-c", str(config))
    assert (result.status, result.err) == (0, "")
    assert all(path.startswith("logs") for path in set(tree(home)) - before)
    (best,) = (path for path in tree(home) if path.endswith("best.ckpt"))
    assert best.count("/") == 4  # logs/NAME/RUN/checkpoints/best.ckpt
    assert f"checkpoint: {home / best}" in cli("validate", "-c", str(config)).out


def test_a_run_is_noted_under_an_offset_that_no_time_zone_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    run = Run.create(tmp_path, "default")
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "<-99>99")
        time.tzset()
        run.note(status="running")
    time.tzset()
    assert abs(run.active() - time.time()) < 100


def test_a_full_disk_is_said_and_not_a_position_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object) -> None:
        raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 64 vs 0")

    monkeypatch.setattr(torch, "save", full)
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=0))
    with pytest.raises(UserError, match=r"a.ckpt can't be written \(No space left on device\): the checkpoint before"):
        AtomicCheckpointIO().save_checkpoint({}, tmp_path / "a.ckpt")
    assert not [*tmp_path.iterdir()]


def test_no_changed_byte_of_a_record_is_believed(tmp_path: Path):
    run = Run(tmp_path)
    figures = {"val/loss": 0.3125, "val/accuracy": 0.9}
    run.note(status="finished", figures=figures, best=figures)
    expected, path = run.record(), tmp_path / "run.json"
    whole = path.read_bytes()
    assert expected["figures"] == figures
    for place in range(len(whole)):
        for bit in (1, 2, 16):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :])
            found = run.record()
            assert not found or {name: found[name] for name in expected} == expected
    path.write_bytes(whole.replace(b"0.9,", b"0.8,").replace(b"0.9\n", b"0.8\n"))
    assert run.record() == {}
