"""Lightning's trainer as every command has it, and how it is left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, Trainer
from lightning.pytorch.loggers import TensorBoardLogger

from litspike.callbacks import StepLog
from litspike.cli.check.sample import Suitable
from litspike.cli.check.trainer import as_list, check_switches, check_trial
from litspike.cli.check.weights import check_weights
from litspike.cli.command import Command, Parts
from litspike.cli.trainer.loggers import keep_rows
from litspike.cli.trainer.profiler import NoProfiler, into_file
from litspike.cli.trainer.progress import choose_bar
from litspike.internals.lightning import leave_sigterm, skip_empty_metrics
from litspike.runs.folder import Run
from litspike.runs.launched import LaunchedProcesses
from litspike.runs.processes import SameEverywhere, check, place, silent_after_an_error
from litspike.runs.resume import KeptAxis
from litspike.runs.signals import before_the_end
from litspike.settings import UserError
from litspike.tasks import Task


def trainer_settings(command: Command, parts: Parts) -> dict[str, Any]:
    """The Trainer's arguments as they are configured, checked for what suits neither the command nor this machine.

    Raises:
        UserError: with the setting's name.
    """
    source = command.source
    if source is not None:
        check_weights(source.path, source.checkpoint, parts.model)
    settings: dict[str, Any] = {**parts.sections.trainer}
    check_switches(settings)
    check_trial(settings, command.call.subcommand, source is not None)
    _check_accelerator(settings["accelerator"])
    if settings["num_sanity_val_steps"] is None and isinstance(parts.model, Task):
        settings["num_sanity_val_steps"] = 0  # a sample says more of it, and it says itself what it logs
    return settings


def _check_accelerator(accelerator: Any) -> None:
    """Refuse a GPU that is not there, before anything is made."""
    if accelerator in ("gpu", "cuda") and not torch.cuda.is_available() and not torch.backends.mps.is_available():
        raise UserError(f"trainer.accelerator: {accelerator!r} asks for a GPU and torch sees none: set cpu or auto")


def common_callbacks(command: Command, parts: Parts) -> list[Callback]:
    """What every command has before its own callbacks."""
    source = command.source
    before = source.checkpoint if source is not None and source.run is not None else {}
    return [SameEverywhere(source.path if source else None), Suitable(), KeptAxis(before), parts.sections.console]


def board(logger: Any, kind: type[TensorBoardLogger] | None, run: Run | None, home: Path) -> Any:
    """The loggers of a run: those that the user sets, or else one for TensorBoard.

    Every process has one, as callbacks ask for it; only the first one's writes.

    Args:
        logger: the Trainer's argument.
        kind: of the logger for TensorBoard; None where a command has none.
        run: whose folder it writes into.
        home: its folder in the other processes.
    """
    if logger not in (None, True):
        return logger
    if kind is None or (run is None and place().first):
        return False
    return kind(run.folder if run else home, name="", version="", default_hp_metric=False)


def make_trainer(settings: dict[str, Any], callbacks: list[Callback], reports: Path) -> Trainer:
    """Make the trainer.

    Args:
        settings: its arguments, which are changed.
        callbacks: those beside the user's own.
        reports: the folder that a profiler writes into.

    Raises:
        UserError: if it refuses its arguments, or the processes that were started don't suit it.
    """
    if place().first:
        keep_rows(settings["logger"])
    callbacks = [*callbacks, *choose_bar(settings)]
    if settings["log_every_n_steps"] is not None:
        callbacks.append(StepLog(settings["log_every_n_steps"]))
    settings["profiler"] = into_file(settings["profiler"], reports) if settings["profiler"] else NoProfiler()
    settings["enable_model_summary"] = settings["enable_model_summary"] or False  # the console says it in a line
    settings["callbacks"] = [*as_list(settings["callbacks"]), *callbacks]
    try:
        trainer = Trainer(**settings)
    except (ValueError, RuntimeError) as error:  # the latter where SLURM's variables contradict each other
        raise UserError(f"trainer: {error}") from error
    check(trainer)
    leave_sigterm(trainer)
    skip_empty_metrics(trainer)
    silent_after_an_error(trainer)
    return trainer


@contextmanager
def ending_together(trainer: Trainer, leave: Callable[[], None] = lambda: None) -> Iterator[None]:
    """End with the other processes of a trainer, at its end and after an error.

    Args:
        trainer: before it starts them.
        leave: called before they are ended, where this one doesn't come to its end.
    """
    others = LaunchedProcesses(trainer)

    def leave_all() -> None:
        leave()
        others.end()

    with before_the_end(leave_all):
        try:
            yield
            others.end_together()
        except BaseException:
            leave_all()
            raise
