"""``fit``: a run's folder, what is written into it while the model trains, and how the training ended."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import yaml
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger

from litspike.cli.check.monitors import MonitorCheck, best_mode, check_monitors, monitors, warn_of_modes
from litspike.cli.check.trainer import as_list
from litspike.cli.check.weights import check_weights
from litspike.cli.command import Command, Outcome, Parts, make
from litspike.cli.constructor_errors import users_mistakes
from litspike.cli.subcommands.metrics import note_metrics
from litspike.cli.trainer.make import board, common_callbacks, ending_together, make_trainer, trainer_settings
from litspike.cli.trainer.steps import EmptyHooks
from litspike.installation import program
from litspike.runs import checkpoints
from litspike.runs.folder import BEST, LAST, Run
from litspike.runs.processes import place
from litspike.runs.record import RunRecord
from litspike.runs.resolve import CheckpointRequest, find
from litspike.runs.resume import Resumption, check_left
from litspike.runs.saving import BestCheckpoint, LastCheckpoint
from litspike.runs.signals import Stopped
from litspike.settings import UserError
from litspike.tasks.nonfinite import FiniteWeights
from litspike.terminal import from_here

_OF_ONE_CALL = ("logs", "seeds", "weights", "ckpt_path")
"""Settings that are none of the run's."""


def fit(command: Command, callbacks: Sequence[Callback] = ()) -> Outcome:
    """Train, and note in the run's record how it ended.

    Args:
        command: the command.
        callbacks: what the trainer gets beside its own.

    Raises:
        UserError: if a setting is refused, or nothing was trained.
    """
    check_monitors(command.config)
    parts = make(command)
    warn_of_modes(command.config, parts.model)
    with users_mistakes(command.config):
        settings = trainer_settings(command, parts)
        _start(command, parts)
        run = _run(command, settings)
        plain = {name: value for name, value in command.settings().items() if name not in _OF_ONE_CALL}
        record, hooks = RunRecord(run, yaml.safe_dump(plain, sort_keys=False), plain), EmptyHooks()
        try:
            trainer = _trainer(command, parts, settings, record, [hooks, *callbacks])
        except BaseException:
            _discard(run)
            raise

    def leave() -> None:
        """Leave no run that never began."""
        if not record.has_trained(trainer):
            _discard(run)

    try:
        with ending_together(trainer, leave):
            _check(command, trainer)
            arguments = {
                "model": parts.model,
                "datamodule": parts.data,
                "ckpt_path": command.source and str(command.source.path),
                "weights_only": True,  # nothing in a checkpoint is run
            }
            if run is None:
                _train_along(trainer, arguments)
            else:
                record.headline = f"run: {from_here(run.folder)} ({_size(parts.model)} parameters, {_devices(trainer)})"
                _train(trainer, arguments, run, record)
    finally:
        hooks.put_back()
    return Outcome(parts, trainer, run)


def _start(command: Command, parts: Parts) -> None:
    """Start from the weights of a checkpoint, where one is named."""
    given = command.config.get("weights")
    if given is None:
        return
    if command.source is not None:
        raise UserError(f"weights: {given} is set beside ckpt_path, whose weights a fit goes on with: leave one out")
    request = CheckpointRequest(given, (BEST, LAST), None, f"{program()} fit")
    path = find(request, command.logs, "weights")
    checkpoint = checkpoints.read(path)
    check_weights(path, checkpoint, parts.model)
    parts.model.load_state_dict(checkpoint["state_dict"])
    if place().first:
        print(f"weights: {from_here(path)}", flush=True)


def _run(command: Command, settings: dict[str, Any]) -> Run | None:
    """The run that is gone on with, or a new one's folder; None of a trial, and in every process but the first."""
    if command.source is not None and command.source.run is not None:
        return command.source.run
    if settings["fast_dev_run"] or not place().first:
        return None
    return Run.create(command.logs, command.call.experiment or "default")


def _discard(run: Run | None) -> None:
    if run is not None:
        run.discard()


