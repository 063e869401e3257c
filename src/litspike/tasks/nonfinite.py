"""A loss that is no number ends a fit, and says where; so do weights, which neurons turn into no spikes."""

from __future__ import annotations

from lightning import Callback, LightningModule, Trainer
from torch import nn

from litspike.internals.torch import BatchOrInstanceNorm
from litspike.settings import UserError


class NonFiniteLoss(Exception):
    """A loss that is NaN or infinite; ``batches_ago`` counts back from the batch added last (0)."""

    def __init__(self, value: float, batches_ago: int) -> None:
        super().__init__(value, batches_ago)
        self.value, self.batches_ago = value, batches_ago

    def line(self, stage: str, trainer: Trainer) -> str:
        """The message for the user."""
        if trainer.state.fn != "fit":
            return f"the {stage} loss is {self.value}: look at the weights of the checkpoint and at the data"
        when = f"in epoch {trainer.current_epoch + 1}"
        if stage == "train":
            when = f"at step {trainer.fit_loop.epoch_loop.total_batch_idx + 1 - self.batches_ago}, {when}"
        return f"the {stage} loss became {self.value} {when}: lower the learning rate or look at the data"


def nonfinite_weight(module: nn.Module) -> str | None:
    """The name of a weight, or a mean or variance of a batch norm, that holds NaN or infinity; None without one."""
    for path, part in module.named_modules():
        values = dict(part.named_parameters(recurse=False))
        if isinstance(part, BatchOrInstanceNorm):
            values |= {name: value for name, value in part.named_buffers() if value.is_floating_point()}
        for name, value in values.items():
            if not bool(value.isfinite().all()):
                return f"{path}.{name}".lstrip(".")
    return None


class FiniteWeights(Callback):
    """Ends a fit before weights that are no numbers are validated or kept: of spikes alone the loss stays finite."""

    _checked_at = -1

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn == "fit":
            self._check(trainer, pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check them, where no validation of the same weights has done so."""
        if self._checked_at != trainer.global_step:
            self._check(trainer, pl_module)

    def _check(self, trainer: Trainer, module: LightningModule) -> None:
        self._checked_at = trainer.global_step
        if (name := nonfinite_weight(module)) is not None:
            when, advice = f"in epoch {trainer.current_epoch + 1}", "lower the learning rate or look at the data"
            raise UserError(f"{name} became NaN or infinite {when}: {advice}")
