"""Going on from a checkpoint: between two epochs or inside one, with what is typed anew in place of what was kept."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping, GradientAccumulationScheduler, Timer, WeightAveraging
from lightning.pytorch.utilities.combined_loader import CombinedLoader

from litspike.internals.lightning import clear_restarting
from litspike.loggers import EPOCHS, STEPS, asks_for_steps, counts_steps
from litspike.runs.collectives import at_the_first
from litspike.runs.renewal import renew
from litspike.settings import LitspikeWarning, UserError
from litspike.terminal import say

KEY = "litspike/resume"
"""Where a checkpoint keeps ``metrics``, the newest ones, what the ``axis`` of its run's curves counts, how many
``batches`` an epoch has, whether its epoch was ``cut`` short, with the hooks of an epoch's end, and, inside a group of
accumulated batches, ``gradients``."""


class Resumption(Callback):
    """Keeps in each checkpoint where in an epoch it was written, and goes on from there.

    Lightning counts an epoch that ``max_steps`` or ``max_time`` cut short as done; here it goes on.

    Args:
        before: the model's settings of the run that goes on.
        now: those of this fit; where they say something else of the optimizer or the schedule, they hold.
    """

    def __init__(self, before: dict[str, Any], now: dict[str, Any]) -> None:
        self.before, self.now = before, now
        self._saved: dict[str, Any] = {}
        self._loaded: dict[str, Any] | None = None
        self._between = False

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Say whether the epoch is complete, and keep what the rest of one needs."""
        if trainer.state.fn != "fit":
            return
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        checkpoint[KEY] = {"metrics": metrics, "axis": STEPS if counts_steps(trainer) else EPOCHS}
        checkpoint[KEY]["batches"] = trainer.num_training_batches
        loops = checkpoint["loops"]["fit_loop"]
        ended = loops["epoch_progress"]["current"]["processed"] > loops["epoch_progress"]["current"]["completed"]
        rest = settle(loops, trainer.num_training_batches)
        checkpoint[KEY]["cut"] = ended and rest > 0
        if rest % trainer.accumulate_grad_batches:
            gradients = [None if p.grad is None else p.grad.detach().cpu() for p in pl_module.parameters()]
            checkpoint[KEY]["gradients"] = at_the_first(trainer, gradients)

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Take up what was kept. An allowance of time is that of one command: none of it is used up yet."""
        self._saved, self._loaded = checkpoint.get(KEY, {}), checkpoint
        self._between = "loops" in checkpoint and not inside(checkpoint)
        states = checkpoint.get("callbacks", {})
        states.pop(Timer.__qualname__, None)
        for callback in trainer.callbacks:  # type: ignore[attr-defined]  # Lightning sets it from afar
            if isinstance(callback, EarlyStopping) and isinstance(state := states.get(callback.state_key), dict):
                state["patience"] = callback.patience  # a setting, which Lightning restores as if it had been counted

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Let what is configured anew hold: Lightning restores optimizer and schedules after this hook."""
        if self._loaded is not None:
            renew(self._loaded, trainer, self.before, self.now)
            self._loaded = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Go on where the checkpoint was written, once everything else is restored."""
        trainer.callback_metrics.update({name: torch.tensor(value) for name, value in self._metrics.items()})
        if self._between:
            trainer.fit_loop.epoch_loop.restarting = False  # with max_steps Lightning takes it for one inside an epoch
            follow_metrics(trainer)
            return
        if self._saved:
            _say_what_differs(trainer, bool(self._saved.get("cut")), self._saved.get("batches"))
        for callback in trainer.callbacks:  # type: ignore[attr-defined]  # Lightning sets it from afar
            if isinstance(callback, GradientAccumulationScheduler) and self._saved:
                callback.on_train_epoch_start(trainer)
        gradients = self._saved.get("gradients", [])
        if trainer.global_rank < len(gradients):
            for parameter, gradient in zip(pl_module.parameters(), gradients[trainer.global_rank], strict=True):
                parameter.grad = None if gradient is None else gradient.to(parameter.device)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Let the end of an epoch that was gone on with count for schedules: Lightning thinks that metrics are lost."""
        clear_restarting(trainer)

    @property
    def _metrics(self) -> dict[str, float]:
        metrics: dict[str, float] = self._saved.get("metrics", {})
        return metrics


def follow_metrics(trainer: Trainer) -> None:
    """Let the schedules that follow a metric see that of the epoch which a checkpoint ends with.

    Lightning shows it to them after that epoch's checkpoints are written, so that none holds what they made of it.
    """
    for config in trainer.lr_scheduler_configs:
        if not config.reduce_on_plateau or trainer.current_epoch % config.frequency:
            continue
        metric = trainer.callback_metrics.get(str(config.monitor))
        if metric is not None:
            trainer.lightning_module.lr_scheduler_step(config.scheduler, metric)


