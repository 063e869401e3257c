"""Classification with a spiking network."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from lightning import LightningModule
from torch import Tensor, nn
from torch.optim import Optimizer

from litspike.settings import UserError
from litspike.tasks.figures import Figures, NonFiniteLoss

Batch = tuple[Tensor, Tensor]


class Classification(LightningModule):
    """Two classes, one logit: encoder → network → readout, trained with binary cross-entropy.

    Every forward pass starts from rest. Logged once an epoch: loss and accuracy of each stage, and the learning rate.

    Args:
        network: from currents or spikes [T, B, *] to outputs [T, B, 1]; called as ``output, state = network(input,
            state)``.
        encoder: from samples [B, *] to the network's input [T, B, *].
        readout: from the network's outputs [T, B, 1] to logits [B, 1].
        optimizer: makes the optimizer from the parameters.

    Raises:
        UserError: at the first batch, if the network gives another number of outputs than one; in training, if the
            loss becomes NaN or infinite.
    """

    def __init__(
        self,
        network: nn.Module,
        encoder: nn.Module,
        readout: nn.Module,
        optimizer: Callable[[Iterable[Any]], Optimizer] = lambda parameters: torch.optim.Adam(parameters, lr=0.01),
    ) -> None:
        super().__init__()
        self.network, self.encoder, self.readout = network, encoder, readout
        self.optimizer = optimizer
        self.train_figures, self.val_figures, self.test_figures = Figures(), Figures(), Figures()
        self._epochs_trained = 0
        self.samples: dict[str, int] = {}
        """Stage → number of samples that its last figures rest on."""

    def forward(self, x: Tensor) -> Tensor:
        """Samples [B, *] → logits [B]."""
        return self.respond(x)[0]

    def respond(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Samples [B, *] and the network's state, at rest where None → logits [B] and the state afterwards."""
        outputs, state = self.network(self.encoder(x), state)
        logits: Tensor = self.readout(outputs)
        if logits.shape[1:] != (1,):
            raise UserError(f"the network gives {list(logits.shape[1:])} outputs a sample; two classes need one logit")
        return logits.squeeze(1), state

    def __setattr__(self, name: str, value: Any) -> None:
        """Note the name of the running hook, as Lightning does forty times a step, without a module's ceremony."""
        if name == "_current_fx_name":
            self.__dict__[name] = value
        else:
            super().__setattr__(name, value)

    def configure_optimizers(self) -> Optimizer:
        """The optimizer over all parameters; raises :class:`UserError` where it refuses a setting."""
        try:
            return self.optimizer(self.parameters())
        except (TypeError, ValueError) as error:
            raise UserError(f"model.optimizer: {error}") from error

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Learn how long the weights were trained, for the place of the test figures on TensorBoard's axis."""
        self._epochs_trained = checkpoint["epoch"] + 1

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss of one batch."""
        return self._shared_step("train", batch, last=self.trainer.is_last_batch)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Take the batch into the validation figures."""
        self._shared_step("val", batch)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Take the batch into the test figures."""
        self._shared_step("test", batch)

    def predict_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Sample, label, probability of class 1 and predicted class, each with first dimension B."""
        x, y = batch
        probability = self(x).sigmoid()
        return {"x": x, "label": y.int(), "probability": probability, "class": (probability > 0.5).int()}

    def on_train_epoch_end(self) -> None:
        """Log the training figures and the learning rate."""
        self.log("learning_rate", self.trainer.optimizers[0].param_groups[0]["lr"])
        self._log_figures("train")

    def on_validation_epoch_end(self) -> None:
        """Log the validation figures."""
        self._log_figures("val")

    def on_test_epoch_end(self) -> None:
        """Log the test figures."""
        self._log_figures("test")

    def _shared_step(self, stage: str, batch: Batch, last: bool = False) -> Tensor:
        x, y = batch
        logits = self(x)
        loss = nn.functional.binary_cross_entropy_with_logits(logits, y)
        try:
            self._figures(stage).add(loss, logits, y, last)
        except NonFiniteLoss as error:
            self._stop(stage, error)
        return loss

    def _log_figures(self, stage: str) -> None:
        try:
            figures, self.samples[stage] = self._figures(stage).compute()
        except NonFiniteLoss as error:
            self._stop(stage, error)
        # an epoch has one place on TensorBoard's axis, whatever the stage
        self.log("step", float(self._epochs_trained if stage == "test" else self.current_epoch + 1))
        self.log_dict({f"{stage}/{name}": value for name, value in figures.items()})

    def _figures(self, stage: str) -> Figures:
        figures: Figures = getattr(self, f"{stage}_figures")
        return figures

    def _stop(self, stage: str, error: NonFiniteLoss) -> Any:
        when = f"in epoch {self.current_epoch + 1}"
        if stage == "train":
            when = f"at step {self.trainer.fit_loop.epoch_loop.total_batch_idx + 1 - error.batches_ago}, {when}"
        raise UserError(f"the {stage} loss became {error.value} {when}: lower the learning rate or look at the data")
