"""TensorBoard for a test, whose table and receipt are worth having on a full disk too."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

from lightning.pytorch.loggers import TensorBoardLogger

from litspike.settings import LitspikeWarning


class BestEffortBoard(TensorBoardLogger):
    """TensorBoard's logger, which warns once where the disk takes nothing, and then is silent."""

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
