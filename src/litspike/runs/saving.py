"""When a fit writes its best and its last checkpoint."""

from __future__ import annotations

import math
import time
from pathlib import Path

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from litspike.loggers import log_at, position
from litspike.runs.collectives import as_the_first


class EpochCheckpoint(ModelCheckpoint):
    """A checkpoint of epochs and validations, which doesn't look at every step whether it should be written."""

    on_train_batch_end = Callback.on_train_batch_end

    def __init__(self, folder: Path | None, name: str, monitor: str | None = None, mode: str = "min") -> None:
        super().__init__(
            str(folder) if folder else None,
            name,
            monitor=monitor,
            mode=mode,
            save_on_train_epoch_end=True,
            enable_version_counter=False,
        )


class BestCheckpoint(EpochCheckpoint):
    """The weights that the best value of a metric was measured with.

    A metric of the validation counts when it was measured, inside an epoch too; at the epoch's end only where the
    weights are still the same. Each best value is logged, as ``best/val/loss``: TensorBoard's HParams tab shows the
    first five metrics by name alone, and no other of the validation is among them.
    """

    def __init__(self, folder: Path | None, name: str, monitor: str, mode: str) -> None:
        super().__init__(folder, name, monitor, mode)
        self._by_validation, self._validated_at = monitor.startswith("val/"), -1

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note which weights were measured, and write them where the epoch goes on to change them."""
        if not self._by_validation or trainer.state.fn != "fit" or trainer.sanity_checking:
            return
        self._validated_at = trainer.global_step
        if not trainer.is_last_batch:
            self._write(trainer, pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the weights, where the metric is theirs."""
        if not self._by_validation or self._validated_at == trainer.global_step:
            self._write(trainer, pl_module)

    def _write(self, trainer: Trainer, pl_module: LightningModule) -> None:
        before = self.best_model_score
        super().on_train_epoch_end(trainer, pl_module)
        if self.best_model_score is not None and self.best_model_score is not before:
            log_at(trainer, {f"best/{self.monitor}": self.best_model_score}, position(trainer))


class LastCheckpoint(EpochCheckpoint):
    """The checkpoint of the newest epoch or validation, at most a second older than it: short epochs don't each get
    one.
    """

    SECONDS = 1.0
    _written = -math.inf

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write it inside a long epoch, unless another one comes soon."""
        if trainer.state.fn == "fit" and not trainer.sanity_checking and not trainer.is_last_batch:
            self._write(trainer, pl_module, False)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write it, unless another one comes soon."""
        ends = trainer.should_stop or trainer.current_epoch + 1 == trainer.max_epochs
        self._write(trainer, pl_module, ends or trainer.global_step == trainer.max_steps)

    def _write(self, trainer: Trainer, pl_module: LightningModule, due: bool) -> None:
        due = due or time.monotonic() - self._written >= self.SECONDS
        if as_the_first(trainer, due):  # each has a clock of its own
            super().on_train_epoch_end(trainer, pl_module)
            self._written = time.monotonic()
