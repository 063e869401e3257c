"""Training steps without what nobody asked for.

Lightning calls every hook of every callback at every step, each inside a profiler's context, though most are empty:
more than the training step of a small network costs. Here the empty ones are taken away.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.profilers import PassThroughProfiler

from litspike.runs.collectives import as_the_first

STEP_HOOKS = (
    "on_train_batch_start",
    "on_before_zero_grad",
    "on_before_backward",
    "on_after_backward",
    "on_before_optimizer_step",
    "on_train_batch_end",
)

_NOTHING = nullcontext()


class NoProfiler(PassThroughProfiler):
    """Profiles nothing, for less than Lightning's own profiler of nothing."""

    def profile(self, action_name: str) -> AbstractContextManager[None]:  # type: ignore[override]  # a wider type than Generator
        """A context that does nothing."""
        return _NOTHING


class EpochCheckpoint(ModelCheckpoint):
    """A checkpoint of epochs and validations, which doesn't look at every step whether it should be written."""

    on_train_batch_end = Callback.on_train_batch_end

    def __init__(self, folder: Path | None, name: str, monitor: str | None = None, mode: str = "min") -> None:
        super().__init__(
            str(folder) if folder else None,
            name,
            monitor=monitor,
            mode=mode,
            save_on_train_epoch_end=True,
            enable_version_counter=False,
        )


class BestCheckpoint(EpochCheckpoint):
    """The weights that the best value of a metric was measured with.

    A metric of the validation counts when it was measured, inside an epoch too; at the epoch's end only where the
    weights are still the same.
    """

    def __init__(self, folder: Path | None, name: str, monitor: str, mode: str) -> None:
        super().__init__(folder, name, monitor, mode)
        self._by_validation, self._validated_at = monitor.startswith("val/"), -1

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note which weights were measured, and write them where the epoch goes on to change them."""
        if not self._by_validation or self._should_skip_saving_checkpoint(trainer):
            return
        self._validated_at = trainer.global_step
        if not trainer.is_last_batch:
            super().on_train_epoch_end(trainer, pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the weights, where the metric is theirs."""
        if not self._by_validation or self._validated_at == trainer.global_step:
            super().on_train_epoch_end(trainer, pl_module)


class LastCheckpoint(EpochCheckpoint):
    """The checkpoint of the newest epoch or validation, at most a second older than it: short epochs don't each get
    one.
    """

    SECONDS = 1.0
    _written = -math.inf

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write it inside a long epoch, unless another one comes soon."""
        if trainer.state.fn == "fit" and not trainer.sanity_checking and not trainer.is_last_batch:
            self._write(trainer, pl_module, False)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write it, unless another one comes soon."""
        ends = trainer.should_stop or trainer.current_epoch + 1 == trainer.max_epochs
        self._write(trainer, pl_module, ends or trainer.global_step == trainer.max_steps)

    def _write(self, trainer: Trainer, pl_module: LightningModule, due: bool) -> None:
        due = due or time.monotonic() - self._written >= self.SECONDS
        if as_the_first(trainer, due):  # each has a clock of its own
            super().on_train_epoch_end(trainer, pl_module)
            self._written = time.monotonic()


class EmptyHooks(Callback):
    """Takes the hooks of a training step that no subclass wrote off the callbacks and the model while they train.

    Lightning skips a hook that can't be called.
    """

    def __init__(self) -> None:
        self._taken: list[tuple[object, str]] = []

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take them off, once every callback has set up what it copies of the model."""
        callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]  # Lightning sets it from afar
        for name in STEP_HOOKS:
            for thing, base in [(pl_module, LightningModule), *((callback, Callback) for callback in callbacks)]:
                if name not in vars(thing) and getattr(type(thing), name) is getattr(base, name):
                    vars(thing)[name] = _SKIPPED
                    self._taken.append((thing, name))

    def put_back(self) -> None:
        """Leave model and callbacks as they were: they may be used on, and somebody may have copied them meanwhile."""
        for thing, name in self._taken:
            if vars(thing).get(name) is _SKIPPED:
                del vars(thing)[name]
        self._taken.clear()


class _Skipped:
    """In place of an empty hook. A copy of it, or what is read from a file, is a hook that does nothing."""

    def __reduce__(self) -> tuple[Callable[[], Callable[..., None]], tuple[()]]:
        return _empty, ()


_SKIPPED = _Skipped()


def _empty() -> Callable[..., None]:
    return _do_nothing


def _do_nothing(*_: object, **__: object) -> None:
    pass
