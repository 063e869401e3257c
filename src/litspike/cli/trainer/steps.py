"""Training steps without what nobody asked for.

Lightning calls every hook of every callback at every step, each inside a profiler's context, though most are empty:
more than the training step of a small network costs. Here the empty ones are taken away, and so is the search for what
moves a batch to a processor where it is already.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.strategies import Strategy
from lightning.pytorch.utilities.model_helpers import is_overridden
from torch import Tensor

STEP_HOOKS = (
    "on_train_batch_start",
    "on_before_zero_grad",
    "on_before_backward",
    "on_after_backward",
    "on_before_optimizer_step",
    "on_train_batch_end",
)


MOVING = ("transfer_batch_to_device", "on_after_batch_transfer")


class EmptyHooks(Callback):
    """Takes the hooks of a training step that no subclass wrote off the callbacks and the model while they train.

    Lightning skips a hook that can't be called. Where nobody wrote one that moves a batch or changes it behind that, a
    tuple of tensors in the processor's memory is left there by the strategy itself.
    """

    def __init__(self) -> None:
        self._taken: list[tuple[object, str]] = []
        self._strategy: Strategy | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take them off, once every callback has set up what it copies of the model."""
        callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]  # Lightning sets it from afar
        for name in STEP_HOOKS:
            for thing, base in [(pl_module, LightningModule), *((callback, Callback) for callback in callbacks)]:
                if name not in vars(thing) and getattr(type(thing), name) is getattr(base, name):
                    vars(thing)[name] = _SKIPPED
                    self._taken.append((thing, name))
        things = pl_module, getattr(trainer, "datamodule", None)
        written = any(is_overridden(name, thing) for name in MOVING for thing in things)
        strategy = trainer.strategy
        if not written and type(strategy).batch_to_device is Strategy.batch_to_device:
            self._strategy = strategy
            vars(strategy)["batch_to_device"] = _staying(strategy)

    def put_back(self) -> None:
        """Leave model and callbacks as they were: they may be used on, and somebody may have copied them meanwhile."""
        for thing, name in self._taken:
            if vars(thing).get(name) is _SKIPPED:
                del vars(thing)[name]
        self._taken.clear()
        if self._strategy is not None:
            vars(self._strategy).pop("batch_to_device", None)
            self._strategy = None


def _staying(strategy: Strategy) -> Callable[..., Any]:
    """What moves a batch, but for one that is there already."""
    move, here = strategy.batch_to_device, strategy.root_device.type == "cpu"

    def batch_to_device(batch: Any, *args: Any, **settings: Any) -> Any:
        if here and type(batch) in (tuple, list) and all(type(part) is Tensor and part.is_cpu for part in batch):
            return batch
        return move(batch, *args, **settings)

    return batch_to_device


class _Skipped:
    """In place of an empty hook. A copy of it, or what is read from a file, is a hook that does nothing."""

    def __reduce__(self) -> tuple[Callable[[], Callable[..., None]], tuple[()]]:
        return _empty, ()


_SKIPPED = _Skipped()


def _empty() -> Callable[..., None]:
    return _do_nothing


def _do_nothing(*_: object, **__: object) -> None:
    pass
