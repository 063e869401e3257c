"""The subcommand that exports a checkpoint: its task and test data are handed over to litspike.export."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, get_type_hints

from lightning import LightningDataModule, LightningModule, Trainer

from litspike.cli.trainer.data_parts import first_samples, test_part
from litspike.export.artefact import Artefact, Subject
from litspike.export.command import export, show
from litspike.export.formats import FORMATS, format_named
from litspike.export.integer.fixed import Settings
from litspike.files import file_hash
from litspike.networks.quantised import ScaleRule
from litspike.reports.receipt.exports import add_to_receipt
from litspike.reports.receipt.provenance import versions
from litspike.seeding import isolated
from litspike.settings import UserError
from litspike.tasks import Task
from litspike.terminal import Terminal, from_here

_SAMPLES = 64
"""Of the validation part, whose numbers decide where binary points are."""


def add_export_arguments(parser: Any) -> None:
    """What the subcommand has beside those of all."""
    for name, kind in get_type_hints(ExportSettings).items():
        parser.add_argument(f"--{name}", type=kind, default="network" if name == "name" else None)


class ExportSettings(NamedTuple):
    """What the command line says of an export."""

    to: str | None
    """The format."""
    name: str
    """What the files are called by."""
    integer: int | None
    """Bits of a weight; None in floating point."""
    scale: ScaleRule | None
    states: int | None
    """Bits of a state."""
    dialect: str | None
    """Library that a file in NIR is for."""
    dt: float | None
    """Seconds of a step in NIR."""
    discretisation: str | None
    approximate: bool | None
    """Whether what NIR has no place for is written as what comes nearest."""

    def of_nir(self) -> dict[str, Any]:
        """The settings of NIR that were given."""
        names = ("dialect", "dt", "discretisation", "approximate")
        return {name: value for name in names if (value := getattr(self, name)) is not None}

    @classmethod
    def of(cls, config: Any) -> ExportSettings:
        """Of the whole configuration."""
        return cls(*(config[name] for name in cls._fields))

    def check(self) -> None:
        """Raise :class:`UserError` where one doesn't go with another."""
        if self.to not in FORMATS:
            given = f", not {self.to}" if self.to else ""
            raise UserError(f"export: say to which format, --to {'|'.join(FORMATS)}{given}")
        if self.to != "nir":
            for name, value in self.of_nir().items():
                raise UserError(f"export: {name}: {value} is for --to nir alone, not for {self.to}")
        if self.integer is None:
            for name in ("scale", "states"):
                if (value := getattr(self, name)) is not None:
                    raise UserError(f"export: {name}: {value} is of integers: set --integer 8 as well")
            return
        if self.to != "c":
            raise UserError(f"export: integer: {self.integer} is for --to c alone, not for {self.to}")
        if not 2 <= self.integer <= 8:
            raise UserError(f"export: integer: {self.integer} is no number of bits from 2 to 8")
        if self.states not in (None, 16, 32):
            raise UserError(f"export: states: {self.states} bits are neither 16 nor 32")


def export_checkpoint(
    trainer: Trainer,
    model: LightningModule,
    data: LightningDataModule,
    checkpoint: tuple[Path, dict[str, Any]],
    folder: Path,
    asked_for: ExportSettings,
) -> None:
    """Export a checkpoint into a folder, prove it on the test data, and say what came of it.

    Args:
        trainer: whose settings count: precision and the number of test batches.
        model: without the checkpoint's weights.
        data: with a test part.
        checkpoint: its file, and what is in it.
        folder: the run's.
        asked_for: what is to be written.

    Raises:
        UserError: if it can't be exported.
    """
    asked_for.check()
    if not isinstance(model, Task):
        raise UserError(f"export: {type(model).__name__} is no litspike.tasks.Task, which alone can be exported")
    if str(trainer.precision) != "32-true":
        raise UserError(f"export: trainer.precision: {trainer.precision} is not what is written: set 32-true")
    if trainer.world_size > 1:
        raise UserError("export: trainer.devices: one process writes: set 1")
    path, content = checkpoint
    model.on_load_checkpoint(content)
    model.load_state_dict(content["state_dict"])
    about = {
        "checkpoint": {"file": os.path.relpath(path, folder), "sha256": file_hash(path)},
        "versions": versions(),
    }
    with isolated():
        test = test_part(trainer, model, data, content)
        maker = _maker(asked_for, model, data, content)
        report = export(model.cpu().eval(), test, maker, asked_for.name, folder, about)
    terminal = Terminal()
    show(report, lambda part: print(part) if isinstance(part, str) else terminal.print(part))
    add_to_receipt(folder)
    print(f"export: {from_here(folder / 'export' / report['format'])}")


def _maker(
    asked_for: ExportSettings, task: Task, data: LightningDataModule, checkpoint: dict[str, Any]
) -> Callable[[Subject, str], Artefact]:
    """What makes the artefact of a subject and a name."""
    if asked_for.integer is None:
        return partial(format_named(str(asked_for.to)), **asked_for.of_nir())
    from litspike.export.integer.file import IntegerFile  # with what the other formats don't need

    settings = Settings(asked_for.integer, asked_for.scale or "free", asked_for.states or 16)
    samples = first_samples(task, data, "val", _SAMPLES, checkpoint)
    return lambda subject, name: IntegerFile(subject, name, settings, samples)
