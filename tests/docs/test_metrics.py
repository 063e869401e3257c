"""The page about metrics: its example runs as it is printed, and does what the page says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch

import litspike
from litspike.metrics import SampleMean
from tests.conftest import PROJECT, Cli, of_somebody_else, runs

PAGE = (PROJECT / "docs" / "metrics.md").read_text(encoding="utf-8")
QUICK = "--trainer.max_epochs 2 --data.train_points 300 --data.val_points 40 --data.test_points 400 --pictures.every 0"
NAMES = ("f1", "recall_0", "recall_1")


def test_the_example_is_logged_chosen_by_tested_and_loaded(cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch):
    (text,) = re.findall(r"```yaml mine.yaml\n(.*?)```", PAGE, re.DOTALL)
    (home / "mine.yaml").write_text(text)
    result = cli(f"fit -c {home}/mine.yaml {QUICK}")
    assert (result.status, result.err) == (0, "")
    for name in NAMES:
        assert re.search(rf"train .*{name} 0\.\d+ .*val .*{name} [01]\.\d+", result.out)
    (run,) = runs(home, "mine")
    best = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)
    stopping, kept = (
        next(state for name, state in best["callbacks"].items() if name.startswith(kind))
        for kind in ("EarlyStopping", "BestCheckpoint")
    )
    assert float(stopping["best_score"]) == float(kept["best_model_score"]) > 0
    assert cli(f"test -c {home}/mine.yaml").status == 0
    shown = json.loads((run / "receipt.json").read_text())["figures"]
    assert shown.keys() >= {*NAMES}
    low, high = shown["f1"]["interval"]
    assert 0 <= low < shown["f1"]["value"] < high <= 1
    assert shown["f1"]["of"] == "jackknife of 20 groups"
    monkeypatch.chdir(home)
    assert list(litspike.load(run).val_metrics.names) == ["f1", "recall"]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("metrics", "said"),
    [
        ("{f1: torch.nn.Linear}", "model.metrics: torch.nn.Linear is no Metric"),
        ("{loss: torchmetrics.MeanSquaredError}", "model.metrics: 'loss' is the name of a metric that the task has"),
        ("{roc: torchmetrics.classification.BinaryROC}", "model.metrics.roc: BinaryROC gives a tuple"),
        (
            "{f1: {class_path: torchmetrics.F1Score, init_args: {task: multiclass, num_classes: 3}}}",
            "model.metrics.f1: MulticlassF1Score can't take what this task gives",
        ),
        ("{f1: {class_path: torchmetrics.F1Score, init_args: {task: multiclass}}}", "model.metrics.f1: `num_classes`"),
    ],
)
def test_a_metric_that_is_none_or_does_not_suit_is_refused_before_training(cli: Cli, metrics: str, said: str):
    result = cli("fit --trainer.max_epochs 1", "--model.metrics", metrics)
    assert result.error_line.startswith(said)
    assert "epoch" not in result.out


def test_an_untrusted_checkpoints_metric_is_one_that_computes_alone(
    cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch
):
    of_somebody_else(monkeypatch)
    monkeypatch.chdir(home)
    harmless = "{f1: {class_path: torchmetrics.F1Score, init_args: {task: binary}}}"
    assert cli(f"fit {QUICK}", "--model.metrics", harmless).status == 0
    assert litspike.load(runs(home)[0]).val_metrics.names == ("f1",)  # type: ignore[union-attr]
    assert cli(f"fit {QUICK}", "--model.metrics", "{mine: tests.docs.test_metrics.Mine}").status == 0
    with pytest.raises(litspike.UserError, match=r"tests\.docs\.test_metrics\.Mine isn't trusted"):
        litspike.load(runs(home)[1])


class Mine(SampleMean):
    """A metric of the user's own: the mean probability."""

    def update(self, values: torch.Tensor, labels: torch.Tensor) -> None:  # type: ignore[override]
        super().update(values)

    def compute(self) -> torch.Tensor:  # type: ignore[override]
        return super().compute()["mean"][0]
