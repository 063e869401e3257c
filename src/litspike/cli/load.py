"""A trained task from a checkpoint, for Python: made and checked as the command line makes and checks it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule

from litspike.cli.app import LitspikeCLI
from litspike.cli.check.weights import check_weights
from litspike.runs.folder import logs_folder
from litspike.runs.resolve import newest_finished
from litspike.seeding import isolated


class _Model(LitspikeCLI):
    """The command line up to the model: no data, no trainer, no seed, and nothing is run."""

    def _set_seed(self) -> None:
        pass

    def instantiate_classes(self) -> None:
        """Make the model alone."""
        settings = self.config[self.subcommand]
        for name in set(vars(settings)) - {"model"}:
            del settings[name]
        self.model = self.parser.instantiate_classes(self.config)[self.subcommand].model

    def _run_subcommand(self, subcommand: str) -> None:
        pass


def load(
    path: str | os.PathLike[str], trust: Sequence[str], device: str | torch.device, logs: str | os.PathLike[str] | None
) -> LightningModule:
    """See :func:`litspike.load`."""
    checkpoint = _file(Path(path).expanduser(), logs_folder(None if logs is None else os.fspath(logs), Path.cwd()))
    words = ["predict", f"--ckpt_path={checkpoint}", *(f"--trust={name}" for name in trust)]
    with isolated(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r".*args.*parameter is intended")  # a script may have its own
        cli = _Model(words, Path.cwd())
    task: Any = cli.model
    assert cli.ckpt_path is not None
    check_weights(cli.ckpt_path, cli.checkpoint, task)
    task.on_load_checkpoint(cli.checkpoint)
    task.load_state_dict(cli.checkpoint["state_dict"])
    made: LightningModule = task.to(device).eval()
    return made


def _file(path: Path, logs: Path) -> Path:
    """The path as the command line takes it: of an experiment's name or folder it is the newest finished run's."""
    for folder in (path, logs / path):
        if not (folder / "run.json").exists() and folder.is_dir() and any(folder.glob("*/run.json")):
            return newest_finished(folder.resolve().parent, folder.resolve().name).folder
    return path
