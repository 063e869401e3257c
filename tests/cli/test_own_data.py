"""A table of one's own, from the command line: fitted, tested, and new rows of it answered."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.conftest import Cli, runs

QUICK = "--pictures.every 0 --trainer.max_epochs"


def table(path: Path, rows: int, labelled: bool = True) -> Path:
    """Two measurements of animals, one of ten rare; a cell in nine is empty."""
    draw = np.random.default_rng(0)
    with path.open("w", newline="") as file:
        write = csv.writer(file)
        write.writerow(["id", "weight", "height", *(["kind"] if labelled else [])])
        for index in range(rows):
            rare = index % 10 == 0
            values = draw.normal(size=2) + 3 * rare
            weight = "" if index % 9 == 4 else f"{values[0]:.3f}"
            write.writerow(
                [f"n{index}", weight, f"{values[1]:.3f}", *(["wolf" if rare else "dog"] if labelled else [])]
            )
    return path


def test_names_gaps_and_a_rare_class_go_through_fit_test_and_predict(cli: Cli, home: Path):
    (home / "own.yaml").write_text(f"""
model:
  init_args:
    encoder: {{class_path: litspike.coding.PoissonRate, init_args: {{steps: 8}}}}
    loss: {{class_path: litspike.tasks.BinaryCrossEntropy, init_args: {{class_weights: balanced}}}}
    network: {{class_path: litspike.networks.Perceptron, init_args: {{sizes: [2, 16, 1]}}}}
data:
  class_path: litspike.data.Arrays
  init_args:
    {{path: {table(home / "own.csv", 400)}, label: kind, ignore: [id], missing: median, scaling: unit}}
""")
    fitted = cli(f"fit -c {home}/own.yaml {QUICK} 3")
    assert (fitted.status, fitted.err) == (0, "")
    (run,) = runs(home, "own")
    weights = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)["class_weights"]
    torch.testing.assert_close(weights, torch.tensor([290 / (2 * 261), 290 / (2 * 29)]), rtol=0.05, atol=0)
    assert cli(f"test -c {home}/own.yaml").status == 0
    dog, wolf = json.loads((run / "receipt.json").read_text())["classes"]
    assert (dog["class"], wolf["class"]) == ("dog", "wolf")
    assert (dog["samples"], wolf["samples"]) == (54, 6)
    text = (run / "receipt.md").read_text()
    assert "Who always answers dog has an accuracy of 0.9000" in text
    assert f"the mean of the recalls of all classes: {(dog['recall'] + wolf['recall']) / 2:.4f}" in text

    new = table(home / "new.csv", 25, labelled=False)
    assert cli(f"predict -c {home}/own.yaml --data.test_path {new}").status == 0
    rows = list(csv.DictReader((run / "predictions.csv").open()))
    assert [*rows[0]] == ["id", "weight", "height", "probability_wolf", "class"]
    given = list(csv.DictReader(new.open()))
    assert [{name: row[name] for name in given[0]} for row in rows] == given
    assert all(row["class"] == ("wolf" if float(row["probability_wolf"]) > 0.5 else "dog") for row in rows)


def test_a_column_that_is_called_as_an_answer_keeps_its_name(cli: Cli, home: Path):
    lines = [f"{i % 7},{i % 5},{i % 2}" for i in range(60)]
    (home / "own.csv").write_text("\n".join(["probability,b,class", *lines]))
    arrays = f"--data litspike.data.Arrays --data.path {home}/own.csv --data.label class"
    assert cli(f"fit {arrays} {QUICK} 1").status == 0
    assert cli("predict").status == 0
    rows = list(csv.DictReader((runs(home)[0] / "predictions.csv").open()))
    assert [*rows[0]] == ["probability", "b", "class", "predicted_probability", "predicted_class"]


@pytest.mark.slow
def test_several_labels_are_learned_tested_and_predicted(cli: Cli, home: Path):
    lines = [f"{a},{b},{int(a > 0)},{int(a <= 0)}" for a, b in np.random.default_rng(0).normal(size=(120, 2)).round(3)]
    (home / "own.csv").write_text("\n".join(["a,b,u,v", *lines]))
    (home / "own.yaml").write_text(f"""
model:
  init_args:
    loss: litspike.tasks.MultiLabelCrossEntropy
    network: {{class_path: litspike.networks.Perceptron, init_args: {{sizes: [2, 16, 2]}}}}
    metrics: {{f1: {{class_path: torchmetrics.F1Score, init_args: {{task: multilabel, num_labels: 2}}}}}}
data:
  class_path: litspike.data.Arrays
  init_args: {{path: {home}/own.csv, task: multilabel, label: [u, v]}}
""")
    fitted = cli(f"fit -c {home}/own.yaml {QUICK} 2 --pictures.every 1")
    assert (fitted.status, fitted.err) == (0, "")
    tested = cli(f"test -c {home}/own.yaml")
    assert (tested.status, tested.err) == (0, "")
    receipt = json.loads((runs(home, "own")[0] / "receipt.json").read_text())
    assert [label["class"] for label in receipt["classes"]] == ["u", "v"]
    assert "Who always answers" not in (runs(home, "own")[0] / "receipt.md").read_text()  # one answer is no row of them
    assert cli(f"predict -c {home}/own.yaml").status == 0
    rows = list(csv.DictReader((runs(home, "own")[0] / "predictions.csv").open()))
    assert [*rows[0]] == ["a", "b", "u", "v", "probability_u", "probability_v", "class_u", "class_v"]
