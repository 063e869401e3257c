"""A checkpoint is a task again in Python: the same answers, in evaluation mode, by every name it has."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import pytest
import torch

import litspike
from litspike.data import HalfPlane
from litspike.data.labels import Values
from litspike.tasks import Classification
from tests.conftest import Cli, of_somebody_else, runs

QUICK = "--trainer.max_epochs 1 --data.train_points 40 --data.val_points 20 --pictures.every 0"


def test_a_file_a_run_and_an_experiment_give_the_task_that_was_trained(
    cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch
):
    assert cli(f"fit {QUICK} --model.network.neuron.decay 0.7").status == 0
    assert cli("predict").status == 0
    (run,) = runs(home)
    rows = list(csv.DictReader((run / "predictions.csv").open()))
    x = torch.tensor([[float(row["x0"]), float(row["x1"])] for row in rows])
    expected = torch.tensor([float(row["probability"]) for row in rows])
    monkeypatch.chdir(home)
    best = run / "checkpoints" / "best.ckpt"
    state = torch.get_rng_state()
    for path in (best, str(best), run, run.parent, "default"):
        task = litspike.load(path)
        with torch.no_grad():
            torch.testing.assert_close(task(x).sigmoid()[:, 0], expected)
    assert torch.equal(torch.get_rng_state(), state)
    assert not any(module.training for module in task.modules())
    assert task.network.layers[1].decay == pytest.approx(0.7)
    outputs, _ = task.network(task.encoder(x))
    torch.testing.assert_close(task.readout(outputs), task(x))
    monkeypatch.chdir(home.parent)
    assert isinstance(litspike.load("default", logs=home / "logs"), Classification)


def test_a_regression_answers_in_the_unit_of_its_targets(cli: Cli, home: Path):
    (home / "far.yaml").write_text("""
model:
  class_path: litspike.tasks.Regression
  init_args:
    loss: litspike.tasks.MeanSquaredError
    network: {class_path: litspike.networks.Perceptron, init_args: {sizes: [2, 4, 1]}}
data: {class_path: tests.cli.test_load.Far}
""")
    assert cli(f"fit -c {home}/far.yaml --trainer.max_epochs 1").status == 0
    task = litspike.load(runs(home, "far")[0])
    assert float(task(torch.zeros(1, 2))) == pytest.approx(5000, abs=500)


@pytest.mark.parametrize("own", [True, False])
def test_data_and_callbacks_that_can_not_be_imported_are_not_needed(
    cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch, own: bool
):
    (home / "lab.py").write_text(
        "from lightning import Callback\nfrom litspike.data import HalfPlane\n"
        "class Points(HalfPlane): ...\n"
        "class Own(Callback):\n    def on_train_start(self, trainer, pl_module): ...\n"
    )
    monkeypatch.syspath_prepend(home)
    assert cli(f"fit {QUICK} --data lab.Points --trainer.callbacks lab.Own").status == 0
    (run,) = runs(home)
    monkeypatch.delitem(sys.modules, "lab")
    (home / "lab.py").unlink()
    if not own:
        of_somebody_else(monkeypatch)
    assert isinstance(litspike.load(run), Classification)
    assert "lab" in cli(f"test --ckpt_path {run}").error_line


class Far(HalfPlane):
    """Targets of 5000 and 5100."""

    labels = Values()

    def __init__(self) -> None:
        super().__init__(train_points=40, val_points=20)

    def part(self, name: str) -> tuple[torch.Tensor, torch.Tensor]:
        x, y = super().part(name)
        return x, 5000 + 100 * y.float().reshape(-1, 1)


def test_what_is_no_checkpoint_gets_a_line(tmp_path: Path):
    with pytest.raises(litspike.UserError, match="there is no file"):
        litspike.load(tmp_path / "nothing.ckpt")
    (tmp_path / "text.ckpt").write_text("no checkpoint")
    with pytest.raises(litspike.UserError, match="damaged"):
        litspike.load(tmp_path / "text.ckpt")


def test_an_untrusted_checkpoint_makes_trusted_classes_alone(cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch):
    assert cli(f"fit {QUICK} --model.network tests.cli.test_load.Mine").status == 0
    (run,) = runs(home)
    assert type(litspike.load(run).network).__name__ == "Mine"
    of_somebody_else(monkeypatch)
    with pytest.raises(litspike.UserError, match=r"tests\.cli\.test_load\.Mine isn't trusted"):
        litspike.load(run)
    assert type(litspike.load(run, trust=["tests"]).network).__name__ == "Mine"


class Mine(litspike.Perceptron):
    """A network of the user's own."""

    def __init__(self) -> None:
        super().__init__([2, 3, 1], litspike.LIF())
