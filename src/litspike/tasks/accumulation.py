"""What a batch counts among those whose gradients make one step of the optimizer together."""

from __future__ import annotations

from typing import Any

import torch
from lightning import Trainer
from torch import Tensor


def group_weight(trainer: Trainer, index: int, samples: int) -> float:
    """The factor of a batch's loss with which the gradient of its group is the mean over the group's samples.

    Lightning divides every loss by the batches of a whole group; the last group of an epoch may have fewer, and its
    last batch fewer samples.

    Args:
        trainer: in a fit.
        index: the batch's number in the epoch, from 0.
        samples: in the batch.
    """
    group, batches = trainer.accumulate_grad_batches, trainer.num_training_batches
    first = index - index % group
    if first + group < batches or batches == float("inf"):
        return 1.0
    here = int(batches) - first
    loader: Any = trainer.train_dataloader
    size, total = getattr(loader, "batch_size", None), len(getattr(loader, "dataset", ()))
    if trainer.world_size > 1 or not size or not total:
        return group / here
    last: int = min(size, total - (int(batches) - 1) * size)
    whole: int = (here - 1) * size + last
    return samples * group / whole


def process_weight(trainer: Trainer, samples: int) -> Tensor:
    """This process's number of samples in a batch beside the mean over all processes."""
    own = torch.tensor(float(samples), device=trainer.strategy.root_device)
    return own / trainer.strategy.reduce(own.clone(), reduce_op="mean")


def weighed(loss: Tensor, trainer: Trainer, index: int, samples: int, last: bool) -> Tensor:
    """A batch's loss by the weight that it has among those of a step of the optimizer, of all processes.

    Args:
        loss: its mean over the samples.
        trainer: in a fit.
        index: the batch's number in the epoch, from 0.
        samples: in the batch.
        last: whether it is the last one of the epoch.
    """
    if trainer.accumulate_grad_batches > 1:
        loss = loss * group_weight(trainer, index, samples)
    return loss * process_weight(trainer, samples) if last and trainer.world_size > 1 else loss
