"""Classification with a spiking network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torchmetrics import Metric

from litspike.arguments import typed
from litspike.networks.pieces import Gradient
from litspike.seeding import isolated
from litspike.tasks.batches import given, unpack_new
from litspike.tasks.classification_losses import BinaryCrossEntropy, ClassificationLoss
from litspike.tasks.epoch_metrics import EpochMetrics, Score
from litspike.tasks.losses import in_single
from litspike.tasks.optimizers import adam
from litspike.tasks.regularisers import RateBand
from litspike.tasks.targets import class_counts, training_batches
from litspike.tasks.task import Task

MOST_INPUTS = 16
"""Samples of more inputs than this are left out of the predictions, which show their labels alone."""


class Classification(Task):
    """Two classes from one logit, or several from one each: encoder → network → readout → cross-entropy.

    Every forward pass starts from rest. Logged once an epoch: loss and accuracy of each stage, and the learning rate.

    Args:
        network: from currents or spikes [T, B, *] to outputs [T, B, C]; called as ``output, state = network(input,
            state)``.
        encoder: from samples [B, *] to the network's input [T, B, *].
        readout: from the network's outputs [T, B, C] to logits [B, C].
        loss: what training makes small, and how logits are read as classes.
        optimizer: makes the optimizer from the parameters; Adam with learning rate 0.01 where it isn't set.
        scheduler: makes what changes the learning rate from the optimizer; none where null.
        regulariser: a penalty on the firing rates, added to the training loss; none where null.
        scheduler_interval: what the schedule counts, ``epoch`` or ``step`` (of the optimizer); where null, steps for
            OneCycleLR and CyclicLR, epochs for the others.
        scheduler_frequency: how many of them there are from one change to the next; where null, 1, or for a metric of
            the validation the epochs from one validation to the next.
        scheduler_monitor: the metric that ReduceLROnPlateau follows.
        metrics: metrics of torchmetrics or of your own by name, each logged for every stage as ``STAGE/NAME``. They get
            probabilities, of each class [B, C], or from one logit of class 1 [B] where they name no number of classes,
            and labels int64 [B].
        steps_together: steps of a sequence that are run together in training; a longer one is taken in pieces, which
            saves memory and not the gradients. Where null, 1024 for sequences above 2048 steps that can be; see
            :func:`~litspike.networks.run_network`.
        gradient: ``truncated`` cuts the gradients between the pieces: truncated backpropagation through time.

    Raises:
        SettingError: if a metric has a name that is taken, or that no metric can have.
        UserError: at the first batch, if the network's outputs or the labels don't suit the loss; in training, if
            the loss becomes NaN or infinite.

    Example:
        >>> import torch
        >>> from litspike import LIF, ConstantCurrent, MeanOverTime, Perceptron
        >>> from litspike.tasks import Classification
        >>> task = Classification(Perceptron([2, 8, 1], LIF()), ConstantCurrent(10), MeanOverTime())
        >>> task(torch.rand(4, 2)).shape  # logits
        torch.Size([4, 1])
    """

    loss: ClassificationLoss

    @typed
    def __init__(
        self,
        network: nn.Module,
        encoder: nn.Module,
        readout: nn.Module,
        loss: ClassificationLoss | None = None,
        optimizer: Callable[[Iterable[Any]], Optimizer] = adam,
        scheduler: Callable[[Optimizer], LRScheduler] | None = None,
        regulariser: RateBand | None = None,
        scheduler_interval: Literal["epoch", "step"] | None = None,
        scheduler_frequency: int | None = None,
        scheduler_monitor: str = "val/loss",
        metrics: dict[str, Metric] | None = None,
        steps_together: int | None = None,
        gradient: Gradient = "whole",
    ) -> None:
        loss = BinaryCrossEntropy() if loss is None else loss
        super().__init__(
            network, encoder, readout, loss, optimizer, scheduler, regulariser,
            scheduler_interval, scheduler_frequency, scheduler_monitor, metrics, steps_together, gradient,
        )  # fmt: skip

    def make_metrics(self, metrics: Mapping[str, Metric]) -> EpochMetrics:
        """Loss, accuracy and the user's own."""
        scores = [Score("accuracy", partial(_hits, self.loss))]
        return EpochMetrics(scores, metrics, partial(_probabilities, self.loss))

    def on_train_start(self) -> None:
        """Count the classes where they are to be balanced, unless the weights come with what they were trained by."""
        super().on_train_start()
        if self.loss.class_weights == "balanced" and self.loss.weights is None:
            with isolated():
                counts = class_counts(batch[1] for batch in training_batches(self.trainer))
            self.loss.balance(counts)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the weights of the classes."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["class_weights"] = self.loss.weights

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take up weights that were measured."""
        super().on_load_checkpoint(checkpoint)
        if self.loss.class_weights == "balanced":
            self.loss.weights = checkpoint.get("class_weights")

    def predict_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> dict[str, Tensor]:
        """Sample (where it is small), label (where there is one), predicted class and probabilities, each [B, *]."""
        x, y, lengths = unpack_new(batch)
        logits = in_single(self(x, **given(lengths)))
        known = {"x": x} if x[0].numel() <= MOST_INPUTS else {}
        known |= {"label": y.int()} if y.numel() else {}
        classes = {"class": self.loss.predictions(logits).int()}
        return {**known, "probability": self.loss.probabilities(logits), **classes}


def _probabilities(loss: ClassificationLoss, metric: Metric, logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """What metrics of classes take: torchmetrics would guess from a batch of logits whether they are probabilities."""
    found = loss.probabilities(logits.float())
    if found.dim() == 1 and getattr(metric, "num_classes", None) is not None:  # it would take them for classes
        found = torch.stack([1 - found, found], 1)
    return found, labels.long()


def _hits(loss: ClassificationLoss, logits: Tensor, labels: Tensor) -> Tensor:
    """Which samples are classified right; of several labels, all of them."""
    right = loss.predictions(logits) == labels
    return right if right.dim() == 1 else right.all(1)
