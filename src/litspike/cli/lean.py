"""Training steps without what nobody asked for.

Lightning calls every hook of every callback at every step, each inside a profiler's context, though most are empty:
more than the training step of a small network costs. Here the empty ones are taken away.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.profilers import PassThroughProfiler

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

    def profile(self, action_name: str) -> AbstractContextManager[None]:  # type: ignore[override]
        """A context that does nothing."""
        return _NOTHING


class EpochCheckpoint(ModelCheckpoint):
    """A checkpoint that is never written inside an epoch, and doesn't look at every step whether it should be."""

    on_train_batch_end = Callback.on_train_batch_end


def drop_empty_hooks(trainer: Trainer, model: LightningModule) -> None:
    """Take the hooks of a training step that no subclass wrote off the callbacks and the model.

    Lightning skips a hook that is None.
    """
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]  # Lightning sets it from afar
    for name in STEP_HOOKS:
        for thing, base in [(model, LightningModule), *((callback, Callback) for callback in callbacks)]:
            if name not in vars(thing) and getattr(type(thing), name) is getattr(base, name):
                vars(thing)[name] = None
