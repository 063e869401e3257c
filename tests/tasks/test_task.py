"""What every task does: several classes, real targets, a scheduler, a regulariser, refusals at the first batch."""

from __future__ import annotations

import functools
import gc
import weakref
from typing import Any

import pytest
import torch
from lightning import Trainer
from lightning.pytorch.cli import ReduceLROnPlateau
from torch.utils.data import DataLoader, TensorDataset

from litspike import LIF, ConstantCurrent, MeanOverTime, Perceptron, UserError
from litspike.tasks import Classification, CrossEntropy, RateBand, Regression, Task, nonfinite


def trained(task: Task, x: torch.Tensor, y: torch.Tensor, epochs: int = 30) -> dict[str, float]:
    """Train on all samples; the figures of the last epoch."""
    torch.manual_seed(0)
    trainer = Trainer(
        max_epochs=epochs, logger=False, enable_progress_bar=False, enable_checkpointing=False,
        enable_model_summary=False, accelerator="cpu", log_every_n_steps=1,
    )  # fmt: skip
    trainer.fit(task, DataLoader(TensorDataset(x, y), batch_size=32))
    return {name: float(value) for name, value in trainer.callback_metrics.items()}


def parts(outputs: int) -> dict[str, Any]:
    torch.manual_seed(1)
    return {
        "network": Perceptron([2, 24, outputs], LIF()),
        "encoder": ConstantCurrent(8),
        "readout": MeanOverTime(),
        "optimizer": functools.partial(torch.optim.Adam, lr=0.02),
    }


def plane() -> torch.Tensor:
    return torch.randn(256, 2, generator=torch.Generator().manual_seed(2)) * 2


@pytest.mark.parametrize("validated", [True, False])
def test_weights_are_checked_once_in_an_epoch_with_a_validation_and_without(
    monkeypatch: pytest.MonkeyPatch, validated: bool
):
    checked: list[int] = []
    monkeypatch.setattr(nonfinite, "nonfinite_weight", lambda module: checked.append(module.trainer.global_step))
    loader = DataLoader(TensorDataset(plane(), torch.zeros(256)), batch_size=128)
    trainer = Trainer(
        max_epochs=2, logger=False, enable_progress_bar=False, enable_checkpointing=False, accelerator="cpu",
        enable_model_summary=False, callbacks=[nonfinite.FiniteWeights()], num_sanity_val_steps=0,
    )  # fmt: skip
    trainer.fit(Classification(**parts(1)), loader, loader if validated else None)
    assert checked == [2, 4]


def test_several_classes_are_learned():
    x = plane()
    quadrant = (x[:, 0] > 0).long() + 2 * (x[:, 1] > 0).long()
    figures = trained(Classification(**parts(4), loss=CrossEntropy()), x, quadrant)
    assert figures["train/accuracy"] > 0.9


def test_real_targets_are_learned():
    x = plane()
    target = x[:, :1] - 0.5 * x[:, 1:]
    figures = trained(Regression(**parts(1)), x, target, epochs=60)
    assert figures["train/loss"] < 0.2 * float(target.var())
    assert 0 < figures["train/mae"] < figures["train/loss"] ** 0.5


def test_a_scheduler_changes_the_rate_once_an_epoch():
    x = plane()
    scheduler = functools.partial(torch.optim.lr_scheduler.StepLR, step_size=1, gamma=0.5)
    figures = trained(Classification(**parts(1), scheduler=scheduler), x, (x.sum(1) > 0).float(), epochs=3)
    assert figures["learning_rate"] == pytest.approx(0.02 * 0.5**2)


def test_a_scheduler_lowers_the_rate_when_its_figure_stands_still():
    x = plane()
    scheduler = functools.partial(ReduceLROnPlateau, monitor="train/loss", threshold=1e9, patience=0, factor=0.5)
    figures = trained(Classification(**parts(1), scheduler=scheduler), x, (x.sum(1) > 0).float(), epochs=4)
    assert figures["learning_rate"] == pytest.approx(0.02 * 0.5**3)  # no epoch is better by such a threshold


def rates_after(regulariser: RateBand | None) -> torch.Tensor:
    x = plane()
    task = Classification(**parts(1), regulariser=regulariser)
    trained(task, x, (x.sum(1) > 0).float())
    spikes, _ = task.network.layers[1](task.network.layers[0](x).expand(8, -1, -1))
    return spikes.mean((0, 1))


def test_a_regulariser_holds_the_rates_that_are_free_without_it():
    assert rates_after(None).max() > 0.3
    assert rates_after(RateBand(low=0.0, high=0.2, strength=100.0)).max() < 0.27


def test_the_penalty_is_no_part_of_the_loss_that_is_shown():
    x = plane()
    y = (x.sum(1) > 0).float()
    free = trained(Classification(**parts(1)), x, y, epochs=1)
    held = trained(Classification(**parts(1), regulariser=RateBand(0.0, 0.0, 1e3)), x, y, epochs=1)
    assert held["train/loss"] < 10 * free["train/loss"]


