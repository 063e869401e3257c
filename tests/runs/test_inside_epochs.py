"""What happens inside an epoch: several validations, checkpoints by step, ends in the middle, and going on there."""

from __future__ import annotations

import json
import re
import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from litspike.settings import LitspikeWarning
from tests.conftest import Cli, runs

QUICK = "--data.train_points 95 --data.val_points 50 --pictures.every 0"
"""Ten batches an epoch, the last of them half as large."""


def checkpoint(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = torch.load(path, weights_only=True)
    return content


def last(run: Path) -> dict[str, Any]:
    return checkpoint(run / "checkpoints" / "last.ckpt")


def scalars(run: Path, tag: str) -> list[tuple[int, float]]:
    read = EventAccumulator(str(run)).Reload()
    # of two files of one second it reads NAME.10 before NAME.9
    return sorted(((event.step, event.value) for event in read.Scalars(tag)), key=lambda pair: pair[0])


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Weights, optimizer, schedules and the newest metrics of two checkpoints, to the last bit."""
    parts = ("state_dict", "optimizer_states", "lr_schedulers", "litspike/resume")
    return all(equal(one[part], other[part]) for part in parts)


def equal(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(equal, one, other))
    return bool(one == other)


def file(home: Path, text: str) -> str:
    """A configuration file of the user's, as its option."""
    (home / "mine.yaml").write_text(text)
    return f"-c {home}/mine.yaml"


def test_every_validation_of_an_epoch_has_its_own_place_and_line(cli: Cli, home: Path):
    out = cli(f"fit {QUICK} --trainer.max_epochs 2 --trainer.val_check_interval 0.3").out
    (run,) = runs(home)
    losses = scalars(run, "val/loss")
    assert [step for step, _ in losses] == [3, 6, 9, 13, 16, 19]
    assert [step for step, _ in scalars(run, "train/loss")] == [10, 20]
    assert [value for _, value in scalars(run, "epoch")][:4] == [1, 1, 1, 1]
    assert re.findall(r"step \d+  val loss (\S+)", out) == [f"{value:.4f}" for _, value in losses]


@pytest.mark.parametrize("interval", ["0.3", "7 --trainer.check_val_every_n_epoch null"])
def test_the_best_checkpoint_is_the_one_that_was_measured(cli: Cli, home: Path, interval: str):
    cli(f"fit {QUICK} --trainer.max_epochs 3 --model.optimizer.lr 0.3 --trainer.val_check_interval {interval}")
    (run,) = runs(home)
    losses = dict(scalars(run, "val/loss"))
    best = checkpoint(run / "checkpoints" / "best.ckpt")
    assert best["global_step"] == min(losses, key=losses.__getitem__)
    validated = re.search(r"loss\D+(\d\.\d{4})", cli("validate").out)
    assert validated is not None
    assert float(validated[1]) == pytest.approx(min(losses.values()), abs=1e-4)


def test_checkpoints_of_the_users_own_are_named_by_the_optimizers_steps(cli: Cli, home: Path):
    own = f"{{every_n_train_steps: 3, save_top_k: -1, dirpath: {home}/kept}}"
    callback = f"{{class_path: lightning.pytorch.callbacks.ModelCheckpoint, init_args: {own}}}"
    cli(f"fit {QUICK} {file(home, f'trainer: {{callbacks: [{callback}]}}')} --trainer.max_epochs 3")
    kept = sorted((home / "kept").glob("*.ckpt"))
    assert len(kept) == 10
    for path in kept:
        assert path.stem == f"epoch={checkpoint(path)['epoch']}-step={checkpoint(path)['global_step']}"


@pytest.mark.parametrize(
    ("settings", "stop"),
    [
        ("--trainer.val_check_interval 3", 9),
        ("--trainer.accumulate_grad_batches 3 --trainer.limit_train_batches 7", 13),
        ("--model.network.dropout 0.4", 13),
    ],
)
def test_a_fit_that_max_steps_ended_goes_on_to_what_it_would_have_reached(
    cli: Cli, home: Path, settings: str, stop: int
):
    chosen = f"{QUICK} {settings} --trainer.max_epochs 9"
    cli(f"fit {chosen} --trainer.max_steps {stop}")
    assert cli("fit --ckpt_path last --trainer.max_steps 25").status == 0
    cli(f"fit {chosen} --trainer.max_steps 25")
    pieces, whole = runs(home)
    assert last(pieces)["global_step"] == 25
    assert same(last(pieces), last(whole))


@pytest.mark.slow
def test_a_fit_goes_on_from_every_checkpoint_that_was_written_inside_epochs(cli: Cli, home: Path):
    own = f"{{every_n_train_steps: 1, save_top_k: -1, dirpath: {home}/kept}}"
    callback = f"{{class_path: lightning.pytorch.callbacks.ModelCheckpoint, init_args: {own}}}"
    chosen = file(home, f"trainer: {{callbacks: [{callback}], accumulate_grad_batches: 3}}")
    cli(f"fit {QUICK} {chosen} --trainer.max_epochs 3")
    (run,) = runs(home, "mine")
    whole = last(run)
    kept = sorted((home / "kept").glob("*.ckpt"))
    assert len(kept) == 12
    for path in (kept[0], *(path for path in kept[:-1] if "step=4" in path.stem or "step=10" in path.stem)):
        logs = f"--logs {home}/again-{path.stem}"
        assert cli(f"fit --ckpt_path {path} {logs}").status == 0
        (run,) = (home / f"again-{path.stem}").glob("*/*")
        assert same(last(run), whole), path


@pytest.mark.slow
def test_a_fit_goes_on_after_max_time_for_as_long_again(cli: Cli, home: Path):
    chosen = f"{QUICK} --trainer.max_epochs 100000"
    cli(f"fit {chosen} --trainer.max_time 00:00:00:01")
    (run,) = runs(home)
    first = last(run)["global_step"]
    cli("fit --ckpt_path last")
    second = last(run)["global_step"]
    assert 0 < first < second
    cli(f"fit --ckpt_path last --trainer.max_time null --trainer.max_steps {second + 13}")
    cli(f"fit {chosen} --trainer.max_steps {second + 13}")
    pieces, whole = runs(home)
    assert same(last(pieces), last(whole))


def test_a_fit_that_has_done_its_steps_says_so(cli: Cli):
    cli(f"fit {QUICK} --trainer.max_steps 15")
    assert "has done its 15 steps: raise it to go on" in cli("fit --ckpt_path last").error_line


def test_weights_alone_are_nothing_to_go_on_from(cli: Cli, home: Path):
    own = f"{{save_weights_only: true, dirpath: {home}/kept, filename: weights}}"
    callback = f"{{class_path: lightning.pytorch.callbacks.ModelCheckpoint, init_args: {own}}}"
    cli(f"fit {QUICK} {file(home, f'trainer: {{callbacks: [{callback}]}}')} --trainer.max_epochs 1")
    line = cli(f"fit --ckpt_path {home}/kept/weights.ckpt").error_line
    assert "holds weights alone, without optimizer_states, lr_schedulers" in line


def test_a_run_that_goes_on_keeps_what_the_axis_of_its_curves_counts(cli: Cli, home: Path):
    cli(f"fit {QUICK} --trainer.max_epochs 2")
    ran = cli("fit --ckpt_path last --trainer.max_epochs 4 --trainer.val_check_interval 0.5")
    assert "the curves of this run count epochs, and go on so" in ran.out
    cli("test")
    (run,) = runs(home)
    assert [step for step, _ in scalars(run, "train/loss")] == [1, 2, 3, 4]
    assert [step for step, _ in scalars(run, "val/loss")] == [1, 2, 3, 3, 4, 4]
    best = checkpoint(run / "checkpoints" / "best.ckpt")
    assert [step for step, _ in scalars(run, "test/loss")] == [best["epoch"] + 1]


def test_a_run_by_steps_goes_on_by_steps(cli: Cli, home: Path):
    cli(f"fit {QUICK} --trainer.max_epochs 2 --trainer.val_check_interval 0.5")
    assert "count" not in cli("fit --ckpt_path last --trainer.max_epochs 4 --trainer.val_check_interval 1.0").out
    (run,) = runs(home)
    assert [step for step, _ in scalars(run, "train/loss")] == [10, 20, 30, 40]
    assert [step for step, _ in scalars(run, "val/loss")] == [5, 10, 15, 20, 30, 40]


def test_a_run_that_begins_from_a_checkpoint_elsewhere_has_the_axis_of_its_settings(cli: Cli, home: Path):
    cli(f"fit {QUICK} --trainer.max_epochs 1")
    (before,) = runs(home)
    shutil.copy(before / "checkpoints" / "last.ckpt", home / "copy.ckpt")
    cli(f"fit --ckpt_path {home}/copy.ckpt --trainer.max_epochs 2 --trainer.val_check_interval 0.5")
    _, run = runs(home)
    assert [step for step, _ in scalars(run, "val/loss")] == [15, 20]


def test_another_number_of_batches_in_the_epoch_that_is_gone_on_with_is_said(cli: Cli, home: Path):
    assert cli(f"fit {QUICK} --trainer.max_steps 3").status == 0
    on = "fit --ckpt_path last --trainer.max_steps"
    with warnings.catch_warnings():
        warnings.simplefilter("error", LitspikeWarning)
        assert cli(f"{on} 5").status == 0
    with pytest.warns(LitspikeWarning, match="data: an epoch has 19 batches and had 10: the rest of this one is not"):
        cli(f"{on} 7 --data.batch_size 5")


def test_a_checkpoint_has_the_metrics_of_a_validation_of_its_own_weights_alone(cli: Cli, home: Path):
    best = "--checkpoint.monitor train/loss --trainer.max_epochs 5 --trainer.check_val_every_n_epoch 2"
    steps = "--trainer.callbacks+ ModelCheckpoint --trainer.callbacks.every_n_train_steps 8"
    assert cli(f"fit {QUICK} {best} {steps} --trainer.callbacks.save_top_k -1").status == 0
    (run,) = runs(home)
    found = {path.name: checkpoint(path) for path in (run / "checkpoints").iterdir()}
    assert len(found) == 8
    for name, content in found.items():  # those by step are written before a validation, and last.ckpt after none
        assert bool(content["litspike"]["figures"]) == (name == "best.ckpt" and content["global_step"] in (20, 40))
    noted = json.loads((run / "run.json").read_text()).get("best", {})
    assert noted == found["best.ckpt"]["litspike"]["figures"]
