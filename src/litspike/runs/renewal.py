"""An optimizer or schedule that is configured anew, in place of what a checkpoint restores."""

from __future__ import annotations

import warnings
from typing import Any

from lightning import Trainer
from torch.optim.lr_scheduler import ReduceLROnPlateau

from litspike.settings import UserError
from litspike.terminal import say

_SCHEDULE = ("scheduler", "scheduler_interval", "scheduler_frequency")
_COUNTED = ("best", "cooldown_counter", "num_bad_epochs", "last_epoch", "_last_lr")
"""What ReduceLROnPlateau has counted; the rest of its state are its settings."""

MOST_CHANGES = 10_000_000
"""Changes that a schedule is gone through, which takes minutes: what a checkpoint says of itself may be wrong."""


def renew(checkpoint: dict[str, Any], trainer: Trainer, before: dict[str, Any], now: dict[str, Any]) -> None:
    """Put into a checkpoint what its run would have come to with other settings, before Lightning restores it.

    A schedule is gone through again from its beginning, as far as the checkpoint is, for another one, or another
    setting of the optimizer. Where the optimizer is another one, it begins anew. Nothing changes where the settings
    are those of the checkpoint.

    Args:
        checkpoint: changed in place.
        trainer: with the optimizer and the schedule as they are configured now.
        before: the model's settings of the checkpoint's run.
        now: those of this fit.

    Raises:
        UserError: if the new schedule is over before the checkpoint is reached, or the checkpoint too far to reach.
    """
    if len(trainer.optimizers) != 1 or all(before.get(name) == now.get(name) for name in ("optimizer", *_SCHEDULE)):
        return
    replayed = _replay(checkpoint, trainer)
    (optimizer,), (saved,) = trainer.optimizers, checkpoint["optimizer_states"]
    new = optimizer.state_dict()
    (old_kind, old_settings), (kind, settings) = (_parts(config.get("optimizer")) for config in (before, now))
    if old_kind != kind or len(new["param_groups"]) != len(saved["param_groups"]):
        say(trainer, f"model.optimizer: {type(optimizer).__name__} begins anew, and the state of {old_kind} is left")
        checkpoint["optimizer_states"] = [new]
    else:
        changed = {name for name, value in settings.items() if value != old_settings.get(name, value)}
        without = bool(before.get("scheduler")) and not now.get("scheduler")
        for group, fresh in zip(saved["param_groups"], new["param_groups"], strict=True):
            names = fresh.keys() - {"params"} if replayed or without else changed & fresh.keys()
            group.update({name: fresh[name] for name in names})
    same_kind = _parts(before.get("scheduler"))[0] == _parts(now.get("scheduler"))[0]
    states = checkpoint["lr_schedulers"] if same_kind else []
    checkpoint["lr_schedulers"] = [
        _merged(config.scheduler, states[index] if index < len(states) else {})
        for index, config in enumerate(trainer.lr_scheduler_configs)
    ]


def _replay(checkpoint: dict[str, Any], trainer: Trainer) -> bool:
    """Bring the schedules to where the checkpoint is; returns whether there is one that can be brought there."""
    loops = checkpoint["loops"]["fit_loop"]
    epochs, steps = loops["epoch_progress"]["current"]["processed"], checkpoint["global_step"]
    frequency = getattr(getattr(trainer.lightning_module, "scheduling", None), "frequency", None) or 1
    replayed = False
    for config in trainer.lr_scheduler_configs:
        if config.reduce_on_plateau:
            continue
        replayed, schedule = True, config.scheduler
        changes = (steps if config.interval == "step" else epochs) // frequency
        if changes > MOST_CHANGES:
            raise UserError(
                f"model.scheduler: the checkpoint is {changes} changes from the beginning of a schedule, and at most "
                f"{MOST_CHANGES} are gone through again: leave optimizer and scheduler as they were"
            )
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # torch wants an optimizer's step before each of a schedule's
                for _ in range(changes):
                    schedule.step()  # type: ignore[call-arg]  # it is none that follows a metric
        except ValueError as error:
            raise UserError(f"model.scheduler: {error}") from error
    return replayed


def _merged(scheduler: Any, saved: dict[str, Any]) -> dict[str, Any]:
    """A schedule's state: its own, and of one that follows a metric what was counted before."""
    state: dict[str, Any] = scheduler.state_dict()
    if isinstance(scheduler, ReduceLROnPlateau):
        state |= {name: saved[name] for name in _COUNTED if name in saved}
    return state


def _parts(setting: Any) -> tuple[str | None, dict[str, Any]]:
    """Name of a class without its package, and settings, of an entry in a configuration."""
    if isinstance(setting, dict):
        path, settings = setting.get("class_path"), setting.get("init_args") or {}
    else:
        path, settings = setting, {}
    return (str(path).rpartition(".")[2] if path else None), settings
