"""Training steps without what nobody asked for.

Lightning calls every hook of every callback at every step, each inside a profiler's context, though most are empty:
more than the training step of a small network costs. Here the empty ones are taken away.
"""

from __future__ import annotations

import math
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.profilers import PassThroughProfiler

from litspike.callbacks.together import as_the_first

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
    """A checkpoint that is never written inside an epoch, and doesn't look at every step whether it should be."""

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


class LastCheckpoint(EpochCheckpoint):
    """The checkpoint of the newest epoch, at most a second older than it: short epochs don't each get one."""

    SECONDS = 1.0
    _written = -math.inf

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write it, unless another one comes soon."""
        ends = trainer.should_stop or trainer.current_epoch + 1 == trainer.max_epochs
        due = ends or trainer.global_step == trainer.max_steps or time.monotonic() - self._written >= self.SECONDS
        if as_the_first(trainer, due):  # each has a clock of its own
            super().on_train_epoch_end(trainer, pl_module)
            self._written = time.monotonic()


def drop_empty_hooks(trainer: Trainer, model: LightningModule) -> None:
    """Take the hooks of a training step that no subclass wrote off the callbacks and the model.

    Lightning skips a hook that is None.
    """
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]  # Lightning sets it from afar
    for name in STEP_HOOKS:
        for thing, base in [(model, LightningModule), *((callback, Callback) for callback in callbacks)]:
            if name not in vars(thing) and getattr(type(thing), name) is getattr(base, name):
                vars(thing)[name] = None
