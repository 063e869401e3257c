"""The file of predictions: written batch by batch, whole or not at all."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import LightningModule, Trainer
from torch import Tensor
from torch.utils.data import DataLoader

from litspike.reports.predictions import PredictionFile


class Doubled(LightningModule):
    """Answers with twice what it gets, and looks whether its earlier answers are still held."""

    def __init__(self, path: Path, fails_at: int | None = None) -> None:
        super().__init__()
        self.path, self.fails_at = path, fails_at
        self.answers: list[weakref.ref[Tensor]] = []
        self.held: list[int] = []
        self.written: list[int] = []

    def predict_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        if batch_idx == self.fails_at:
            raise RuntimeError("in the middle")
        gc.collect()
        self.held.append(sum(answer() is not None for answer in self.answers))
        self.written.append(len(list(self.path.parent.glob("*predictions.csv*"))))
        answer = batch * 2
        self.answers.append(weakref.ref(answer))
        return answer


def predict(module: Doubled, rows: int = 60) -> None:
    trainer = Trainer(
        accelerator="cpu", logger=False, enable_progress_bar=False, callbacks=[PredictionFile(module.path)]
    )
    loader: Any = DataLoader(torch.arange(rows).float(), batch_size=7)
    trainer.predict(module, loader, return_predictions=False)


@pytest.mark.slow
def test_answers_are_written_as_they_come_and_held_no_longer(tmp_path: Path):
    module = Doubled(tmp_path / "predictions.csv")
    predict(module)
    assert max(module.held) <= 1  # that of the batch before
    assert module.written == [0, *[1] * 8]
    assert (tmp_path / "predictions.csv").read_text().split() == ["value", *(str(2.0 * row) for row in range(60))]
    assert list(tmp_path.iterdir()) == [tmp_path / "predictions.csv"]


def test_after_an_error_in_the_middle_the_file_before_is_as_it_was(tmp_path: Path):
    (tmp_path / "predictions.csv").write_text("before")
    with pytest.raises(RuntimeError, match="in the middle"):
        predict(Doubled(tmp_path / "predictions.csv", fails_at=3))
    assert (tmp_path / "predictions.csv").read_text() == "before"
    assert list(tmp_path.iterdir()) == [tmp_path / "predictions.csv"]
