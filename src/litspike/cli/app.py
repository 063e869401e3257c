"""LightningCLI with litspike's manners: runs that find themselves, checkpoints that bring their configuration."""

from __future__ import annotations

import logging
import os
import signal
import warnings
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Literal

import torch
import yaml
from lightning import Callback, LightningDataModule, LightningModule, Trainer
from lightning.fabric.plugins import CheckpointIO
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.cli import LightningCLI
from lightning.pytorch.loggers import TensorBoardLogger

from litspike.callbacks import PredictionFile, Receipt, StepLog
from litspike.cli import configurations
from litspike.cli.arguments import SUBCOMMANDS, Call
from litspike.cli.check.arguments import check_form
from litspike.cli.check.monitors import MonitorCheck, check_monitors, monitors
from litspike.cli.check.sample import Suitable
from litspike.cli.check.trainer import callbacks_of, check_switches, check_trial, into_file, keep_rows
from litspike.cli.check.weights import check_weights
from litspike.cli.foreign_errors import foreign_errors
from litspike.cli.help import GROUPS
from litspike.cli.parser import Parser, ParserExit
from litspike.cli.parser_errors import parser_message, users_mistake
from litspike.cli.schedules import take_chains
from litspike.cli.trainer.export import add_export_arguments, export_checkpoint
from litspike.cli.trainer.loggers import BestEffortBoard
from litspike.cli.trainer.origin import origin_of
from litspike.cli.trainer.picture import DrawingTrainer, picture_files
from litspike.cli.trainer.progress import choose_bar
from litspike.cli.trainer.steps import EmptyHooks, NoProfiler
from litspike.installation import program
from litspike.internals.jsonargparse import limited_imports, setting_names
from litspike.internals.lightning import leave_sigterm
from litspike.reports.console import STAGES, logged
from litspike.runs import checkpoints, yaml_text
from litspike.runs.folder import BEST, LAST, Run, logs_folder, results_beside
from litspike.runs.foreign import check_folder, limited
from litspike.runs.launched import Others
from litspike.runs.processes import SameEverywhere, check, place, silent_after_an_error
from litspike.runs.record import RunRecord
from litspike.runs.resolve import find
from litspike.runs.resume import KeptAxis, Resumption, check_left
from litspike.runs.saving import BestCheckpoint, LastCheckpoint
from litspike.runs.signals import Stopped, before_the_end
from litspike.runs.trust import BEHIND, Trust
from litspike.seeding import seed_in_range
from litspike.settings import LitspikeWarning, ParseError, UserError, named_settings, whole
from litspike.tasks import Task

MOST_THREADS = 1024

_log = logging.getLogger("litspike")


