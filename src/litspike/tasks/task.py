"""What all tasks share: encoder → network → readout → loss, trained and measured."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from inspect import signature
from typing import Any, Literal, NoReturn

import torch
from lightning import LightningModule
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torchmetrics import Metric

from litspike.arguments import typed
from litspike.engine import spikes
from litspike.loggers import counts_steps, log_at, position
from litspike.networks.pieces import Gradient, run_network
from litspike.networks.watch import watched
from litspike.settings import SettingError, UserError, integer
from litspike.tasks.accumulation import weighed
from litspike.tasks.batches import Batch, check_finite, check_one_loader, given, unpack, without_padding
from litspike.tasks.epoch_metrics import EpochMetrics
from litspike.tasks.losses import Loss, checked, in_single
from litspike.tasks.nonfinite import NonFiniteLoss
from litspike.tasks.optimizers import drop_gradients, make_optimizer
from litspike.tasks.regularisers import RateBand
from litspike.tasks.scheduling import Scheduling


class Task(LightningModule):
    """Base of the tasks. Every forward pass starts from rest.

    Logged once an epoch: the loss and the scores of each stage, and the learning rate.

    Args:
        network: from currents or spikes [T, B, *] to outputs [T, B, *]; called as ``output, state = network(input,
            state)``.
        encoder: from samples [B, *] to the network's input [T, B, *].
        readout: from the network's outputs [T, B, *] to values [B, *].
        loss: what training makes small.
        optimizer: makes the optimizer from the parameters.
        scheduler: makes what changes the learning rate from the optimizer; none where null.
        regulariser: a penalty on the firing rates, added to the training loss; none where null.
        scheduler_interval: what the schedule counts, ``epoch`` or ``step`` (of the optimizer); where null, steps for
            OneCycleLR and CyclicLR, epochs for the others.
        scheduler_frequency: how many of them there are from one change to the next; where null, 1, or for a metric of
            the validation the epochs from one validation to the next.
        scheduler_monitor: the metric that ReduceLROnPlateau follows.
        metrics: metrics of torchmetrics or of your own by name, each logged for every stage as ``STAGE/NAME``; one that
            gives a row of numbers as ``NAME_0``, ``NAME_1`` and so on.
        steps_together: steps of a sequence that are run together in training; a longer one is taken in pieces, which
            saves memory and not the gradients. Where null, 1024 for sequences above 2048 steps that can be; see
            :func:`~litspike.networks.run_network`.
        gradient: ``truncated`` cuts the gradients between the pieces: truncated backpropagation through time.

    Raises:
        SettingError: if a metric has a name that is taken, or that no metric can have.
        UserError: in the first epoch, if the network's outputs or the targets don't suit the loss; in training, if
            the loss becomes NaN or infinite.
    """

    @typed
    def __init__(
        self,
        network: nn.Module,
        encoder: nn.Module,
        readout: nn.Module,
        loss: Loss,
        optimizer: Callable[[Iterable[Any]], Optimizer],
        scheduler: Callable[[Optimizer], LRScheduler] | None = None,
        regulariser: RateBand | None = None,
        scheduler_interval: Literal["epoch", "step"] | None = None,
        scheduler_frequency: int | None = None,
        scheduler_monitor: str = "val/loss",
        metrics: dict[str, Metric] | None = None,
        steps_together: int | None = None,
        gradient: Gradient = "whole",
    ) -> None:
        super().__init__()
        self.scheduling = Scheduling(scheduler_interval, scheduler_frequency, scheduler_monitor)
        self.network, self.encoder, self.readout, self.gradient = network, encoder, readout, gradient
        self.loss, self.optimizer, self.scheduler, self.regulariser = loss, optimizer, scheduler, regulariser
        self.train_metrics, self.val_metrics, self.test_metrics = (self.make_metrics(metrics or {}) for _ in range(3))
        self.steps_together = None if steps_together is None else integer("steps_together", steps_together)
        if regulariser is not None and steps_together is not None:
            raise SettingError("steps_together", steps_together, "is set beside a regulariser, which sees all steps")
        self.checked: set[str] = set()
        """Stages whose targets are known to suit the loss, all of them; those of any other are checked for an epoch."""
        self._epochs_trained = self._steps_trained = 0
        self.samples: dict[str, int] = {}
        """Stage → number of samples that its last metrics rest on."""

    @abstractmethod
    def make_metrics(self, metrics: Mapping[str, Metric]) -> EpochMetrics:
        """What is measured in one stage.

        Args:
            metrics: the user's own, by name.
        """

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Samples [B, *] → the readout's values [B, *], in the unit of the targets.

        Args:
            x: samples.
            lengths: number of steps of each, integers [B], where they are sequences that end before their last step:
                what is after it changes nothing.
        """
        return self.in_unit(self.respond(x, **given(lengths))[0])

    def respond(self, x: Tensor, state: Any = None, lengths: Tensor | None = None) -> tuple[Tensor, Tensor, Any]:
        """Samples [B, *] and the network's state, at rest where None.

        Returns:
            The readout's values [B, *], the network's outputs [T, B, *] and its state afterwards.
        """
        current = spikes(self.encoder(x))
        steps = self.steps_together if self.regulariser is None else len(current)
        try:
            outputs, state = run_network(self.network, current, state, steps, self.gradient)
        except SettingError as error:
            if error.setting != "steps":
                raise
            raise SettingError("model.steps_together", error.value, error.problem) from error
        return self.readout(outputs, **given(lengths)), outputs, state

    def in_unit(self, values: Tensor) -> Tensor:
        """Values of the readout, or outputs of the network, in the unit of the targets; here they are the same."""
        return values

    def scaled(self, targets: Tensor) -> Tensor:
        """Targets as the readout is to give them; here they are the same."""
        return targets

    def read(self, outputs: Tensor, lengths: Tensor | None = None) -> Tensor:
        """What the readout makes of the network's outputs [T, B, *], in the unit of the targets, [B, *]."""
        return self.in_unit(self.readout(outputs, **given(lengths)))

    def loss_of(self, values: Tensor, outputs: Tensor, targets: Tensor, lengths: Tensor | None) -> Tensor:
        """The loss, of 32 bits at least; it gets lengths where there are some."""
        values, outputs = in_single(values), in_single(outputs)
        return checked("loss", self.loss, self.loss(values, outputs, targets, **given(lengths)), values)

    def loss_in_unit(self, values: Tensor, outputs: Tensor, targets: Tensor, lengths: Tensor | None = None) -> Tensor:
        """The loss of the readout's values and the network's outputs, in the unit of the targets."""
        return self.loss_of(self.in_unit(values), self.in_unit(outputs), targets, lengths)

    def answer(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The readout's values and the network's outputs for one batch of training or evaluation."""
        return self.respond(x, **given(lengths))[:2]

    def of_one_pass(self, part: str, targets: Tensor) -> Tensor:
        """The targets of a part that one pass of the network answers to; here all are."""
        return targets

    def _answer_in(self, stage: str, x: Tensor, y: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor]:
        return self.answer(x, **given(lengths))

    def __setattr__(self, name: str, value: Any) -> None:
        """Note the name of the running hook, as Lightning does forty times a step."""
        if name == "_current_fx_name":
            self.__dict__[name] = value
        else:
            super().__setattr__(name, value)

    def configure_optimizers(self) -> Any:
        """The optimizer and its scheduler; raises :class:`UserError` where one refuses a setting."""
        optimizer, scheduler = make_optimizer(self.optimizer, self.scheduler, self.parameters())
        if scheduler is None:
            return optimizer
        return {"optimizer": optimizer, "lr_scheduler": self.scheduling.of(scheduler, self.trainer)}

    def lr_scheduler_step(self, scheduler: Any, metric: Any | None) -> None:
        """Change the learning rate, where it is time: Lightning would count batches, and anew in each epoch."""
        if metric is not None:
            scheduler.step(metric)
        elif self.scheduling.due(self.trainer):
            scheduler.step()

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: int | float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        # Where nothing is to be clipped, Lightning would look up how at every step.
        if gradient_clip_val:
            super().configure_gradient_clipping(optimizer, gradient_clip_val, gradient_clip_algorithm)

    def optimizer_zero_grad(self, epoch: int, batch_idx: int, optimizer: Optimizer) -> None:
        drop_gradients(optimizer)

    def on_validation_model_zero_grad(self) -> None:
        """Leave the gradients to those who look at them during and after a validation; the next step drops them."""

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Learn how long the weights were trained, and go on with the metrics of an epoch that was not complete."""
        self._epochs_trained, self._steps_trained = checkpoint["epoch"] + 1, checkpoint.get("global_step", 0)
        self.train_metrics.restore(checkpoint.get("train_metrics"))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what the metrics of the epoch rest on until now: a fit may go on inside it."""
        alone = False
        with suppress(RuntimeError):  # without a trainer
            alone = self.trainer.interrupted
        checkpoint["train_metrics"] = self._closing("train", lambda: self.train_metrics.state(alone))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss of one batch, with the penalty of the regulariser.

        Several processes train on the mean of their gradients; where their last batches differ in size each loss counts
        by its samples.
        """
        last = self.trainer.is_last_batch
        if self.regulariser is None:
            loss = self._shared_step("train", batch, last)
        else:
            spikes: list[Tensor] = []
            with watched(self.network, lambda seen: spikes.append(seen.output)):
                loss = self._shared_step("train", batch, last)
            lengths = unpack(batch)[2]
            loss = loss + checked("regulariser", self.regulariser, self.regulariser(spikes, **given(lengths)), loss)
        return weighed(loss, self.trainer, batch_idx, len(batch[1]), last)

    vars(training_step)["__signature__"] = signature(training_step)  # Lightning asks at every step how it is called

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        self._shared_step("val", batch)

    def test_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        self._shared_step("test", batch)

    def on_validation_start(self) -> None:
        check_one_loader("val", self.trainer.val_dataloaders)

    def on_test_start(self) -> None:
        check_one_loader("test", self.trainer.test_dataloaders)

    def on_predict_start(self) -> None:
        check_one_loader("predict", self.trainer.predict_dataloaders)

    def on_train_start(self) -> None:
        # a fit that goes on inside an epoch doesn't start it again
        self._learning_rate = self.trainer.optimizers[0].param_groups[0]["lr"]

    def on_train_epoch_start(self) -> None:
        """Note the learning rate, which a scheduler changes before the epoch is logged, and begin its metrics."""
        self._learning_rate = self.trainer.optimizers[0].param_groups[0]["lr"]
        self.train_metrics.reset()

    def on_train_epoch_end(self) -> None:
        self._log_metrics("train", learning_rate=self._learning_rate)

    def on_validation_epoch_start(self) -> None:
        self.val_metrics.reset()  # one that was broken off may have left something

    def on_test_epoch_start(self) -> None:
        self.test_metrics.reset()

    def on_validation_epoch_end(self) -> None:
        self._log_metrics("val")

    def on_test_epoch_end(self) -> None:
        self._log_metrics("test")

    def _shared_step(self, stage: str, batch: Batch, last: bool = False) -> Tensor:
        x, y, lengths = unpack(batch)
        values, outputs = self._answer_in(stage, x, y, lengths)
        if stage not in self.checked:
            check_finite(stage, x)
            self.loss.check(values.shape, y)
        scaled = self.scaled(y)
        loss = shown = self.loss_of(values, outputs, scaled, lengths)
        if scaled is not y:
            with torch.no_grad():
                shown = self.loss_in_unit(values, outputs, y, lengths)
        try:
            self._metrics(stage).add(shown, *without_padding(self.in_unit(values.detach()), y, lengths), last)
        except NonFiniteLoss as error:
            self._stop(stage, error)
        return loss

    def logged(self) -> list[str]:
        """Names of the metrics that training and validation log."""
        return [f"{stage}/{name}" for stage in ("train", "val") for name in self._metrics(stage).logged()]

    def _log_metrics(self, stage: str, **more: float) -> None:
        metrics, self.samples[stage] = self._closing(stage, self._metrics(stage).close)
        if not self.trainer.sanity_checking:
            self.checked.add(stage)
        named: dict[str, Tensor | float] = {**more, **{f"{stage}/{name}": value for name, value in metrics.items()}}
        if self.trainer.state.fn != "fit":  # Trainer.test returns what goes to its loggers alone
            self.log("step", float(self._steps_trained if counts_steps(self.trainer) else self._epochs_trained))
            self.log_dict(named)
            return
        # Lightning's log would make an object of each, to average it over the batches that it was logged in.
        self.trainer.callback_metrics.update(
            {
                name: torch.as_tensor(value, dtype=torch.float32, device=self.device).detach().clone()
                for name, value in named.items()
            }
        )
        if not self.trainer.sanity_checking:
            log_at(self.trainer, named, position(self.trainer))

    def _closing(self, stage: str, close: Callable[[], Any]) -> Any:
        try:
            return close()
        except NonFiniteLoss as error:
            self._stop(stage, error)

    def _metrics(self, stage: str) -> EpochMetrics:
        return {"train": self.train_metrics, "val": self.val_metrics, "test": self.test_metrics}[stage]

    def _stop(self, stage: str, error: NonFiniteLoss) -> NoReturn:
        raise UserError(error.line(stage, self.trainer))
