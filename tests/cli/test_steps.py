"""Empty hooks are taken away, and those that somebody wrote are called."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import pytest
from lightning import Callback, LightningDataModule, Trainer
from lightning.pytorch.callbacks import LambdaCallback
from lightning.pytorch.strategies import Strategy
from torch.utils.data import DataLoader

from litspike import LIF, ConstantCurrent, MeanOverTime, Perceptron
from litspike.cli.trainer.profiler import NoProfiler
from litspike.cli.trainer.steps import MOVING, STEP_HOOKS, EmptyHooks
from litspike.data import HalfPlane
from litspike.runs.saving import EpochCheckpoint
from litspike.tasks import Classification
from tests.cli.test_own_modules import Net
from tests.conftest import Cli

KEPT: list[Any] = []
"""Modules and callbacks that outlive their command, as in a notebook, and copies that were made in training."""


def counting(base: type, hooks: tuple[str, ...], calls: list[str]) -> type:
    """A subclass whose hooks note their names."""

    def noting(name: str):
        return lambda self, *_: calls.append(name)

    return type("Counting", (base,), {name: noting(name) for name in hooks})


def fit(callbacks: list[Callback], model: Classification, data: LightningDataModule | None = None) -> Trainer:
    trainer = Trainer(
        max_epochs=1, limit_train_batches=3, limit_val_batches=0, logger=False, enable_progress_bar=False,
        enable_checkpointing=False, enable_model_summary=False, callbacks=[EmptyHooks(), *callbacks],
        profiler=NoProfiler(), accelerator="cpu",
    )  # fmt: skip
    trainer.fit(model, data or HalfPlane())
    return trainer


def parts() -> tuple[Perceptron, ConstantCurrent, MeanOverTime]:
    return Perceptron([2, 4, 1], LIF()), ConstantCurrent(2), MeanOverTime()


@pytest.mark.parametrize("hook", STEP_HOOKS)
def test_a_hook_that_somebody_wrote_is_called_at_every_step(hook: str):
    calls: list[str] = []
    fit([counting(Callback, (hook,), calls)()], Classification(*parts()))
    assert calls == [hook] * 3
    fit([], counting(Classification, (hook,), calls)(*parts()))
    assert calls == [hook] * 6


def test_a_hook_that_was_put_on_one_callback_is_called():
    calls: list[int] = []
    fit([LambdaCallback(on_train_batch_end=lambda *_: calls.append(1))], Classification(*parts()))
    assert calls == [1] * 3


def test_empty_hooks_are_not_called():
    empty = Callback()
    fit([empty], Classification(*parts()))
    assert not any(callable(getattr(empty, hook)) for hook in STEP_HOOKS)


@pytest.mark.parametrize("hook", MOVING)
@pytest.mark.parametrize("base", [Classification, HalfPlane])
def test_a_batch_goes_through_what_somebody_wrote_to_move_or_to_change_it(base: type, hook: str):
    calls: list[str] = []

    def noted(self: Any, batch: Any, *_: Any) -> Any:
        calls.append(hook)
        return batch

    counted = type("Counting", (base,), {hook: noted})
    model = counted(*parts()) if base is Classification else Classification(*parts())
    fit([], model, counted() if base is HalfPlane else HalfPlane())
    assert calls == [hook] * 3


class Named(HalfPlane):
    """Its batches are of a kind that litspike's own aren't of."""

    def train_dataloader(self) -> Any:
        batches: Any = [{"x": x, "y": y} for x, y in super().train_dataloader()]
        return DataLoader(batches, batch_size=None)


class OfNames(Classification):
    def training_step(self, batch: Any, batch_idx: int) -> Any:
        return super().training_step((batch["x"], batch["y"]), batch_idx)


@pytest.mark.parametrize(("model", "data", "moved"), [(Classification, HalfPlane, 0), (OfNames, Named, 3)])
def test_a_batch_of_tensors_is_left_where_it_is_and_any_other_moved(
    model: Any, data: Any, moved: int, monkeypatch: pytest.MonkeyPatch
):
    calls: list[str] = []
    move = Strategy.batch_to_device

    def noted(self: Any, *args: Any, **settings: Any) -> Any:
        calls.append("moved")
        return move(self, *args, **settings)

    monkeypatch.setattr(Strategy, "batch_to_device", noted)
    trainer = fit([], model(*parts()), data())
    assert len(calls) == moved
    trainer.callbacks[0].put_back()
    assert "batch_to_device" not in vars(trainer.strategy)


def test_a_checkpoint_of_epochs_has_nothing_to_do_in_a_step():
    assert EpochCheckpoint.on_train_batch_end is Callback.on_train_batch_end


class Kept(Net):
    def __init__(self, fails: bool = False) -> None:
        super().__init__()
        self.fails = fails
        KEPT.append(self)

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        if self.fails and batch_idx == 1:
            raise ValueError("it fails")
        return super().training_step(batch, batch_idx)


class Copying(Callback):
    """Keeps the model of the first step, as some do that of the best."""

    def __init__(self) -> None:
        KEPT.append(self)

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if batch_idx == 0:
            KEPT.extend([copy.deepcopy(pl_module), pickle.loads(pickle.dumps(pl_module))])


@pytest.mark.parametrize("fails", [False, True])
def test_what_outlives_a_command_has_all_its_hooks(cli: Cli, home: Path, fails: bool):
    KEPT.clear()
    (home / "mine.yaml").write_text(f"""
model: {{class_path: {__name__}.Kept, init_args: {{fails: {str(fails).lower()}}}}}
data: {{class_path: tests.cli.test_own_modules.Points}}
trainer:
  max_epochs: 1
  callbacks:
    - class_path: {__name__}.Copying
    - class_path: lightning.pytorch.callbacks.WeightAveraging
""")
    assert (cli(f"fit -c {home}/mine.yaml --checkpoint.monitor val_loss").status != 0) == fails
    model, callback, *copies = KEPT
    assert len(copies) == 2
    for thing in (model, callback):
        assert not [hook for hook in STEP_HOOKS if hook in vars(thing)]
    for made in copies:
        assert made.on_train_batch_start(None, 0) is None
