"""Every logger of Lightning's, none, the default and several: what is asked for is written, or a line says why not."""

from __future__ import annotations

import csv
import importlib.util
import json
import shlex
from importlib import import_module
from pathlib import Path

import pytest
import yaml
from lightning.pytorch import loggers
from lightning_utilities.core.imports import RequirementCache
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.conftest import PROJECT, Cli, runs
from tests.docs.pages import blocks

QUICK = "--data.train_points 40 --data.val_points 10 --checkup.every 0 --trainer.max_epochs 2"
PLACE = "lightning.pytorch.loggers"

LOGGERS: dict[str, str | None] = {
    "CometLogger": "comet_ml",
    "CSVLogger": None,
    "MLFlowLogger": "mlflow",
    "TensorBoardLogger": None,
    "WandbLogger": "wandb",
}
"""Logger of Lightning's → the package that it needs beside those of litspike."""


def file(home: Path, logger: str) -> str:
    (home / "mine.yaml").write_text(f"trainer: {{logger: {logger}}}")
    return f"-c {home}/mine.yaml"


def entry(home: Path, name: str) -> str:
    place = f"{{save_dir: {home}/{name}, name: mine, version: one}}" if LOGGERS[name] is None else "{}"
    return f"{{class_path: {PLACE}.{name}, init_args: {place}}}"


def of_board(folder: Path) -> EventAccumulator:
    return EventAccumulator(str(folder)).Reload()


def of_csv(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open() as text:
        return list(csv.DictReader(text))


def check_board(folder: Path) -> None:
    """Everything that the default logger has is in another one of TensorBoard's."""
    read = of_board(folder)
    assert [event.step for event in read.Scalars("val/loss")] == [1, 2]
    assert [event.step for event in read.Scalars("test/loss")] == [2]
    assert {"decision boundary", "one sample", "anytime"} <= set(read.Tags()["images"])
    hparams = read.summary_metadata
    assert {"_hparams_/session_start_info", "_hparams_/session_end_info"} <= set(hparams)


def test_the_table_has_a_line_for_each_logger_of_lightnings():
    assert set(LOGGERS) == set(loggers.__all__) - {"Logger", "LitLogger"}


@pytest.mark.parametrize("typed", [f"{PLACE}.LitLogger", f"{{class_path: {PLACE}.LitLogger}}"])
def test_a_logger_that_is_none_of_the_trainers_is_named(cli: Cli, home: Path, typed: str):
    line = cli(f"fit {QUICK} {file(home, typed)}").error_line
    assert line == f"trainer.logger: {PLACE}.LitLogger is no Logger"  # the Trainer's type of one doesn't take it
    assert runs(home, "mine") == []


@pytest.mark.parametrize("name", LOGGERS)
def test_a_logger_of_lightnings_logs_fit_and_test_or_its_package_is_named(cli: Cli, home: Path, name: str):
    ran = cli(f"fit {QUICK} {file(home, entry(home, name))}")
    package = LOGGERS[name]
    if package is not None and importlib.util.find_spec(package) is None:
        line = ran.error_line
        assert "is not installed" in line or "not met" in line or "not found" in line
        assert package.replace("_", "-") in line.replace("_", "-")
        assert runs(home, "mine") == []
    elif package is None:
        assert ran.status == 0, ran.err
        assert cli("test").status == 0
        folder = home / name / "mine" / "one"
        if name == "CSVLogger":
            rows = of_csv(folder)
            assert [row["step"] for row in rows if row["val/loss"]] == ["1", "2"]
            assert [row["step"] for row in rows if row["test/loss"]] == ["2"]
            assert yaml.safe_load((folder / "hparams.yaml").read_text())["data.train_points"] == 40
        else:
            check_board(folder)


WANDB = """
import json
run = None
class Config:
    def update(self, settings, **_): write(settings=settings)
class Run:
    name, id, config = "one", "one", Config()
    def log(self, metrics): write(metrics=metrics)
    def define_metric(self, *_, **__): pass
def init(**settings):
    write(init=settings)
    return Run()
def write(**said):
    with open("wandb.jsonl", "a") as file:
        file.write(json.dumps(said) + chr(10))
"""
"""As much of wandb as Lightning's logger calls: what it is given goes into a file."""


def test_weights_and_biases_gets_metrics_and_settings_by_the_command_of_its_page(
    cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch
):
    package = home / "packages" / "wandb"
    (package / "sdk").mkdir(parents=True)
    (package / "__init__.py").write_text(WANDB)
    (package / "wandb_run.py").write_text("from wandb import Run")
    (package / "sdk" / "lib.py").write_text("class RunDisabled: pass")
    (package.parent / "wandb-0.31.0.dist-info").mkdir()
    (package.parent / "wandb-0.31.0.dist-info" / "METADATA").write_text("Name: wandb\nVersion: 0.31.0\n")
    monkeypatch.syspath_prepend(package.parent)
    logger = import_module("lightning.pytorch.loggers.wandb")
    monkeypatch.setattr(logger, "_WANDB_AVAILABLE", RequirementCache("wandb>=0.12.10"))
    monkeypatch.setenv("WANDB_MODE", "")  # the logger sets it
    monkeypatch.chdir(home)
    ((command, _),) = next(b for b in blocks(PROJECT / "docs" / "loggers.md") if "WandbLogger" in b.text).commands()
    assert cli(f"{' '.join(shlex.split(command)[1:])} {QUICK}").status == 0
    said = [json.loads(line) for line in Path("wandb.jsonl").read_text().splitlines()]
    (start,) = [one["init"] for one in said if "init" in one]
    assert start["project"] == "spikes"
    settings = {name: value for one in said for name, value in one.get("settings", {}).items()}
    assert settings["data.train_points"] == 40
    logged = [one["metrics"] for one in said if "metrics" in one]
    assert [one["trainer/global_step"] for one in logged if "val/loss" in one] == [1, 2]


@pytest.mark.parametrize("order", [["CSVLogger", "TensorBoardLogger"], ["TensorBoardLogger", "CSVLogger"]])
def test_of_several_loggers_each_gets_all_that_it_takes(cli: Cli, home: Path, order: list[str]):
    listed = f"[{', '.join(entry(home, name) for name in order)}]"
    assert cli(f"fit {QUICK} {file(home, listed)}").status == 0
    assert cli("test").status == 0
    check_board(home / "TensorBoardLogger" / "mine" / "one")
    rows = of_csv(home / "CSVLogger" / "mine" / "one")
    assert [row["step"] for row in rows if row["val/loss"]] == ["1", "2"]


@pytest.mark.parametrize("typed", ["", "--trainer.logger true", "--trainer.logger null"])
def test_the_default_is_tensorboard_in_the_runs_folder(cli: Cli, home: Path, typed: str):
    assert cli(f"fit {QUICK} {typed}").status == 0
    assert cli("test").status == 0
    check_board(runs(home)[0])


@pytest.mark.parametrize("typed", ["false", "[]"])
def test_without_a_logger_nothing_is_logged(cli: Cli, home: Path, typed: str):
    assert cli(f"fit {QUICK} --trainer.logger {typed}").status == 0
    assert cli("test").status == 0
    assert list(runs(home)[0].glob("*tfevents*")) == []


@pytest.mark.parametrize("typed", ["[true]", "7", "Nothing", f"{PLACE}.NeptuneLogger", "[CSVLogger, 3]"])
def test_what_is_no_logger_is_refused_in_a_line(cli: Cli, home: Path, typed: str):
    assert cli(f"fit {QUICK}", "--trainer.logger", typed).error_line.startswith("trainer.logger: ")
    assert runs(home) == []
