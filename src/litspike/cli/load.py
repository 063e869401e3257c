"""A trained task from a checkpoint, for Python: made and checked as the command line makes and checks it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule

from litspike.cli.arguments import Call
from litspike.cli.check.weights import check_weights
from litspike.cli.command import configured
from litspike.runs.folder import logs_folder
from litspike.runs.resolve import experiment_folder, newest_finished
from litspike.seeding import isolated


def load(
    path: str | os.PathLike[str], trust: Sequence[str], device: str | torch.device, logs: str | os.PathLike[str] | None
) -> LightningModule:
    """See :func:`litspike.load`."""
    checkpoint = _file(Path(path).expanduser(), logs_folder(None if logs is None else os.fspath(logs), Path.cwd()))
    words = [f"--ckpt_path={checkpoint}", "--seed_everything=false", *(f"--trust={name}" for name in trust)]
    with isolated(), ExitStack() as limits:
        command = configured(Call(["predict", *words]), Path.cwd(), limits, sections=["model"])
        for name in set(vars(command.config)) - {"model"}:
            del command.config[name]
        task: Any = command.parser.instantiate_classes(command.config).model
    source = command.source
    assert source is not None
    check_weights(source.path, source.checkpoint, task)
    task.on_load_checkpoint(source.checkpoint)
    task.load_state_dict(source.checkpoint["state_dict"])
    made: LightningModule = task.to(device).eval()
    return made


def _file(path: Path, logs: Path) -> Path:
    """The path as the command line takes it: of an experiment's name or folder it is the newest finished run's."""
    folder = experiment_folder(path, logs)
    return path if folder is None else newest_finished(folder.parent, folder.name).folder
