"""Every argument of Lightning's Trainer, and every callback of its own: it works, or a line says why not."""

from __future__ import annotations

import csv
import importlib.util
import inspect
import logging
from itertools import pairwise
from pathlib import Path

import pytest
from lightning import Trainer
from lightning.pytorch import callbacks as of_lightning

from litspike.cli.check.trainer import REFUSED_CALLBACKS
from tests.conftest import Cli, runs
from tests.runs.test_inside_epochs import last, scalars

QUICK = "--data.train_points 40 --data.val_points 10 --pictures.every 0 --checkup.every 0 --trainer.max_epochs 2"

ARGUMENTS: dict[str, str | None] = {
    "accelerator": None,
    "strategy": None,
    "devices": None,
    "num_nodes": "0",
    "precision": "16-true",
    "logger": None,
    "callbacks": None,
    "fast_dev_run": None,
    "max_epochs": "0",
    "min_epochs": "-1",
    "max_steps": "0",
    "min_steps": "-1",
    "max_time": None,
    "limit_train_batches": "0",
    "limit_val_batches": "-1",
    "limit_test_batches": "-1",
    "limit_predict_batches": "-1",
    "overfit_batches": "-1",
    "val_check_interval": "-1",
    "check_val_every_n_epoch": "0",
    "num_sanity_val_steps": "-2",
    "log_every_n_steps": "0",
    "enable_checkpointing": None,
    "enable_progress_bar": None,
    "enable_model_summary": None,
    "accumulate_grad_batches": "0",
    "gradient_clip_val": "-1.0",
    "gradient_clip_algorithm": "cube",
    "deterministic": None,
    "benchmark": None,
    "inference_mode": None,
    "use_distributed_sampler": None,
    "profiler": "sundial",
    "detect_anomaly": None,
    "barebones": "true",
    "plugins": None,
    "sync_batchnorm": None,
    "reload_dataloaders_every_n_epochs": "-1",
    "default_root_dir": "elsewhere",
    "enable_autolog_hparams": None,
    "model_registry": "somewhere",
}
"""Argument of the Trainer → a value that is refused in a line before anything runs; None: any that its type allows."""

WORKING = [
    "--trainer.gradient_clip_val 0.1 --trainer.gradient_clip_algorithm value --trainer.num_sanity_val_steps -1 "
    "--trainer.min_epochs 1 --trainer.min_steps 3 --trainer.max_time 00:01:00:00 --trainer.deterministic true",
    "--trainer.benchmark true --trainer.inference_mode false --trainer.use_distributed_sampler false "
    "--trainer.detect_anomaly true --trainer.sync_batchnorm true --trainer.reload_dataloaders_every_n_epochs 1",
    "--trainer.enable_autolog_hparams false --trainer.precision 64-true --trainer.logger false",
    "--trainer.check_val_every_n_epoch 2 --trainer.precision bf16-mixed --trainer.limit_train_batches 0.5",
    "--trainer.accumulate_grad_batches 3 --trainer.limit_val_batches 1 --trainer.num_sanity_val_steps 2",
]

CALLBACKS: dict[str, str | None] = {
    "BackboneFinetuning": None,
    "BatchSizeFinder": None,
    "LearningRateFinder": None,
    "ModelPruning": "{pruning_fn: l1_unstructured}",
    "StochasticWeightAveraging": "{swa_lrs: 0.1}",
    "DeviceStatsMonitor": None,
    "EarlyStopping": "{monitor: val/loss}",
    "EMAWeightAveraging": None,
    "GradientAccumulationScheduler": "{scheduling: {1: 2}}",
    "LambdaCallback": None,
    "LearningRateMonitor": None,
    "ModelCheckpoint": "{dirpath: HOME/kept}",
    "ModelSummary": None,
    "OnExceptionCheckpoint": "{dirpath: HOME/kept}",
    "RichModelSummary": None,
    "RichProgressBar": None,
    "Timer": "{duration: '00:01:00:00'}",
    "TQDMProgressBar": None,
    "WeightAveraging": None,
}
"""Callback of Lightning's that a configuration can name → its settings."""

NOT_NAMED = {
    "BaseFinetuning", "BasePredictionWriter", "Callback", "Checkpoint", "ProgressBar",
    "SpikeDetection", "ThroughputMonitor",
}  # fmt: skip
"""Bases without an effect of their own, and two that need a function or a step of the user's own code."""


