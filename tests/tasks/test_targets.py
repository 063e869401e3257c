"""Targets of any scale are learned alike, and everything that is reported of them is in their own unit."""

from __future__ import annotations

import copy
import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning import LightningDataModule, Trainer
from lightning.pytorch.callbacks import EMAWeightAveraging
from torch import Tensor, distributed
from torch.utils.data import DataLoader, TensorDataset

from litspike import LIF, ConstantCurrent, EveryStep, MeanOverTime, Perceptron, TimeFirst, UserError
from litspike.cli.check.weights import check_weights
from litspike.runs import checkpoints
from litspike.tasks import Regression
from litspike.tasks.targets import TargetScale
from tests.conftest import Cli, runs

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*isinstance.treespec")


class Own(LightningDataModule):
    """A data module as users write them, whose validation part has targets of another mean."""

    def __init__(self, x: Tensor, y: Tensor) -> None:
        super().__init__()
        self.x, self.y = x, y

    def train_dataloader(self) -> Any:
        return DataLoader(TensorDataset(self.x, self.y), batch_size=25, shuffle=True)

    def val_dataloader(self) -> Any:
        return DataLoader(TensorDataset(self.x, self.y + 7), batch_size=25)


def task(outputs: int = 1, **settings: Any) -> Regression:
    torch.manual_seed(1)
    return Regression(Perceptron([3, 16, outputs], LIF()), ConstantCurrent(8), MeanOverTime(), **settings)


def fit(model: Regression, x: Tensor, y: Tensor, epochs: int = 1, callbacks: list[Any] | None = None) -> Trainer:
    torch.manual_seed(2)
    trainer = Trainer(
        max_epochs=epochs, logger=False, enable_progress_bar=False, enable_checkpointing=False, callbacks=callbacks,
        enable_model_summary=False, accelerator="cpu", num_sanity_val_steps=0,
    )  # fmt: skip
    trainer.fit(model, Own(x, y))
    return trainer


def samples(outputs: int = 1) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(3)
    x = torch.randn(100, 3, generator=draw)
    return x, x @ torch.randn(3, outputs, generator=draw)


def test_another_unit_of_the_targets_changes_the_unit_of_what_is_learned_alone():
    x, y = samples(2)
    unit, zero = torch.tensor([3e4, 1e-3]), torch.tensor([2e5, -4.0])
    one, other = task(2), task(2)
    figures = [fit(one, x, y, 5).callback_metrics, fit(other, x, y * unit + zero, 5).callback_metrics]
    with torch.no_grad():
        torch.testing.assert_close((other(x) - zero) / unit, one(x), rtol=1e-2, atol=2e-3)
        error = (other(x) - (y * unit + zero + 7)).double()
    assert float(figures[1]["val/mae"]) == pytest.approx(float(error.abs().mean()), rel=1e-4)
    assert float(figures[1]["val/rmse"]) == pytest.approx(float(error.square().mean().sqrt()), rel=1e-4)
    assert float(figures[1]["val/loss"]) == pytest.approx(float(error.square().mean()), rel=1e-4)


def test_mean_and_deviation_are_those_of_the_training_targets_each_by_itself_and_a_constant_one_keeps_its_unit():
    x, y = samples(3)
    y[:, 2] = 123456.7
    model = task(3)
    fit(model, x, y)
    mean, deviation = model.targets.get_extra_state().numpy()
    np.testing.assert_allclose(mean, y.double().numpy().mean(0), rtol=1e-12)
    np.testing.assert_allclose(deviation[:2], y.double().numpy().std(0)[:2], rtol=1e-12)
    assert deviation[2] == 1.0
    assert torch.isfinite(model(x)).all()


@pytest.mark.parametrize("shape", [(100,), (100, 1), (100, 4, 2)], ids=["one", "a column", "every step"])
def test_targets_of_each_shape_are_standardised_and_restored(shape: tuple[int, ...]):
    y = torch.randn(shape, generator=torch.Generator().manual_seed(4)) * 50 + 1000
    scale = TargetScale()
    scale.measure(y.split(33))
    z = scale.standardised(y)
    assert z.shape == y.shape
    across = tuple(range(z.dim() - 1)) if z.dim() > 1 else 0
    torch.testing.assert_close(z.mean(across), torch.zeros_like(z.mean(across)), rtol=0, atol=1e-5)
    torch.testing.assert_close(z.std(across, correction=0), torch.ones_like(z.mean(across)), rtol=1e-5, atol=0)
    torch.testing.assert_close(scale.restored(z), y)


def test_targets_at_every_step_are_learned_far_from_one():
    x = torch.randn(100, 6, 3, generator=torch.Generator().manual_seed(3))
    y = 1e5 + 1e4 * x[:, :, :1]
    torch.manual_seed(1)
    model = Regression(Perceptron([3, 32, 1], LIF()), TimeFirst(), EveryStep())
    figures = fit(model, x, y, 12).callback_metrics
    assert float(figures["train/rmse"]) < 0.9 * float(y.std())


