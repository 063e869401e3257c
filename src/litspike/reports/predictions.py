"""The file that ``predict`` leaves behind."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import BasePredictionWriter
from torch import Tensor

from litspike.files import replacing
from litspike.runs.collectives import rows_of_all
from litspike.settings import UserError


class PredictionFile(BasePredictionWriter):
    r"""Writes what ``predict_step`` returns, a dictionary of tensors [B, \*] or one tensor, as one CSV row a sample.

    Each batch is written as it comes, so that memory doesn't grow with their number.

    Args:
        path: the file; one that is there is replaced, whole or not at all.

    Raises:
        UserError: if it can't be written, ``predict_step`` returns anything else, or an answer is NaN or infinite.
    """

    def __init__(self, path: Path) -> None:
        super().__init__("batch")
        self.path = path
        self._most = self._rows = 0
        self._names: list[str] = []
        self._classes: list[str] = []
        self._outputs: list[str] = []
        self._given: dict[str, list[Any]] = {}
        self._writer: Any = None  # in the first process, once it has written the names of the columns
        self._file = ExitStack()

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Learn how many batches the process with the most of them has: all bring their rows together so often."""
        data: Any = trainer.datamodule  # type: ignore[attr-defined]  # Lightning sets it from afar
        self._classes = getattr(data, "class_names", [])
        self._outputs = self._classes or getattr(data, "target_names", [])
        self._given = data.given_columns() if hasattr(data, "given_columns") else {}
        own = torch.tensor(float(sum(trainer.num_predict_batches)), device=pl_module.device)
        self._most = int(trainer.strategy.reduce(own, reduce_op="max"))

    def write_on_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, prediction: Any, batch_indices: Any, *_: Any
    ) -> None:
        columns = dict(_columns(_checked(prediction, pl_module), self._outputs))
        self._names = list(columns)
        self._write(trainer, list(zip(*columns.values(), strict=True)))

    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put the file into its place."""
        while self._most:
            self._write(trainer, [])
        try:
            self._file.close()
        except OSError as error:
            raise self._unwritable(error) from error

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Leave the file that was there, and nothing of this one."""
        self._file.__exit__(type(exception), exception, None)

    def _write(self, trainer: Trainer, rows: list[Any]) -> None:
        """Write a batch of every process in the first one."""
        self._most -= 1
        rows = rows_of_all(trainer, rows)
        if not trainer.is_global_zero or not rows:
            return
        table = self._beside_the_data(dict(zip(self._names, zip(*rows, strict=True), strict=True)), len(rows))
        try:
            if self._writer is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                draft = self._file.enter_context(replacing(self.path))
                file = self._file.enter_context(draft.open("w", newline="", encoding="utf-8"))
                self._writer = csv.writer(file)
                self._writer.writerow(table)
            self._writer.writerows(zip(*table.values(), strict=True))
        except OSError as error:
            raise self._unwritable(error) from error

    def _beside_the_data(self, table: dict[str, Sequence[Any]], rows: int) -> dict[str, Sequence[Any]]:
        """The columns with names of classes for their numbers, and after those of the data's own file if it has some.

        A data module says them in ``class_names`` and ``given_columns()``, of all samples that are predicted; those of
        several numbers to predict in ``target_names``.
        """
        first, self._rows = self._rows, self._rows + rows
        if self._classes:
            table |= {key: [self._classes[at] for at in table[key]] for key in ("label", "class") if key in table}
        if not self._given:
            return table
        answers = {key: value for key, value in table.items() if key.rstrip("0123456789") not in GIVEN}
        shown: dict[str, Sequence[Any]] = {key: cells[first : first + rows] for key, cells in self._given.items()}
        return {**shown, **{f"predicted_{key}" if key in shown else key: value for key, value in answers.items()}}

    def _unwritable(self, error: OSError) -> UserError:
        return UserError(f"{self.path} can't be written ({error.strerror})")


GIVEN = ("x", "label", "target")
"""Columns that come from the data and not from the network."""


def _checked(batch: Any, module: LightningModule) -> dict[str, Tensor]:
    """What a ``predict_step`` returned, as named tensors with a row for each sample."""
    named = {"value": batch} if isinstance(batch, Tensor) else batch
    tensors = isinstance(named, dict) and all(isinstance(value, Tensor) and value.dim() for value in named.values())
    if not tensors or len({len(value) for value in named.values()}) != 1:
        raise UserError(
            f"predict: predict_step of {type(module).__name__} has to return a tensor with a row for each sample, or a "
            f"dictionary of them; it returned {type(batch).__name__}"
        )
    for name, value in named.items():
        if name not in GIVEN and not bool(value.isfinite().all()):
            raise UserError(
                f"predict: the network's answers ({name}) are NaN or infinite, and nothing was written: look at the "
                "weights of the checkpoint and at the data"
            )
    return named


def _columns(batch: dict[str, Tensor], outputs: Sequence[str]) -> Iterator[tuple[str, list[Any]]]:
    """Columns by name; those of an answer by the network's outputs, where they have names."""
    for name, values in batch.items():
        if values.dim() == 1:
            of_second = name == "probability" and len(outputs) == 2  # of two classes
            yield f"{name}_{outputs[1]}" if of_second else name, values.tolist()
            continue
        columns = values.flatten(1).unbind(1)
        named = name not in GIVEN and len(columns) == len(outputs)
        for index, column in enumerate(columns):
            yield f"{name}_{outputs[index]}" if named else f"{name}{index}", column.tolist()