def test_the_tables_have_a_line_for_all_that_lightning_offers():
    assert set(ARGUMENTS) == set(inspect.signature(Trainer.__init__).parameters) - {"self"}
    assert set(CALLBACKS) | NOT_NAMED == set(of_lightning.__all__)


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, value in ARGUMENTS.items() if value])
def test_a_value_without_sense_is_refused_in_a_line_that_names_it(cli: Cli, home: Path, name: str, value: str):
    assert name in cli(f"fit {QUICK} --trainer.{name} {value}").error_line
    assert runs(home) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("gradient_clip_val", value) for value in ("-1", ".nan", ".inf", "-.inf", "0")),
        *(
            (name, value)
            for name in ("max_time", "val_check_interval")
            for value in ("'-00:00:00:05'", "{seconds: -3}")
        ),
        ("max_time", "00:00:00:00"),
        ("min_epochs", "3 --trainer.max_epochs 2"),
        ("min_steps", "3 --trainer.max_steps 2"),
        ("val_check_interval", "50"),  # more than the batches of an epoch
        ("val_check_interval", "1.0e+30"),
    ],
)
def test_a_number_or_time_without_sense_is_refused_in_a_line(cli: Cli, home: Path, name: str, value: str):
    (home / "mine.yaml").write_text(f"trainer: {{{name}: {value}}}")
    assert cli(f"fit {QUICK} -c {home}/mine.yaml").error_line.startswith(f"trainer.{name}: ")
    assert runs(home, "mine") == []


@pytest.mark.parametrize("typed", WORKING)
def test_a_switch_of_the_trainers_works(cli: Cli, home: Path, typed: str):
    ran = cli(f"fit {QUICK} {typed}")
    assert ran.status == 0, ran.err
    assert last(runs(home)[0])["global_step"] > 0


@pytest.mark.parametrize("name", CALLBACKS)
def test_a_callback_of_lightnings_works_or_is_refused_before_training(cli: Cli, home: Path, name: str):
    entry = f"{{class_path: lightning.pytorch.callbacks.{name}, init_args: {CALLBACKS[name] or '{}'}}}"
    (home / "mine.yaml").write_text(f"trainer: {{callbacks: [{entry.replace('HOME', str(home))}]}}")
    ran = cli(f"fit {QUICK} -c {home}/mine.yaml")
    if getattr(of_lightning, name) in REFUSED_CALLBACKS:
        assert ran.error_line.startswith(f"trainer.callbacks: {name} ")
        assert runs(home, "mine") == []
    elif name == "DeviceStatsMonitor" and importlib.util.find_spec("psutil") is None:
        assert "psutil is not installed" in ran.error_line
    else:
        assert ran.status == 0, ran.err
        assert last(runs(home, "mine")[0])["global_step"] > 0


def test_overfitting_takes_the_same_batches_in_every_epoch(cli: Cli, home: Path):
    cli(f"fit {QUICK} --trainer.overfit_batches 1 --trainer.limit_val_batches 0 --trainer.max_epochs 6")
    losses = [value for _, value in scalars(runs(home)[0], "train/loss")]
    assert all(later < earlier for earlier, later in pairwise(losses))


def test_one_batch_is_one_and_not_all_of_them(cli: Cli, home: Path):
    cli(f"fit {QUICK} --trainer.limit_train_batches 1")
    assert last(runs(home)[0])["global_step"] == 2
    cli(f"fit {QUICK} --trainer.limit_train_batches 1.0")
    assert last(runs(home)[1])["global_step"] == 8


def test_the_loss_is_logged_inside_epochs_where_that_is_asked_for(cli: Cli, home: Path):
    cli(f"fit {QUICK} --trainer.log_every_n_steps 3")
    (run,) = runs(home)
    assert [step for step, _ in scalars(run, "train step/loss")] == [3, 6]
    assert [step for step, _ in scalars(run, "val/loss")] == [4, 8]


def test_a_profile_is_written_into_the_runs_folder(cli: Cli, home: Path):
    cli(f"fit {QUICK} --trainer.profiler simple")
    assert "run_training_epoch" in (runs(home)[0] / "fit-profile.txt").read_text()


