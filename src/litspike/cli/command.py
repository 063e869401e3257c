"""From a command line to its configuration, and from this to model, data and trainer settings."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from jsonargparse import Namespace
from lightning import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.cli import LightningArgumentParser

from litspike.cli import configurations
from litspike.cli.app import LitspikeCLI
from litspike.cli.arguments import Call
from litspike.cli.check.memory import check_network
from litspike.cli.constructor_errors import check_needed, users_mistakes
from litspike.cli.untrusted_errors import untrusted_errors
from litspike.internals.jsonargparse import limited_imports
from litspike.internals.lightning import name_loader_arguments
from litspike.runs import checkpoints, yaml_text
from litspike.runs.checkpoints import Checkpoint
from litspike.runs.folder import Run, logs_folder, results_of
from litspike.runs.processes import place
from litspike.runs.resolve import find
from litspike.runs.trust import BEHIND, Trust
from litspike.runs.untrusted import check_folder, limited
from litspike.settings import LitspikeWarning, integer

MOST_THREADS = 1024
_log = logging.getLogger("litspike")


@dataclass(frozen=True)
class Source:
    """The checkpoint that a command uses."""

    path: Path
    checkpoint: Checkpoint
    run: Run | None
    """The run that it lies in; None where it lies elsewhere, and in every process but the first."""
    folder: Path
    """Where what is found out about it is written."""


@dataclass(frozen=True)
class Command:
    """A command line, and the configuration that it comes to."""

    call: Call
    home: Path
    source: Source | None
    parser: LightningArgumentParser
    config: Namespace

    @property
    def logs(self) -> Path:
        """Folder of all runs."""
        return logs_folder(self.config.get("logs"), self.home)

    def settings(self) -> dict[str, Any]:
        """The configuration as nested dictionaries of plain values."""
        text = self.parser.dump(  # the parser has validated it
            self.config, format="yaml", skip_unset=False, skip_validation=True, skip_link_targets=False
        )
        settings: dict[str, Any] = yaml.safe_load(text)
        return settings


@dataclass(frozen=True)
class Parts:
    """What is made of a configuration; ``sections`` has it all by name."""

    model: LightningModule
    data: LightningDataModule
    sections: Namespace


@dataclass(frozen=True)
class Outcome:
    """What a command leaves to whoever called it from Python."""

    parts: Parts
    trainer: Trainer
    run: Run | None


def configured(call: Call, home: Path, limits: ExitStack, sections: Collection[str] | None = None) -> Command:
    """Read the configuration files and the checkpoint that a command line names, and parse it on top of them.

    Args:
        call: the command line, with a subcommand.
        home: folder with ``configs/`` and, unless ``--logs`` says otherwise, ``logs/``.
        limits: gets what holds until the command has ended, where the checkpoint is somebody else's.
        sections: of a checkpoint's configuration that are taken over; all of them where None.

    Raises:
        UserError: if a file or the checkpoint can't be used, or an argument is wrong.
    """
    for name in call.named:
        if configurations.hides(name, home):
            _log.info(f"config: {configurations.find(name, home)} comes before litspike's own of that name")
    default = str(configurations.default(home))
    files = [yaml_text.read(path) for path in (default, *call.configs)]
    needed = call.subcommand != "fit" or call.option("--ckpt_path") is not None
    source = _source(call, home) if needed and not call.asks_for_help else None
    base = None if source is None else (_configuration(call, files, source, limits, sections), source.path)
    cli = LitspikeCLI(call, default, files, base)
    return Command(call, home, source, cli.parser, cli.config)


def _source(call: Call, home: Path) -> Source:
    logs = logs_folder(call.logs, home)
    path = find(call.checkpoint_request, logs)
    checkpoint = checkpoints.read(path)
    run = Run.of(path, checkpoints.config_text(checkpoint)) if place().first else None
    return Source(path, checkpoint, run, run.folder if run else results_of(path, logs))


def _configuration(
    call: Call, files: list[dict[str, Any]], source: Source, limits: ExitStack, sections: Collection[str] | None
) -> dict[str, Any]:
    """The checkpoint's, or what is taken over of somebody else's; from then on its limits hold."""
    config = checkpoints.configuration(source.checkpoint)
    if not config and place().first:
        problem = "holds no configuration: the settings are those of the default, the files and the command line"
        warnings.warn(f"{source.path} {problem}", LitspikeWarning, stacklevel=2)
    if sections is not None:
        config = {name: settings for name, settings in config.items() if name in sections}
    if source.checkpoint.own:
        return config
    trust = Trust.of(call.class_values, call.trusted, files)
    check_folder(source.folder)
    limits.enter_context(untrusted_errors(source.path))
    limits.enter_context(limited_imports(trust.importable, BEHIND))
    return limited(config, source.path, trust)


def make(command: Command) -> Parts:
    """Make every class that the configuration names.

    Raises:
        UserError: with the setting's name, where a class refuses what it is given.
    """
    threads = command.config.get("threads")
    if threads is not None:
        torch.set_num_threads(integer("threads", threads, most=MOST_THREADS))
        os.environ["OMP_NUM_THREADS"] = str(threads)  # of several processes Lightning would set another number
    check_needed(command.config)
    check_network(command.config, trains=command.call.subcommand == "fit")
    with users_mistakes(command.config):
        made = command.parser.instantiate_classes(command.config)
    name_loader_arguments(made.data)
    return Parts(made.model, made.data, made)
