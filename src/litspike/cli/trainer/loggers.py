"""The trainer's loggers: TensorBoard on a full disk, and tables that go on with the rows that are there."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

from litspike.settings import LitspikeWarning


class BestEffortBoard(TensorBoardLogger):
    """TensorBoard's logger, which warns once where the disk takes nothing, and then is silent.

    It is a test's, whose table and receipt are worth having on a full disk too.
    """

    _broken = False

    @property
    def experiment(self) -> Any:
        """TensorBoard's writer, or something that takes everything and writes nothing."""
        if not self._broken:
            try:
                return super().experiment
            except OSError as error:
                self._give_up(error)
        return _Nothing()

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self._try(lambda: super(BestEffortBoard, self).log_metrics(metrics, step))

    def save(self) -> None:
        self._try(lambda: super(BestEffortBoard, self).save())

    def finalize(self, status: str) -> None:
        self._try(lambda: super(BestEffortBoard, self).finalize(status))

    def _try(self, write: Callable[[], None]) -> None:
        if self._broken:
            return
        try:
            write()
        except (OSError, ValueError) as error:  # Lightning makes a ValueError of whatever a writer raises
            cause = error.__cause__ or error
            if not isinstance(cause, OSError):
                raise
            self._give_up(cause)

    def _give_up(self, error: OSError) -> None:
        self._broken = True
        warnings.warn(f"TensorBoard gets nothing in {self.log_dir}: {error.strerror}", LitspikeWarning, stacklevel=2)


class _Nothing:
    """Has every method, and none does anything."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_, **__: None


def keep_rows(logger: Any) -> None:
    """Let Lightning's CSV loggers go on with the rows that are there: they would begin by deleting them.

    Args:
        logger: the Trainer's: one, several or none.
    """
    for one in logger if isinstance(logger, (list, tuple)) else [logger]:
        if not isinstance(one, CSVLogger):
            continue
        path = Path(one.log_dir) / "metrics.csv"
        if not path.is_file():
            continue
        aside = path.with_name("metrics.csv.kept")
        path.rename(aside)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that the folder isn't empty
                writer = one.experiment
        finally:
            aside.rename(path)
        with path.open(encoding="utf-8", newline="") as file:
            writer.metrics_keys = next(csv.reader(file), [])
