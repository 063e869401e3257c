"""Real targets, one a sample or one at every step, from the figures to the command line."""

from __future__ import annotations

import csv
import functools
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning import Trainer

from litspike import LIF, EveryStep, LeakyIntegrator, Perceptron, TimeFirst, UserError
from litspike.data import MackeyGlass
from litspike.tasks import Regression
from tests.conftest import Cli, runs

CONFIGURATION = """
model:
  class_path: litspike.tasks.Regression
  init_args:
    encoder: litspike.coding.TimeFirst
    network:
      class_path: litspike.networks.Perceptron
      init_args:
        sizes: [1, 8, 1]
        neuron: litspike.neurons.LIF
    readout:
      class_path: litspike.coding.EveryStep
      init_args:
        integrator: litspike.neurons.LeakyIntegrator
data:
  class_path: litspike.data.MackeyGlass
  init_args: {steps: 12, target: each, train_samples: 20, val_samples: 9, test_samples: 7, batch_size: 10}
trainer: {max_epochs: 1}
"""


def task(width: int = 8) -> Regression:
    torch.manual_seed(0)
    readout = EveryStep(LeakyIntegrator(decay=0.5, learn={"decay": "layer"}))
    adam = functools.partial(torch.optim.Adam, lr=0.01)
    return Regression(Perceptron([1, width, 1], LIF()), TimeFirst(), readout, optimizer=adam)


@pytest.mark.parametrize("shape", [(1,), (3,), (5, 2)], ids=["one", "several", "every step"])
def test_figures_are_means_over_all_values_of_batches_of_any_size(shape: tuple[int, ...]):
    figures = task().make_metrics({})
    generator = torch.Generator().manual_seed(1)
    errors = []
    for size in (4, 4, 1):
        values, targets = (torch.randn(size, *shape, generator=generator) for _ in range(2))
        figures.add((values - targets).square().mean(), values, targets)
        errors.append((values - targets).double().numpy())
    error = np.concatenate(errors)
    found, samples = figures.close()
    assert samples == 9
    assert list(found) == ["loss", "mae", "rmse"]
    assert found["mae"].item() == pytest.approx(np.abs(error).mean(), rel=1e-6)
    assert found["rmse"].item() == pytest.approx(np.sqrt((error**2).mean()), rel=1e-6)
    assert found["loss"].item() == pytest.approx((error**2).mean(), rel=1e-6)


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
def test_targets_at_every_step_are_learned():
    data = MackeyGlass(steps=30, target="each", horizon=1, train_samples=200, val_samples=50, batch_size=20)
    model = task(width=32)
    trainer = Trainer(
        max_epochs=12, logger=False, enable_progress_bar=False, enable_checkpointing=False,
        enable_model_summary=False, accelerator="cpu", num_sanity_val_steps=0,
    )  # fmt: skip
    trainer.fit(model, data)
    x, y = next(iter(data.val_dataloader()))
    assert y.shape == (50, 30, 1)
    assert model(x).shape == y.shape
    values = trainer.callback_metrics
    assert float(values["val/rmse"]) == pytest.approx(float(values["val/loss"]) ** 0.5, rel=1e-5)
    assert float(values["val/rmse"]) < 0.7 * float(y.std())


@pytest.mark.parametrize(("target", "readout"), [("each", "MeanOverTime"), ("last", "EveryStep")])
def test_a_readout_that_does_not_suit_the_targets_gets_one_line(cli: Cli, home: Path, target: str, readout: str):
    (home / "each.yaml").write_text(CONFIGURATION)
    result = cli(f"fit -c {home}/each.yaml --data.target {target} --model.readout litspike.coding.{readout}")
    assert result.error_line.startswith("the network gives [")
    assert ("EveryStep gives a value for each" if target == "each" else "one set a sample") in result.error_line
    assert runs(home, "each") == []


def test_targets_at_every_step_are_trained_tested_and_predicted_from_a_configuration(cli: Cli, home: Path):
    (home / "each.yaml").write_text(CONFIGURATION)
    fitted = cli(f"fit -c {home}/each.yaml")
    assert fitted.status == 0, fitted.err
    assert " rmse 0." in fitted.out
    tested = cli(f"test -c {home}/each.yaml")
    assert tested.status == 0
    assert "Wilson" not in tested.out
    assert [line.split()[1] for line in tested.out.splitlines() if line.startswith("│ ")] == ["loss", "mae", "rmse"]
    assert cli(f"predict -c {home}/each.yaml").status == 0
    (run,) = runs(home, "each")
    rows = list(csv.reader((run / "predictions.csv").open()))
    assert rows[0] == [f"{name}{step}" for name in ("target", "value") for step in range(12)]
    assert len(rows) == 1 + 7


def test_a_sequence_with_targets_of_another_length_is_refused():
    with pytest.raises(UserError, match=r"gives \[5, 1\] values a sample; the targets are \[6, 1\]$"):
        task().loss.check(task()(torch.rand(2, 5, 1)).shape, torch.zeros(2, 6, 1))


def test_what_an_epoch_has_measured_travels_in_a_checkpoint_made_inside_it():
    checkpoint = {"state_dict": {}, "epoch": 0, "global_step": 3}
    one, other = task(), task()
    one.train_metrics.add(torch.tensor(2.0), torch.ones(4, 1), torch.zeros(4, 1))
    one.on_save_checkpoint(checkpoint)
    other.on_load_checkpoint(checkpoint)
    assert other.train_metrics.close()[0] == one.train_metrics.close()[0]
    assert "targets._extra_state" in checkpoint["state_dict"]
