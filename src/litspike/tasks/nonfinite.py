"""A loss that is no number ends a fit, and says where."""

from __future__ import annotations

from lightning import Trainer


class NonFiniteLoss(Exception):
    """A loss that is NaN or infinite; ``batches_ago`` counts back from the batch added last (0)."""

    def __init__(self, value: float, batches_ago: int) -> None:
        super().__init__(value, batches_ago)
        self.value, self.batches_ago = value, batches_ago

    def line(self, stage: str, trainer: Trainer) -> str:
        """What to tell the user."""
        if trainer.state.fn != "fit":
            return f"the {stage} loss is {self.value}: look at the weights of the checkpoint and at the data"
        when = f"in epoch {trainer.current_epoch + 1}"
        if stage == "train":
            when = f"at step {trainer.fit_loop.epoch_loop.total_batch_idx + 1 - self.batches_ago}, {when}"
        return f"the {stage} loss became {self.value} {when}: lower the learning rate or look at the data"
