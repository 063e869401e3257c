"""Callbacks keep the names under which configurations of users and of earlier runs know them."""

from __future__ import annotations

from pathlib import Path

import yaml

import litspike.callbacks
from tests.conftest import Cli, runs

FIRST = {
    "Calibration", "CheckUp", "Console", "FitProgress", "PictureFiles", "Pictures", "PredictionFile", "Receipt",
    "StepLog",
}  # fmt: skip
"""The names of the first version."""


def test_no_name_is_lost():
    assert set(litspike.callbacks.__all__) >= FIRST
    assert all(isinstance(getattr(litspike.callbacks, name), type) for name in litspike.callbacks.__all__)


def test_a_run_whose_configuration_names_a_callback_is_tested_and_goes_on(cli: Cli, home: Path):
    callback = {"class_path": "litspike.callbacks.StepLog", "init_args": {"every": 2}}
    (home / "mine.yaml").write_text(yaml.safe_dump({"trainer": {"callbacks": [callback]}}))
    assert cli(f"fit -c {home}/mine.yaml --trainer.max_epochs 1 --data.train_points 50 --pictures.every 0").status == 0
    (run,) = runs(home, "mine")
    assert yaml.safe_load((run / "config.yaml").read_text())["trainer"]["callbacks"] == [callback]
    assert cli(f"test --ckpt_path {run}").status == 0
    assert cli(f"fit --ckpt_path {run}/checkpoints/last.ckpt --trainer.max_epochs 2").status == 0
