"""The file that ``predict`` leaves behind."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import BasePredictionWriter
from torch import Tensor

from litspike.files import replacing
from litspike.runs.collectives import rows_of_all
from litspike.settings import UserError


class PredictionFile(BasePredictionWriter):
    r"""Writes what ``predict_step`` returns, a dictionary of tensors [B, \*] or one tensor, as one CSV row a sample.

    Args:
        path: the file; one that is there is replaced, whole or not at all.

    Raises:
        UserError: if it can't be written, ``predict_step`` returns anything else, or an answer is NaN or infinite.
    """

    def __init__(self, path: Path) -> None:
        super().__init__("epoch")
        self.path = path

    def write_on_epoch_end(
        self, trainer: Trainer, pl_module: LightningModule, predictions: Sequence[Any], batch_indices: Sequence[Any]
    ) -> None:
        columns = [dict(_columns(_checked(batch, pl_module))) for batch in predictions]
        rows = rows_of_all(trainer, [row for batch in columns for row in zip(*batch.values(), strict=True)])
        if not trainer.is_global_zero:
            return
        table = _beside_the_data(dict(zip(columns[0], zip(*rows, strict=True), strict=True)), trainer)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(self.path) as draft, draft.open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                writer.writerow(table)
                writer.writerows(zip(*table.values(), strict=True))
        except OSError as error:
            raise UserError(f"{self.path} can't be written ({error.strerror})") from error


GIVEN = ("x", "label", "target")
"""Columns that come from the data and not from the network."""


def _beside_the_data(table: dict[str, Sequence[Any]], trainer: Trainer) -> dict[str, Sequence[Any]]:
    """The columns with names of classes for their numbers, and after those of the data's own file where it has some.

    A data module says them in ``class_names`` and ``given_columns()``, of all samples that are predicted.
    """
    data: Any = trainer.datamodule  # type: ignore[attr-defined]  # Lightning sets it from afar
    names: list[str] = getattr(data, "class_names", [])
    if names:
        table |= {key: [names[index] for index in table[key]] for key in ("label", "class") if key in table}
    given: dict[str, list[Any]] = data.given_columns() if hasattr(data, "given_columns") else {}
    if not given:
        return table
    rows = len(next(iter(table.values()), ()))
    answers = {key: value for key, value in table.items() if key.rstrip("0123456789") not in GIVEN}
    shown: dict[str, Sequence[Any]] = {key: cells[:rows] for key, cells in given.items()}
    return {**shown, **{f"predicted_{key}" if key in given else key: value for key, value in answers.items()}}


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


def _columns(batch: dict[str, Tensor]) -> Iterator[tuple[str, list[Any]]]:
    for name, values in batch.items():
        if values.dim() == 1:
            yield name, values.tolist()
        else:
            for index, column in enumerate(values.flatten(1).unbind(1)):
                yield f"{name}{index}", column.tolist()