def _say_what_differs(trainer: Trainer, cut: bool, batches: Any) -> None:
    """Warn of loaders and averages that don't go on inside an epoch as if it had not been interrupted.

    Args:
        trainer: it goes on inside an epoch.
        cut: whether the callbacks took this for the epoch's end.
        batches: how many an epoch had before; None where that isn't known.
    """
    if batches not in (None, trainer.num_training_batches):
        _warn(
            f"data: an epoch has {trainer.num_training_batches} batches and had {batches}: the rest of this one is not "
            "what was left of it, so that samples may come twice or not at all"
        )
    for loader in CombinedLoader(trainer.train_dataloader).flattened:
        if not callable(getattr(loader, "load_state_dict", None)):
            _warn(
                f"data: {type(loader).__name__} has no state_dict and load_state_dict: the rest of this epoch has its "
                "first batches again, not those that are left"
            )
    for callback in trainer.callbacks if cut else []:  # type: ignore[attr-defined]  # Lightning sets it from afar
        if isinstance(callback, WeightAveraging) and callback.should_update(epoch_idx=trainer.current_epoch):
            _warn(
                f"trainer.callbacks: {type(callback).__name__} has taken the weights in the middle of this epoch for "
                "those at its end: the average is not that of a fit without interruption"
            )


def _warn(line: str) -> None:
    warnings.warn(line, LitspikeWarning, stacklevel=4)


class KeptAxis(Callback):
    """Keeps what the axis of a run's curves counts, whatever is set to go on with it or to test it.

    Args:
        checkpoint: of the run that is written to; empty where that has none yet.
    """

    def __init__(self, checkpoint: dict[str, Any]) -> None:
        saved = checkpoint.get(KEY)
        axis = saved.get("axis") if isinstance(saved, dict) else None
        self.kept_axis = axis if axis in (EPOCHS, STEPS) else None

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Say where several values will have one place."""
        if self.kept_axis == EPOCHS and asks_for_steps(trainer):
            say(trainer, "the curves of this run count epochs, and go on so: an epoch's values all have one place")


def settle(loops: dict[str, Any], batches: int | float) -> int:
    """Say in Lightning's counters whether they stand between two epochs, or inside one.

    At the end of an epoch's hooks they are neither: it counts as processed, whether its batches were all trained or
    not, and not as completed.

    Args:
        loops: the state of a fit, changed in place.
        batches: in a whole epoch.

    Returns:
        How many batches of an epoch that isn't complete were trained.
    """
    epochs, trained = loops["epoch_progress"], loops["epoch_loop.batch_progress"]
    done: int = trained["current"]["processed"]
    if trained["current"]["completed"] < done:  # at the end of a batch; where a validation is to follow, it follows
        for counter in (trained["current"], trained["total"]):
            counter["completed"] = counter["processed"]
        loops["epoch_loop.val_loop.batch_progress"]["total"] |= {
            "ready": 1,
            "started": 1,
            "processed": 0,
            "completed": 0,
        }
    if epochs["current"]["processed"] == epochs["current"]["completed"]:
        return done if epochs["current"]["ready"] > epochs["current"]["completed"] else 0
    if not trained["is_last_batch"] and done < batches:
        for counter in epochs.values():
            counter["processed"] -= 1
        return done
    for counter in epochs.values():
        counter["completed"] = counter["processed"]
    for name in ("batch_progress", "scheduler_progress"):
        counters = loops[f"epoch_loop.{name}"]["current"]
        counters.update(dict.fromkeys(counters, 0))
    trained["is_last_batch"] = False
    loops["state_dict"].pop("combined_loader", None)  # the next epoch begins with its first batch
    return 0


def inside(checkpoint: dict[str, Any]) -> bool:
    """Whether a checkpoint was written inside an epoch."""
    epochs = checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]
    return bool(epochs["processed"] < epochs["ready"])


def check_left(path: Path, checkpoint: dict[str, Any], trainer: Trainer) -> None:
    """Refuse to go on from a checkpoint that can't be gone on from, or with nothing left to do.

    Raises:
        UserError: if it holds weights alone, or has done the epochs or steps that the trainer is to do.
    """
    missing = [name for name in ("loops", "optimizer_states", "lr_schedulers") if name not in checkpoint]
    if missing:
        raise UserError(
            f"ckpt_path: {path} holds weights alone, without {', '.join(missing)}: name one that was kept whole, or "
            "start from them by --weights"
        )
    done = {"max_epochs": epochs_done(checkpoint), "max_steps": checkpoint["global_step"]}
    for name, most in (("max_epochs", trainer.max_epochs), ("max_steps", trainer.max_steps)):
        if most is not None and 0 <= most <= done[name]:
            what = name.removeprefix("max_")
            raise UserError(f"trainer.{name}: {path} has done its {most} {what}: raise it to go on")


def epochs_done(checkpoint: dict[str, Any]) -> int:
    """How many epochs a checkpoint's weights were trained for from beginning to end."""
    return int(checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"])