class LitspikeCLI(LightningCLI):
    """The command line of one call.

    Args:
        args: the arguments after the program's name.
        home: folder with ``configs/`` and, unless ``--logs`` says otherwise, ``logs/``.
    """

    run: Run | None = None
    """The run that is written to, or that the checkpoint comes from; the first process's of several that train."""

    def __init__(self, args: list[str], home: Path) -> None:
        take_chains()
        self.home, self.call, self.first = home, Call(args, home), place().first
        self.default = configurations.default(home)
        files = {name: {"default_config_files": [str(self.default)]} for name in self.subcommands()}
        with ExitStack() as self._limits:
            super().__init__(
                LightningModule,
                LightningDataModule,
                subclass_mode_model=True,
                subclass_mode_data=True,
                save_config_callback=None,
                trainer_class=DrawingTrainer,
                parser_class=Parser,
                parser_kwargs={"allow_abbrev": False, **files},
                auto_configure_optimizers=False,
                load_from_checkpoint_support=False,  # a checkpoint has its run's whole configuration
                args=self.call.arguments,
            )

    def subcommands(self) -> dict[str, set[str]]:  # type: ignore[override]  # Lightning's is static, and calls it on self
        """The subcommands, each with the Trainer's arguments that are not the user's to set.

        Where one is called, it alone: the parser of each takes a while to make.
        """
        skip = {"model", "datamodule", "train_dataloaders", "val_dataloaders", "dataloaders"}
        names = [self.call.subcommand] if self.call.subcommand else SUBCOMMANDS
        return {name: skip | {"verbose", "return_predictions", "weights_only"} for name in names}

    def add_arguments_to_parser(self, parser: Any) -> None:
        """Add what every command has beside trainer, model and data."""
        parser.add_argument("--logs", type=str | None)
        if self.call.subcommand in (None, "fit"):
            parser.add_argument("--seeds", type=int | None)
        if self.call.subcommand in (None, "export"):
            add_export_arguments(parser)
        parser.add_argument("--trust", action="append")
        parser.add_argument("--threads", type=int | None)
        for name, group in GROUPS.items():
            parser.add_lightning_class_args(group, name)
        parser.add_argument("--checkpoint.monitor", type=str, default="val/loss")
        parser.add_argument("--checkpoint.mode", type=Literal["min", "max"], default="min")

    def parse_arguments(self, parser: Any, args: Any) -> None:
        """Parse; where a checkpoint is used, its run's configuration comes before what the arguments say."""
        call = self.call
        self.experiment = call.experiment or "default"
        self.ckpt_path: Path | None = None
        for name in call.named if call.subcommand else ():
            if configurations.hides(name, self.home):
                found = configurations.find(name, self.home)
                _log.info(f"config: {found} comes before litspike's own of that name")
        files = [yaml_text.read(path) for path in (str(self.default), *call.configs)]
        if (
            call.subcommand
            and not call.asks_for_help
            and (call.subcommand != "fit" or call.option("--ckpt_path") is not None)
        ):
            logs = logs_folder(call.logs, self.home)
            self.ckpt_path = find(call.wanted, logs)
            self.checkpoint = checkpoints.read(self.ckpt_path)
            self.run = Run.of(self.ckpt_path, checkpoints.config_text(self.checkpoint)) if self.first else None
            args = call.on_top_of(self._configuration(files), self.ckpt_path)
        known = setting_names(self._parser(call.subcommand)) if call.subcommand else []
        check_form(call, files, known)
        try:
            self.config = parser.parse_args(args)
        except ParserExit as error:
            own = len(files) - len(call.configs)
            known += [name for settings in files[:own] for name, _ in named_settings(settings)]
            filed = [setting for settings in reversed(files[own:]) for setting in named_settings(settings)]
            kept = checkpoints.configuration(self.checkpoint) if self.ckpt_path is not None else {}
            raise ParseError(
                parser_message(str(error), [*call.settings, *filed, *named_settings(kept)], known)
            ) from error
        if call.subcommand:
            self.config[call.subcommand].pop("trust", None)  # of this call, not of the run

    def _configuration(self, files: list[dict[str, Any]]) -> dict[str, Any]:
        """The checkpoint's, or what of a stranger's is taken over; from then on its limits hold."""
        config = checkpoints.configuration(self.checkpoint)
        if not config and self.first:
            said = "holds no configuration: the settings are those of the default, the files and the command line"
            warnings.warn(f"{self.ckpt_path} {said}", LitspikeWarning, stacklevel=2)
        if self.checkpoint.own:
            return config
        assert self.ckpt_path is not None
        trust = Trust.of(self.call.class_values, self.call.trusted, files)
        check_folder(self.run.folder if self.run else results_beside(self.ckpt_path))
        self._limits.enter_context(foreign_errors(self.ckpt_path))
        self._limits.enter_context(limited_imports(trust.importable, BEHIND))
        return limited(config, self.ckpt_path, trust)

    def _parse_ckpt_path(self) -> None:
        """Nothing is left to read from a checkpoint: :meth:`parse_arguments` did."""

    def _set_seed(self) -> None:
        seed = self._get(self.config, "seed_everything")
        if not isinstance(seed, bool):
            seed_in_range("seed_everything", seed)
        super()._set_seed()

    def instantiate_classes(self) -> None:
        """Make model, data and trainer, and check that a checkpoint belongs to the model."""
        if self.subcommand == "fit":
            check_monitors(self.config[self.subcommand])
        threads = self._get(self.config, "threads")
        if threads is not None:
            torch.set_num_threads(whole("threads", threads, most=MOST_THREADS))
            os.environ["OMP_NUM_THREADS"] = str(threads)  # of several processes Lightning would set another number
        try:
            super().instantiate_classes()
        except Exception as error:
            if self.run is not None:
                self.run.discard()
            mistake = users_mistake(error, self.config[self.subcommand])
            if mistake is error:
                raise
            raise mistake from error

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Make the trainer, with a logger into the run's folder and the callbacks that every run has."""
        if self.ckpt_path is not None:
            check_weights(self.ckpt_path, self.checkpoint, self.model)
        settings = {**self._get(self.config_init, "trainer"), **kwargs}
        check_switches(settings)
        check_trial(settings, self.subcommand, self.ckpt_path is not None)
        _check_accelerator(settings["accelerator"])
        same = SameEverywhere(self.ckpt_path)
        axis = KeptAxis(self.checkpoint if self.ckpt_path is not None and self.run is not None else {})
        callbacks = [same, Suitable(), axis, self._get(self.config_init, "console"), *self._callbacks(settings)]
        if self.subcommand != "fit":
            settings["enable_checkpointing"] = False
            settings["callbacks"] = [one for one in callbacks_of(settings) if not isinstance(one, Checkpoint)]
        plugins = settings["plugins"] or []
        plugins = plugins if isinstance(plugins, list) else [plugins]
        if self.subcommand == "fit" or not any(isinstance(plugin, CheckpointIO) for plugin in plugins):
            config = self._record.config if self.subcommand == "fit" else None
            settings["plugins"] = [*plugins, checkpoints.AtomicCheckpointIO(config)]
        if settings["logger"] in (None, True):
            settings["logger"] = False
            if self.subcommand in ("fit", "test") and (self.run is not None or not self.first):
                board = TensorBoardLogger if self.subcommand == "fit" else BestEffortBoard
                # every process has one, as callbacks ask for it; only the first one's writes
                folder = self.run.folder if self.run else self.home
                settings["logger"] = board(folder, name="", version="", default_hp_metric=False)
        if self.first:
            keep_rows(settings["logger"])
        callbacks += choose_bar(settings)
        if settings["log_every_n_steps"] is not None:
            callbacks.append(StepLog(settings["log_every_n_steps"]))
        reports = self.run.folder if self.run else self.home
        settings["profiler"] = into_file(settings["profiler"], reports) if settings["profiler"] else NoProfiler()
        settings["enable_model_summary"] = settings["enable_model_summary"] or False  # the console says it in a line
        try:
            trainer = self._instantiate_trainer(settings, callbacks)
        except (ValueError, RuntimeError) as error:  # the latter where SLURM's variables contradict each other
            raise UserError(f"trainer: {error}") from error
        check(trainer)
        leave_sigterm(trainer)
        silent_after_an_error(trainer)
        self._others = Others(trainer)
        return trainer

    def _callbacks(self, settings: dict[str, Any]) -> list[Callback]:
        """What the subcommand has beside the console; it may change the trainer's settings."""
        if self.subcommand == "fit":
            return self._fit_callbacks(settings)
        assert self.ckpt_path is not None
        folder = self.run.folder if self.run else results_beside(self.ckpt_path)
        if self.subcommand == "predict":
            self._predictions = folder / "predictions.csv"
            return [PredictionFile(self._predictions)]
        if self.subcommand == "test":
            self._dump_config()
            receipt: Receipt = self._get(self.config_init, "receipt")
            receipt.origin = origin_of(self.ckpt_path, self.checkpoint, folder, self.config_dump, self.call.options)
            return [receipt]
        if self.subcommand == "picture":
            self._drawn = picture_files(self._get(self.config_init, "pictures"), folder, self.checkpoint["epoch"] + 1)
            return [self._drawn]
        return []

    def _fit_callbacks(self, settings: dict[str, Any]) -> list[Callback]:
        """The run's folder is made here, and what keeps its checkpoints, pictures and record; a trial has none."""
        if self.run is None and self.first and not settings["fast_dev_run"]:
            self.run = Run.create(logs_folder(self._get(self.config_init, "logs"), self.home), self.experiment)
        chosen = self._get(self.config_init, "checkpoint")
        folder = self.run.checkpoint(BEST).parent if self.run else None  # the other processes learn it from the first
        # two of them, for save_last keeps the last one that was among the best, not the last epoch
        best, last = BestCheckpoint(folder, BEST, chosen.monitor, chosen.mode), LastCheckpoint(folder, LAST)
        self._dump_config()
        for name in ("logs", "seeds", "ckpt_path"):
            self.config_dump.pop(name, None)  # of this call, not of the run
        text = yaml.safe_dump(self.config_dump, sort_keys=False)
        before = checkpoints.configuration(self.checkpoint) if self.ckpt_path is not None else {}
        self._record, empty = RunRecord(self.run, text, self.config_dump), EmptyHooks()
        self._limits.callback(empty.put_back)
        return [
            empty,
            *(self._get(self.config_init, name) for name in ("calibrate", "checkup", "pictures")),
            MonitorCheck(monitors(self.config[self.subcommand])),
            *([best, last] if settings["enable_checkpointing"] is not False else []),
            self._record,
            Resumption(*(config.get("model", {}).get("init_args", {}) for config in (before, self.config_dump))),
        ]

    def _prepare_subcommand_kwargs(self, subcommand: str) -> dict[str, Any]:
        """The arguments of the trainer's method; nothing in a checkpoint is run."""
        path = str(self.ckpt_path) if self.ckpt_path else None
        kwargs = {**super()._prepare_subcommand_kwargs(subcommand), "ckpt_path": path, "weights_only": True}
        if subcommand in ("validate", "test", "picture"):
            kwargs["verbose"] = False  # the console has a table of its own
        return kwargs

    def _run_subcommand(self, subcommand: str) -> None:
        if subcommand != "fit" and self.first:
            print(f"checkpoint: {self.ckpt_path}")
        with before_the_end(self._leave):
            try:
                super()._run_subcommand(subcommand)
                self._others.end_together()
            except BaseException:
                self._leave()
                raise

    def _leave(self) -> None:
        """Leave nothing of a command that ends before its end: no other process, no run that never began."""
        if self.subcommand == "fit" and self.run is not None and not self._record.has_trained(self.trainer):
            self.run.discard()
        self._others.end()

    def fit(self, **kwargs: Any) -> None:
        """Train, and note in the run's record how it ended."""
        for name in ("max_epochs", "max_steps", "limit_train_batches"):
            if getattr(self.trainer, name) == 0:
                raise UserError(f"trainer.{name}: 0 trains nothing")
        if self.ckpt_path is not None:
            check_left(self.ckpt_path, self.checkpoint, self.trainer)
        if self.run is None:
            self._fit_along(**kwargs)
            return
        parameters = sum(parameter.numel() for parameter in self.model.parameters())
        self._record.headline = f"run: {self.run.folder} ({parameters} parameters, {self._devices()})"
        with self.run as run:
            try:
                self.trainer.fit(**kwargs)
            except BaseException as error:
                if self._record.noted:
                    with suppress(UserError):  # a full disk, which has its own message
                        run.note(status=self.trainer.state.status.value)
                if (interrupted := Interrupted.by(error, run)) is not None:
                    raise interrupted from None
                raise
            if not self._record.has_trained(self.trainer):
                raise UserError("trainer: nothing was trained: allow it an epoch, a step and a batch at least")
            run.note(status=self.trainer.state.status.value)
        self._note_figures()
        if run.checkpoint(BEST).is_file():
            print(f"best checkpoint: {run.checkpoint(BEST)}")

    def _fit_along(self, **kwargs: Any) -> None:
        """Train in a process that has no run's folder: the first one has it, or this is a trial."""
        if trial := self.first:
            batches = int(self.trainer.fast_dev_run)  # type: ignore[attr-defined]  # Lightning sets it from afar
            parts = f"{batches} batch{'es' * (batches > 1)} of training and of validation"
            print(f"trainer.fast_dev_run: a trial of {parts}, of which nothing is kept", flush=True)
        try:
            self.trainer.fit(**kwargs)
        except Stopped as stopped:
            if trial:
                raise
            raise Interrupted(stopped, None) from None

    def _devices(self) -> str:
        processes = f", {self.trainer.world_size} processes" if self.trainer.world_size > 1 else ""
        return f"{self.trainer.accelerator.name()}{processes}"

    def test(self, **kwargs: Any) -> None:
        """Test the checkpoint, and note its figures in the run's record."""
        self.trainer.test(**kwargs)
        self._note_figures()

    def _note_figures(self) -> None:
        """Put the newest metrics into the run's record, and those of its best checkpoint."""
        if self.run is None:
            return
        metrics = self.trainer.callback_metrics
        new = {name: float(value) for name, value in metrics.items() if name.count("/") == 1}
        new |= {f"{stage}/{name}": value for stage in STAGES for name, value in logged(self.trainer, stage).items()}
        try:
            best = checkpoints.figures(checkpoints.read(self.run.checkpoint(BEST)))
        except UserError:  # there may be none
            best = {}
        try:
            self.run.note(figures={**self.run.record().get("figures", {}), **new}, **({"best": best} if best else {}))
        except UserError as error:
            warnings.warn(str(error), LitspikeWarning, stacklevel=2)

    def predict(self, **kwargs: Any) -> None:
        """Predict into a file."""
        self.trainer.predict(**kwargs, return_predictions=False)
        if self.first:
            print(f"predictions: {self._predictions}")

    def picture(self, **kwargs: Any) -> None:
        """Draw the checkpoint into files."""
        if not isinstance(self.model, Task):
            raise UserError(
                f"picture: {type(self.model).__name__} is no litspike.tasks.Task, of which pictures are made"
            )
        self.trainer.picture(**kwargs)  # type: ignore[attr-defined]  # it is the class that was given
        if self.first and not self._drawn.paths:
            raise UserError("picture: none could be drawn")
        for path in self._drawn.paths:
            print(f"picture: {path}")

    def export(self, **kwargs: Any) -> None:
        """Write the checkpoint in another format, and prove what was written."""
        assert self.ckpt_path is not None
        folder = self.run.folder if self.run else results_beside(self.ckpt_path)
        to, name = self._get(self.config, "to"), self._get(self.config, "name")
        checkpoint = self.ckpt_path, self.checkpoint
        export_checkpoint(self.trainer, self.model, self.datamodule, checkpoint, folder, to, name)


class Interrupted(UserError):
    """A fit that was asked to end.

    Args:
        stopped: by what.
        run: the fit's; None in a process that knows none.
    """

    def __init__(self, stopped: Stopped, run: Run | None) -> None:
        onward = f"go on with `{program()} fit --ckpt_path last`"
        kept = onward if run is None or run.checkpoint(LAST).is_file() else "no epoch was complete, nothing is kept"
        super().__init__(f"{stopped.words}: {kept}")
        self.status = stopped.status

    @classmethod
    def by(cls, error: BaseException, run: Run) -> Interrupted | None:
        """What an error says of an interruption: it may be Lightning's answer to a KeyboardInterrupt, an exit."""
        stopped = Stopped(signal.SIGINT) if isinstance(error, SystemExit) else error
        return cls(stopped, run) if isinstance(stopped, Stopped) else None


def _check_accelerator(accelerator: Any) -> None:
    """Refuse a GPU that is not there, before anything is made."""
    if accelerator in ("gpu", "cuda") and not torch.cuda.is_available() and not torch.backends.mps.is_available():
        raise UserError(f"trainer.accelerator: {accelerator!r} asks for a GPU and torch sees none: set cpu or auto")
