"""Sequences of different lengths, from the command line: fitted, tested with every part of the receipt, predicted."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch

import litspike
from tests.conftest import Cli, runs

QUICK = "--trainer.max_epochs 2"


def save(path: Path, regression: bool = False) -> Path:
    draw = np.random.default_rng(0)
    lengths = draw.integers(5, 12, 80)
    x = np.zeros((80, 12, 3))
    for row, length in zip(x, lengths, strict=True):
        row[:length] = draw.normal(size=(length, 3))
    y = 1000 + 3 * x.cumsum(1)[..., :1] if regression else (x.sum((1, 2)) > 0).astype(int)
    np.savez(path, x=x, y=y, lengths=lengths)
    return path


def test_the_receipt_counts_the_steps_inside_and_leaves_nothing_out(cli: Cli, home: Path):
    data = f"--data litspike.data.Arrays --data.path {save(home / 'a.npz')} --model.encoder litspike.coding.TimeFirst"
    fitted = cli(f"fit {data} --model.network.sizes [3,8,1] {QUICK} --pictures.every 2")
    assert (fitted.status, fitted.err) == (0, "")
    tested = cli("test")
    assert (tested.status, tested.err) == (0, "")
    (run,) = runs(home)
    content = json.loads((run / "receipt.json").read_text())
    assert content["left_out"] == {}
    lengths = np.load(home / "a.npz")["lengths"]
    dense = content["operations"]["dense"] / (3 * 8 + 8)  # steps of a sequence, on the average
    assert lengths.min() < dense < lengths.max() < 12
    assert content["anytime"]["values"][-1] == pytest.approx(content["figures"]["accuracy"]["value"])
    assert content["figures"]["loss"]["interval"][0] < content["figures"]["loss"]["value"]
    assert cli("predict").status == 0
    assert len(list(csv.DictReader((run / "predictions.csv").open()))) == 12


def test_a_target_at_every_step_is_learned_in_its_own_unit(cli: Cli, home: Path):
    (home / "steps.yaml").write_text(f"""
model:
  class_path: litspike.tasks.Regression
  init_args:
    loss: litspike.tasks.MeanSquaredError
    encoder: litspike.coding.TimeFirst
    readout: litspike.coding.EveryStep
    network: {{class_path: litspike.networks.Perceptron, init_args: {{sizes: [3, 8, 1]}}}}
    metrics: {{r2: torchmetrics.R2Score}}
data: {{class_path: litspike.data.Arrays, init_args: {{path: {save(home / "a.npz", True)}, task: regression}}}}
""")
    fitted = cli(f"fit -c {home}/steps.yaml {QUICK} --pictures.every 0")
    assert (fitted.status, fitted.err) == (0, "")
    assert cli(f"test -c {home}/steps.yaml").status == 0
    shown = json.loads((runs(home, "steps")[0] / "receipt.json").read_text())["figures"]
    assert shown["mae"]["value"] < 100  # of targets around 1000: what is after the ends is not measured
    assert {"interval"} <= shown["mae"].keys() & shown["rmse"].keys() & shown["loss"].keys() & shown["r2"].keys()


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("--model.encoder litspike.coding.ConstantCurrent", "ConstantCurrent doesn't keep their steps: take litspike"),
        (
            "--model.network tests.cli.test_sequences_of_many_lengths.Normed",
            "1 (BatchNorm1d) would mix in what comes after their ends",
        ),
        (
            "--model.readout tests.cli.test_sequences_of_many_lengths.Sum",
            "model.readout: the sequences have different lengths, and Sum ",
        ),
    ],
)
def test_what_would_count_the_steps_after_an_end_is_refused(cli: Cli, home: Path, setting: str, said: str):
    data = f"--data litspike.data.Arrays --data.path {save(home / 'a.npz')} --model.encoder litspike.coding.TimeFirst"
    result = cli(f"fit {data} --model.network.sizes [3,8,1] {QUICK} {setting}")
    assert said in result.error_line


class Sum(torch.nn.Module):
    def forward(self, outputs: torch.Tensor) -> torch.Tensor:
        return outputs.sum(0)


class Normed(litspike.Perceptron):
    def __init__(self, sizes: list[int]) -> None:
        super().__init__(sizes, litspike.LIF())
        self.layers.insert(1, torch.nn.BatchNorm1d(8))