def _trainer(
    command: Command, parts: Parts, settings: dict[str, Any], record: RunRecord, more: Sequence[Callback]
) -> Trainer:
    run, chosen = record.run, parts.sections.checkpoint
    folder = run.checkpoint(BEST).parent if run else None  # the other processes learn it from the first
    # two of them, for save_last keeps the last one that was among the best, not the last epoch
    mode = chosen.mode or best_mode(parts.model, chosen.monitor)
    best, last = BestCheckpoint(folder, BEST, chosen.monitor, mode), LastCheckpoint(folder, LAST)
    saving: list[Callback] = [best, last]
    before = checkpoints.configuration(command.source.checkpoint) if command.source else {}
    callbacks = [
        *common_callbacks(command, parts),
        *more,
        *([] if command.config.get("weights") else [parts.sections.calibrate]),  # which those have behind them
        *([parts.sections.quantise] if parts.sections.quantise.bits else []),
        *(parts.sections[name] for name in ("checkup", "pictures")),
        FiniteWeights(),
        MonitorCheck(monitors(command.config)),
        *(saving if settings["enable_checkpointing"] is not False else []),
        record,
        Resumption(_model_settings(before), _model_settings(record.settings)),
    ]
    settings["plugins"] = [*as_list(settings["plugins"]), checkpoints.AtomicCheckpointIO(record.config)]
    settings["logger"] = board(settings["logger"], TensorBoardLogger, run, command.home)
    return make_trainer(settings, callbacks, run.folder if run else command.home)


def _model_settings(config: dict[str, Any]) -> dict[str, Any]:
    settings: dict[str, Any] = config.get("model", {}).get("init_args", {})
    return settings


def _check(command: Command, trainer: Trainer) -> None:
    """Refuse a fit that trains nothing."""
    for name in ("max_epochs", "max_steps", "limit_train_batches"):
        if getattr(trainer, name) == 0:
            raise UserError(f"trainer.{name}: 0 trains nothing")
    if command.source is not None:
        check_left(command.source.path, command.source.checkpoint, trainer)


def _train(trainer: Trainer, arguments: dict[str, Any], run: Run, record: RunRecord) -> None:
    with run:
        try:
            trainer.fit(**arguments)
        except BaseException as error:
            if record.noted:
                with suppress(UserError):  # a full disk, which has its own message
                    run.note(status=trainer.state.status.value)
            if (interrupted := Interrupted.by(error, run)) is not None:
                raise interrupted from None
            raise
        if not record.has_trained(trainer):
            raise UserError("trainer: nothing was trained: allow it an epoch, a step and a batch at least")
        run.note(status=trainer.state.status.value)
    note_metrics(run, trainer)
    if run.checkpoint(BEST).is_file():
        print(f"best checkpoint: {from_here(run.checkpoint(BEST))}")


def _train_along(trainer: Trainer, arguments: dict[str, Any]) -> None:
    """Train in a process that has no run's folder: the first one has it, or this is a trial."""
    if trial := place().first:
        batches = int(trainer.fast_dev_run)  # type: ignore[attr-defined]  # Lightning sets it from afar
        tried = f"{batches} batch{'es' * (batches > 1)} of training and of validation"
        print(f"trainer.fast_dev_run: a trial of {tried}, of which nothing is kept", flush=True)
    try:
        trainer.fit(**arguments)
    except Stopped as stopped:
        if trial:
            raise
        raise Interrupted(stopped, None) from None


def _size(model: LightningModule) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def _devices(trainer: Trainer) -> str:
    processes = f", {trainer.world_size} processes" if trainer.world_size > 1 else ""
    return f"{trainer.accelerator.name()}{processes}"


class Interrupted(UserError):
    """A fit that was asked to end.

    Args:
        stopped: by what.
        run: the fit's; None in a process that knows none.
    """

    def __init__(self, stopped: Stopped, run: Run | None) -> None:
        onward = f"go on with `{program()} fit --ckpt_path last`"
        remains = onward if run is None or run.checkpoint(LAST).is_file() else "no epoch was complete, nothing is kept"
        super().__init__(f"{stopped.words}: {remains}")
        self.status = stopped.status

    @classmethod
    def by(cls, error: BaseException, run: Run) -> Interrupted | None:
        """What an error says of an interruption: it may be Lightning's answer to a KeyboardInterrupt, an exit."""
        stopped = Stopped(signal.SIGINT) if isinstance(error, SystemExit) else error
        return cls(stopped, run) if isinstance(stopped, Stopped) else None
