"""The commands that take a checkpoint and train nothing: what its network does with the data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from lightning import Callback, Trainer
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.loggers import TensorBoardLogger

from litspike.callbacks import AnimationFile, PictureFiles, Pictures, PredictionFile, Receipt
from litspike.cli.check.trainer import as_list
from litspike.cli.command import Command, Outcome, Parts, Source, make
from litspike.cli.constructor_errors import users_mistakes
from litspike.cli.subcommands.metrics import note_metrics
from litspike.cli.trainer.convert import convert_checkpoint
from litspike.cli.trainer.export import ExportSettings, export_checkpoint
from litspike.cli.trainer.loggers import BestEffortBoard
from litspike.cli.trainer.make import (
    board,
    common_callbacks,
    ending_together,
    make_trainer,
    trainer_settings,
)
from litspike.cli.trainer.origin import origin_of
from litspike.runs.checkpoints import AtomicCheckpointIO
from litspike.runs.processes import place
from litspike.settings import UserError
from litspike.tasks import Task
from litspike.terminal import from_here


@dataclass(frozen=True)
class _Evaluation:
    """What one of them has of its own: callbacks, and what it does with the trainer and its arguments."""

    callbacks: list[Callback]
    run: Callable[[Trainer, dict[str, Any]], None]
    board: type[TensorBoardLogger] | None = None


def evaluate(command: Command, callbacks: Sequence[Callback] = ()) -> Outcome:
    """Run one of them on the command's checkpoint.

    Args:
        command: the command.
        callbacks: what the trainer gets beside its own.

    Raises:
        UserError: if a setting is refused.
    """
    source = command.source
    assert source is not None
    parts = make(command)
    with users_mistakes(command.config):
        settings = trainer_settings(command, parts)
        own = _EVALUATIONS[str(command.call.subcommand)](command, source, parts)
        settings["enable_checkpointing"] = False
        settings["callbacks"] = [one for one in as_list(settings["callbacks"]) if not isinstance(one, Checkpoint)]
        settings["plugins"] = [*as_list(settings["plugins"]), AtomicCheckpointIO()]
        settings["logger"] = board(settings["logger"], own.board, source.run, command.home)
        all_of_them = [*common_callbacks(command, parts), *own.callbacks, *callbacks]
        trainer = make_trainer(settings, all_of_them, source.run.folder if source.run else command.home)
    if place().first:
        print(f"checkpoint: {from_here(source.path)}")
        if bits := parts.sections.quantise.bits:
            print(f"quantise.bits: {bits}: the fit validated with rounded weights; here they are the checkpoint's own")
    with ending_together(trainer):
        arguments = {"model": parts.model, "datamodule": parts.data, "ckpt_path": str(source.path)}
        own.run(trainer, {**arguments, "weights_only": True})  # nothing in a checkpoint is run
    return Outcome(parts, trainer, source.run)


def _validate(command: Command, source: Source, parts: Parts) -> _Evaluation:
    def run(trainer: Trainer, arguments: dict[str, Any]) -> None:
        trainer.validate(**arguments, verbose=False)

    return _Evaluation([], run)


def _test(command: Command, source: Source, parts: Parts) -> _Evaluation:
    receipt: Receipt = parts.sections.receipt
    settings, typed = command.settings(), command.call.options
    receipt.origin = origin_of(source.path, source.checkpoint, source.folder, settings, typed)

    def run(trainer: Trainer, arguments: dict[str, Any]) -> None:
        trainer.test(**arguments, verbose=False)  # the console has a table of its own
        if source.run is not None:
            note_metrics(source.run, trainer)

    return _Evaluation([receipt], run, BestEffortBoard)


def _predict(command: Command, source: Source, parts: Parts) -> _Evaluation:
    path = source.folder / "predictions.csv"

    def run(trainer: Trainer, arguments: dict[str, Any]) -> None:
        trainer.predict(**arguments, return_predictions=False)
        if place().first:
            print(f"predictions: {from_here(path)}")

    return _Evaluation([PredictionFile(path)], run)


def _picture(command: Command, source: Source, parts: Parts) -> _Evaluation:
    settings: Pictures = parts.sections.pictures
    epochs = source.checkpoint["epoch"] + 1
    folder = source.folder / "pictures"
    drawn: PictureFiles | AnimationFile
    if settings.format == "gif":
        drawn = AnimationFile(folder, settings.samples, epochs)
    else:
        drawn = PictureFiles(folder, settings.format, settings.samples, epochs)

    def run(trainer: Trainer, arguments: dict[str, Any]) -> None:
        if not isinstance(parts.model, Task):
            kind = type(parts.model).__name__
            raise UserError(f"picture: {kind} is no litspike.tasks.Task, of which pictures are made")
        trainer.validate(**arguments, verbose=False)
        if place().first and not drawn.paths:
            raise UserError("picture: none could be drawn")
        for path in drawn.paths:
            print(f"picture: {from_here(path)}")

    return _Evaluation([drawn], run)


def _export(command: Command, source: Source, parts: Parts) -> _Evaluation:
    def run(trainer: Trainer, arguments: dict[str, Any]) -> None:
        checkpoint = source.path, source.checkpoint
        export_checkpoint(
            trainer, parts.model, parts.data, checkpoint, source.folder, ExportSettings.of(command.config)
        )

    return _Evaluation([], run)


def _convert(command: Command, source: Source, parts: Parts) -> _Evaluation:
    def run(trainer: Trainer, arguments: dict[str, Any]) -> None:
        settings = command.settings()
        convert_checkpoint(trainer, parts.model, parts.data, source.checkpoint, source.folder, settings)

    return _Evaluation([], run)


_EVALUATIONS = {
    "validate": _validate,
    "test": _test,
    "predict": _predict,
    "picture": _picture,
    "export": _export,
    "convert": _convert,
}
