"""Empty hooks are taken away, and those that somebody wrote are called."""

from __future__ import annotations

import pytest
from lightning import Callback, Trainer
from lightning.pytorch.callbacks import LambdaCallback

from litspike import LIF, ConstantCurrent, MeanOverTime, Perceptron
from litspike.cli.lean import STEP_HOOKS, EpochCheckpoint, NoProfiler, drop_empty_hooks
from litspike.data import HalfPlane
from litspike.tasks import Classification


def counting(base: type, hooks: tuple[str, ...], calls: list[str]) -> type:
    """A subclass whose hooks note their names."""

    def noting(name: str):
        return lambda self, *_: calls.append(name)

    return type("Counting", (base,), {name: noting(name) for name in hooks})


def fit(callbacks: list[Callback], model: Classification) -> Trainer:
    trainer = Trainer(
        max_epochs=1, limit_train_batches=3, limit_val_batches=0, logger=False, enable_progress_bar=False,
        enable_checkpointing=False, enable_model_summary=False, callbacks=callbacks, profiler=NoProfiler(),
        accelerator="cpu",
    )  # fmt: skip
    drop_empty_hooks(trainer, model)
    trainer.fit(model, HalfPlane())
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
    assert all(getattr(empty, hook) is None for hook in STEP_HOOKS)


def test_a_checkpoint_of_epochs_has_nothing_to_do_in_a_step():
    assert EpochCheckpoint.on_train_batch_end is Callback.on_train_batch_end