def test_a_summary_of_the_model_is_shown_where_it_is_asked_for(cli: Cli):
    shown: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: shown.append(record.getMessage())  # type: ignore[method-assign]
    log = logging.getLogger("lightning.pytorch.callbacks.model_summary")
    log.addHandler(handler)
    try:
        ran = cli(f"fit {QUICK} --trainer.enable_model_summary true")
    finally:
        log.removeHandler(handler)
    assert "Trainable params" in ran.out + "".join(shown)


def test_a_fit_without_checkpoints_has_none(cli: Cli, home: Path):
    assert cli(f"fit {QUICK} --trainer.enable_checkpointing false").status == 0
    assert list((runs(home)[0] / "checkpoints").glob("*")) == []


@pytest.mark.parametrize("points", [24, 23, 18])
def test_accumulated_batches_count_by_their_samples_to_the_end_of_an_epoch(cli: Cli, home: Path, points: int):
    sgd = "--model.optimizer torch.optim.SGD --model.optimizer.lr 1.0 --trainer.max_epochs 1"
    cli(f"fit {QUICK} {sgd} --data.train_points {points} --data.batch_size 16")
    cli(f"fit {QUICK} {sgd} --data.train_points {points} --data.batch_size 4 --trainer.accumulate_grad_batches 4")
    whole, parts = (last(run)["state_dict"] for run in runs(home))
    for name, value in whole.items():
        assert value == pytest.approx(parts[name], abs=1e-5)


def test_the_rows_of_a_csv_are_kept_by_a_fit_that_goes_on_and_by_a_test(cli: Cli, home: Path):
    logger = "lightning.pytorch.loggers.CSVLogger"
    given = f"--trainer.logger {logger} --trainer.logger.save_dir {home}/csv --trainer.logger.name {home.name}"
    cli(f"fit {QUICK} {given} --trainer.logger.version one")
    cli("fit --ckpt_path last --trainer.max_epochs 4")
    cli("test")
    with (home / "csv" / home.name / "one" / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows if row["train/loss"]] == ["1", "2", "3", "4"]
    assert any(row["test/loss"] for row in rows)


@pytest.mark.parametrize("precision", ["bf16-true", "bf16-mixed"])
def test_metrics_are_added_up_in_full_in_half_precision_too(cli: Cli, home: Path, precision: str):
    cli(f"fit {QUICK} --trainer.precision {precision} --data.train_points 1000 --trainer.max_epochs 1")
    (accuracy,) = [value for _, value in scalars(runs(home)[0], "train/accuracy")]
    assert accuracy * 1000 == pytest.approx(round(accuracy * 1000), abs=1e-3)


def files(home: Path) -> list[Path]:
    return sorted(home.rglob("*"))


@pytest.mark.parametrize("batches", ["true", "3"])
def test_a_trial_leaves_nothing_and_says_so(cli: Cli, home: Path, batches: str):
    assert cli(f"fit {QUICK}").status == 0
    before = files(home)
    ran = cli(f"fit {QUICK} --trainer.fast_dev_run {batches}")
    assert ran.status == 0, ran.err
    number = "1 batch" if batches == "true" else "3 batches"
    assert ran.out.startswith(f"trainer.fast_dev_run: a trial of {number} of training and of validation, ")
    assert not [line for line in ran.out.splitlines() if line.startswith("run: ")]
    assert files(home) == before
    assert cli("test").status == 0


@pytest.mark.parametrize("command", ["fit --ckpt_path last", "validate", "test", "predict", "picture"])
def test_a_trial_writes_over_nothing(cli: Cli, home: Path, command: str):
    assert cli(f"fit {QUICK}").status == 0
    before = files(home)
    assert cli(f"{command} --trainer.fast_dev_run true").error_line.startswith("trainer.fast_dev_run: True tries a ")
    assert files(home) == before


def test_a_trial_says_what_is_wrong_with_the_settings(cli: Cli, home: Path):
    trial = f"fit {QUICK} --trainer.fast_dev_run true"
    assert "layers.0" in cli(f"{trial} --model.network.sizes [3,1]").error_line
    assert cli(f"{trial} --trainer.profiler simple").error_line.startswith("trainer.profiler: a trial ")
    assert runs(home) == []