@pytest.mark.parametrize("method", ["fit", "validate", "test", "predict"])
def test_a_regulariser_keeps_no_spikes_beyond_their_batch(method: str):
    task = Classification(**parts(1), regulariser=RateBand())
    alive: list[weakref.ref[torch.Tensor]] = []
    most = 0

    def see(layer: Any, inputs: Any, result: Any) -> None:
        nonlocal most
        alive.append(weakref.ref(result[0]))
        most = max(most, sum(spikes() is not None for spikes in alive))

    task.network.layers[1].register_forward_hook(see)
    x = plane()
    trainer = Trainer(max_epochs=1, logger=False, enable_progress_bar=False, enable_checkpointing=False,
                      enable_model_summary=False, accelerator="cpu")  # fmt: skip
    getattr(trainer, method)(task, DataLoader(TensorDataset(x, (x.sum(1) > 0).float()), batch_size=32))
    gc.collect()
    assert len(alive) == 8
    assert most <= 2
    assert sum(spikes() is not None for spikes in alive) == 0


def quiet() -> Trainer:
    return Trainer(max_epochs=1, logger=False, enable_progress_bar=False, enable_checkpointing=False,
                   enable_model_summary=False, accelerator="cpu")  # fmt: skip


@pytest.mark.parametrize("method", ["validate", "test", "predict"])
@pytest.mark.parametrize("kind", [list, dict])
def test_several_loaders_are_refused_and_one_in_a_list_is_not(method: str, kind: type):
    x = plane()
    loader = DataLoader(TensorDataset(x, (x.sum(1) > 0).float()), batch_size=32)
    one, two = ({"a": loader}, {"a": loader, "b": loader}) if kind is dict else ([loader], [loader, loader])
    getattr(quiet(), method)(Classification(**parts(1)), one)
    part = {"validate": "val"}.get(method, method)
    with pytest.raises(UserError, match=f"data: {part}_dataloader gives a {kind.__name__} of loaders; a task takes on"):
        getattr(quiet(), method)(Classification(**parts(1)), two)


@pytest.mark.parametrize("kind", [Classification, Regression])
def test_samples_without_targets_are_predicted(kind: type[Task]):
    x = plane()
    task = kind(**parts(1))
    labelled = DataLoader(TensorDataset(x, (x[:, :1] > 0).float()[:, 0 if kind is Classification else slice(1)]), 32)
    expected = quiet().predict(task, labelled)
    for loader in (DataLoader(TensorDataset(x), 32), DataLoader(x, 32)):
        found = quiet().predict(task, loader)
        for ours, theirs in zip(found, expected, strict=True):
            assert set(ours) == set(theirs) - {"label", "target"}
            assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    with pytest.raises(UserError, match=r"a batch is a list of 1; a task takes \(x, y\)"):
        quiet().test(task, DataLoader(TensorDataset(x), 32))


def test_nothing_listens_after_a_step_that_failed():
    task = Classification(**parts(1), regulariser=RateBand())
    with pytest.raises(UserError):
        trained(task, plane(), torch.full((256,), 2.0), epochs=1)
    assert not any(module._forward_hooks for module in task.network.modules())


def test_a_validation_after_one_that_was_broken_off_is_of_its_own_samples():
    task, x = Classification(**parts(1)), plane()
    y = (x.sum(1) > 0).float()
    trainer = Trainer(logger=False, enable_progress_bar=False, enable_model_summary=False, accelerator="cpu")
    for method, stage in (("validate", "val"), ("test", "test")):
        broken = DataLoader(TensorDataset(torch.cat([x, x[:1]]), torch.cat([y, y[:1]])), batch_size=32)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(task.loss, "check", lambda *_: None)
            patch.setattr(task, "_log_metrics", lambda stage: (_ for _ in ()).throw(KeyError(stage)))
            with pytest.raises(KeyError):
                getattr(trainer, method)(task, broken, verbose=False)
        getattr(trainer, method)(task, DataLoader(TensorDataset(x, y), batch_size=32), verbose=False)
        assert task.samples[stage] == 256


@pytest.mark.parametrize(
    ("task", "outputs", "y", "message"),
    [
        (Classification, 2, torch.zeros(256), r"gives \[2\] outputs a sample; two classes need one logit"),
        (Classification, 1, torch.full((256,), 2.0), "the label 2 is not one of 0 to 1"),
        (Regression, 2, torch.zeros(256, 3), r"gives \[2\] values a sample; the targets are \[3\]"),
    ],
)
def test_what_does_not_fit_is_refused_at_the_first_batch(task: Any, outputs: int, y: torch.Tensor, message: str):
    with pytest.raises(UserError, match=message):
        trained(task(**parts(outputs)), plane(), y, epochs=1)


def test_steps_taken_together_change_the_memory_and_not_what_is_learned():
    x, target = plane(), plane()[:, :1]
    whole = trained(Regression(**parts(1)), x, target, epochs=2)
    pieces = trained(Regression(**parts(1), steps_together=3), x, target, epochs=2)
    assert pieces == pytest.approx(whole, rel=1e-4)
    cut = trained(Regression(**parts(1), steps_together=3, gradient="truncated"), x, target, epochs=2)
    assert cut != pytest.approx(whole, rel=1e-4)


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"steps_together": 0}, "steps_together: 0 is less than 1"),
        ({"steps_together": 3, "regulariser": RateBand()}, "is set beside a regulariser"),
        ({"gradient": "cut"}, "gradient: 'cut' is none of"),
    ],
)
def test_steps_together_without_sense_are_a_line(settings, line):
    with pytest.raises(UserError, match=line):
        Regression(**parts(1), **settings)
