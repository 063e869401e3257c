"""The loggers of a trainer: there may be none, one or several, in any order."""

from __future__ import annotations

from lightning import Trainer
from lightning.pytorch.loggers import TensorBoardLogger


def boards(trainer: Trainer) -> list[TensorBoardLogger]:
    """Those that write for TensorBoard, which takes pictures and settings too."""
    return [logger for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]
