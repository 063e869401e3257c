"""The training loss inside epochs, where somebody asks for it."""

from __future__ import annotations

from typing import Any

from lightning import Callback, LightningModule, Trainer

from litspike.loggers import log_at


class StepLog(Callback):
    """Logs the loss of the newest batch and the learning rate after every so many optimizer steps.

    Args:
        every: the optimizer steps from one to the next.
    """

    logs_steps = True

    def __init__(self, every: int) -> None:
        self.every, self._logged = every, 0

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        step = trainer.global_step
        if step == self._logged or step % self.every:
            return
        self._logged = step
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        loss = float(outputs["loss"]) * trainer.accumulate_grad_batches  # Lightning has divided it
        log_at(trainer, {"train step/loss": loss, "train step/learning_rate": rate}, step)
