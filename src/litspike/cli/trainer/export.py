"""The subcommand that exports a checkpoint: its task and test data are handed over to litspike.export."""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path
from typing import Any

from lightning import LightningDataModule, LightningModule, Trainer

from litspike.cli.check.sample import check_part
from litspike.export.command import TestPart, export, show
from litspike.export.formats import FORMATS
from litspike.reports.receipt.exports import add_to_receipt
from litspike.reports.receipt.provenance import file_hash, versions
from litspike.seeding import isolated
from litspike.settings import UserError
from litspike.tasks import Task
from litspike.terminal import Terminal


def add_export_arguments(parser: Any) -> None:
    """What the subcommand has beside those of all."""
    parser.add_argument("--to", type=str | None)
    parser.add_argument("--name", type=str, default="network")


def export_checkpoint(
    trainer: Trainer,
    model: LightningModule,
    data: LightningDataModule,
    checkpoint: tuple[Path, dict[str, Any]],
    folder: Path,
    to: str | None,
    name: str,
) -> None:
    """Export a checkpoint into a folder, prove it on the test data, and say what came of it.

    Args:
        trainer: whose settings count: precision and the number of test batches.
        model: without the checkpoint's weights.
        data: with a test part.
        checkpoint: its file, and what is in it.
        folder: the run's.
        to: the format.
        name: what the files are called by.

    Raises:
        UserError: if it can't be exported.
    """
    if to not in FORMATS:
        raise UserError(f"export: say to which format, --to {'|'.join(FORMATS)}" + (f", not {to}" if to else ""))
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
        report = export(model.cpu().eval(), _test_part(trainer, model, data), to, name, folder, about)
    terminal = Terminal()
    show(report, lambda part: print(part) if isinstance(part, str) else terminal.print(part))
    add_to_receipt(folder)
    print(f"export: {folder / 'export' / to}")


def _test_part(trainer: Trainer, task: Task, data: LightningDataModule) -> TestPart:
    """The batches of the test part, as many as the trainer is to take."""
    data.trainer = trainer
    data.prepare_data()
    data.setup("test")
    loader: Any = data.test_dataloader()
    check_part(task, "test", loader)
    limit = trainer.limit_test_batches
    count = limit if isinstance(limit, int) else None if limit == 1.0 else max(int(len(loader) * limit), 1)
    batches = (
        data.on_after_batch_transfer(data.on_before_batch_transfer(batch, 0), 0) for batch in islice(loader, count)
    )
    return TestPart(batches, count is None)
