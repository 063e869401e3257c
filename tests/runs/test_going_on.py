"""Going on with what counts for itself: schedules that follow a metric, early stopping, checkpoints of one's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Cli, runs
from tests.runs.test_inside_epochs import last, same, scalars

QUICK = "--data.train_points 40 --data.val_points 10 --pictures.every 0 --checkup.every 0"
PLATEAU = (
    "--model.scheduler lightning.pytorch.cli.ReduceLROnPlateau --model.scheduler.monitor val/loss "
    "--model.scheduler.patience 0 --model.scheduler.threshold 0.9"
)
STOPPING = "--trainer.callbacks EarlyStopping --trainer.callbacks.monitor val/loss --trainer.callbacks.min_delta 10"


@pytest.mark.parametrize("frequency", ["", " --model.scheduler_frequency 2"])
@pytest.mark.parametrize("between", [2, 3])
def test_a_fit_goes_on_with_what_the_last_epoch_said_to_a_schedule(cli: Cli, home: Path, between: int, frequency: str):
    fit = f"fit {QUICK} {PLATEAU}{frequency} --trainer.max_epochs"
    assert cli(f"{fit} 5 --logs {home / 'once'}").status == 0
    assert cli(f"{fit} {between}").status == 0
    assert cli("fit --ckpt_path last --trainer.max_epochs 5").status == 0

    (run,), (once,) = runs(home), (home / "once/default").glob("*")
    rates = [rate for _, rate in scalars(run, "learning_rate")]
    assert len(set(rates)) > 1
    assert rates == [rate for _, rate in scalars(once, "learning_rate")]
    assert same(last(run), last(once))


def test_another_patience_holds_for_what_follows(cli: Cli, home: Path):
    assert cli(f"fit {QUICK} {STOPPING} --trainer.callbacks.patience 1 --trainer.max_epochs 9").status == 0
    (run,) = runs(home)
    assert last(run)["epoch"] == 1

    more = f"{STOPPING} --trainer.callbacks.patience 4"
    assert cli(f"fit --ckpt_path last --trainer.max_epochs 9 {more}").status == 0
    assert last(run)["epoch"] == 4


def test_a_run_with_checkpoints_of_ones_own_is_tested_and_predicted(cli: Cli, home: Path):
    own = "--trainer.callbacks ModelCheckpoint --trainer.callbacks.monitor val/loss --trainer.callbacks.save_top_k 2"
    assert cli(f"fit {QUICK} {own} --trainer.max_epochs 2").status == 0
    before = sorted(home.rglob("*.ckpt"))
    for command in ("validate", "test", "predict"):
        assert cli(command).err == ""
    assert sorted(home.rglob("*.ckpt")) == before


@pytest.mark.parametrize("given", ["", " "])
@pytest.mark.parametrize("command", ["fit", "test"])
def test_an_empty_name_of_a_checkpoint_is_none(cli: Cli, home: Path, command: str, given: str):
    assert "ckpt_path: it is empty" in cli(f"{command} {QUICK}", "--ckpt_path", given).error_line
    assert runs(home) == []


def test_an_experiment_named_by_its_folder_or_name_is_its_newest_run(cli: Cli, home: Path):
    for _ in range(2):
        assert cli(f"fit {QUICK} --trainer.max_epochs 1").status == 0
    newest = runs(home)[-1]
    for command in (f"test --ckpt_path {home}/logs/default", "test --ckpt_path default"):
        assert f"checkpoint: {newest}/checkpoints/best.ckpt" in cli(command).out
    assert cli(f"fit --ckpt_path {home}/logs/default --trainer.max_epochs 3").status == 0
    assert runs(home)[-1] == newest
    assert last(newest)["epoch"] == 2
