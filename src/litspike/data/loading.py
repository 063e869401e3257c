"""What a loader gives: a process's share of an epoch's samples, and where in an epoch it was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from lightning import LightningDataModule
from torch import Tensor

from litspike.settings import UserError


class Given(NamedTuple):
    """How many batches of an epoch were given."""

    epoch: int
    batches: int

    @classmethod
    def of(cls, state: Any) -> Given:
        """What a checkpoint says; raises :class:`UserError` where it says nothing of the kind."""
        numbers: list[Any] = [state.get(name) for name in cls._fields] if isinstance(state, dict) else []
        if not numbers or any(type(number) is not int or number < 0 for number in numbers):
            raise UserError(f"ckpt_path: the checkpoint doesn't say which batches were given (it has {state!r:.100})")
        return cls(*numbers)

    def left_out(self, epoch: int) -> int:
        """How many batches another epoch, or the same gone on with, doesn't begin with."""
        return self.batches if self.epoch == epoch else 0


@dataclass(frozen=True)
class Share:
    """One process's share: samples are dealt out in turn, so that batch k of all processes together is batch k of one
    process whose batches are as large as theirs together.

    Args:
        rank: number of the process, from 0.
        ranks: number of processes.
    """

    rank: int = 0
    ranks: int = 1

    @classmethod
    def of(cls, module: LightningDataModule) -> Share:
        """The share of the process in which ``module`` belongs to a trainer; all samples where there is no trainer."""
        return cls(module.trainer.global_rank, module.trainer.world_size) if module.trainer else cls()

    def of_training(self, order: Tensor, batch_size: int) -> Tensor:
        """This process's part of the samples in the order [N] of an epoch, for batches of ``batch_size``.

        All processes get the same number of batches. Where the last ones together hold fewer samples than there are
        processes, these samples are repeated so that each process has one.
        """
        rest = len(order) % (batch_size * self.ranks)
        if 0 < rest < self.ranks:
            repeated = torch.arange(self.ranks - rest) % rest - rest
            order = torch.cat([order, order[repeated]])
        return self.of_evaluation(order)

    def of_evaluation(self, samples: Tensor) -> Tensor:
        """This process's part of samples [N, *], none of which is repeated."""
        return samples[self.rank :: self.ranks]

    def eval_batch_size(self, part: str, samples: int, batch_size: int) -> int:
        """The least batch size from ``batch_size`` on that gives every process the same number of batches.

        Batch norm's statistics are brought together before each batch: a process without a batch would be waited for.

        Raises:
            UserError: if there are fewer samples than processes.
        """
        least = samples // self.ranks
        if least == 0:
            raise UserError(f"the {part} data have {samples} samples, too few for {self.ranks} processes")
        most = -(-samples // self.ranks)
        while -(-most // batch_size) != -(-least // batch_size):
            batch_size += 1
        return batch_size


ALL = Share()
"""The share of one process alone."""