def test_several_processes_have_the_scale_of_all_their_targets(monkeypatch: pytest.MonkeyPatch):
    y = torch.randn(90, 2, generator=torch.Generator().manual_seed(4)) * 50 + 1000
    shares = [y[0::2], y[1:60:2]]  # of different sizes
    found = []

    def gathered(everywhere: list[Any], own: Any) -> None:
        found.append(own)
        everywhere[:] = found * (3 - len(found))

    monkeypatch.setattr(distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(distributed, "get_world_size", lambda: 2)
    monkeypatch.setattr(distributed, "all_gather_object", gathered)
    TargetScale().measure([shares[0]])
    scale = TargetScale()
    scale.measure([shares[1]])
    both = torch.cat(shares).double()
    expected = torch.stack([both.mean(0), both.std(0, correction=0)])
    torch.testing.assert_close(scale.get_extra_state(), expected, rtol=1e-12, atol=0)


def test_the_scale_is_kept_where_a_callback_saves_averaged_weights():
    x, y = samples()
    model = task()
    trainer = fit(model, x, y * 100 + 5000, 2, [EMAWeightAveraging()])
    saved = trainer._checkpoint_connector.dump_checkpoint()["state_dict"]["targets._extra_state"]
    assert float(saved[0]) == pytest.approx(float((y * 100 + 5000).mean()))


def test_weights_that_were_saved_without_a_scale_learned_the_targets_as_they_are():
    model = task()
    x, y = samples()
    fit(model, x, y * 100 + 5000)
    before = {name: value for name, value in model.state_dict().items() if name != "targets._extra_state"}
    check_weights(Path("old.ckpt"), {"state_dict": before}, model)
    model.load_state_dict(before)
    assert not model.targets.known
    torch.testing.assert_close(model(x), model.respond(x)[0], rtol=0, atol=0)


@pytest.mark.parametrize("damaged", [torch.zeros(3, 1), torch.full((2, 1), float("nan")), "a text"])
def test_a_damaged_scale_is_refused(damaged: Any):
    model = task()
    with pytest.raises(UserError, match="scale of the targets"):
        model.load_state_dict({**model.state_dict(), "targets._extra_state": damaged})


def test_targets_are_left_as_they_are_where_that_is_asked_for():
    model = task(standardise=False)
    x, y = samples()
    fit(model, x, y * 100 + 5000)
    assert not model.targets.known


def test_a_target_that_is_not_finite_gets_a_line():
    x, y = samples()
    y[17] = float("inf")
    with pytest.raises(UserError, match="targets of the training data hold NaN or infinity"):
        fit(task(), x, y)


def test_a_copy_has_its_own_scale():
    model = task()
    x, y = samples()
    other = copy.deepcopy(model)
    fit(model, x, y)
    assert model.targets.known
    assert not other.targets.known


def test_a_run_that_goes_on_and_what_is_made_of_its_checkpoint_have_the_scale_of_the_run(cli: Cli, home: Path):
    draw = np.random.default_rng(0)
    x = draw.normal(size=(120, 3))
    table = np.c_[x, 200_000 + 30_000 * x[:, 0] - 20_000 * x[:, 1]]
    np.savetxt(home / "house.csv", table, delimiter=",", header="a,b,c,price", comments="")
    (home / "house.yaml").write_text(f"""
pictures: {{every: 0}}
model:
  class_path: litspike.tasks.Regression
  init_args:
    loss: litspike.tasks.MeanSquaredError
    network: {{class_path: litspike.networks.Perceptron, init_args: {{sizes: [3, 32, 1]}}}}
data:
  class_path: litspike.data.Arrays
  init_args: {{path: {home}/house.csv, task: regression, label: price}}
""")
    assert cli(f"fit -c {home}/house.yaml --trainer.max_epochs 8").status == 0
    assert cli(f"fit -c {home}/house.yaml --trainer.max_epochs 4").status == 0
    whole, parts = runs(home, "house")
    assert cli(f"fit -c {home}/house.yaml --trainer.max_epochs 8 --ckpt_path last").status == 0
    one, other = (checkpoints.read(run / "checkpoints" / "last.ckpt")["state_dict"] for run in (whole, parts))
    assert float(one["targets._extra_state"][1]) == pytest.approx(table[:, 3].std(), rel=0.2)
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert cli(f"test --ckpt_path {whole}").status == 0
    receipt = json.loads((whole / "receipt.json").read_text())
    rmse = receipt["figures"]["rmse"]
    assert rmse["value"] < table[:, 3].std()
    assert rmse["interval"][0] < rmse["value"] < rmse["interval"][1]
    assert receipt["anytime"]["values"][-1] == pytest.approx(receipt["figures"]["mae"]["value"], rel=1e-4)
    assert cli(f"predict --ckpt_path {whole}").status == 0
    rows = list(csv.DictReader((whole / "predictions.csv").open()))
    errors = np.array([float(row["value_price"]) - float(row["price"]) for row in rows])
    assert np.sqrt((errors**2).mean()) == pytest.approx(rmse["value"], rel=1e-4)
