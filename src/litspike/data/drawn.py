"""Data that are drawn on the spot: each part from a generator of its own."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from litspike import memory
from litspike.data.tensors import TensorDataModule
from litspike.seeding import generator
from litspike.settings import UserError, integer

_PARTS = ("train", "val", "test")
_MANY, _FEW = 100_000, 100
"""Samples above which a few are drawn first, to see what they take."""


class DrawnDataModule(TensorDataModule):
    """Base of data modules that draw their samples. A subclass says how, in :meth:`draw`.

    The same seed gives the same samples on every device, the parts are independent, and the size of one changes no
    other.

    Args:
        train_samples: number of training samples.
        val_samples: number of validation samples.
        test_samples: number of test samples.
        batch_size: samples in a training batch.
        eval_batch_size: samples in a batch of validation, test and prediction.
        seed: seed of the samples and of the order of the training batches, from 0 to 2³² − 1.

    Raises:
        SettingError: if a number of samples or a batch size is below 1, or the seed out of range.
    """

    def __init__(
        self,
        train_samples: int,
        val_samples: int,
        test_samples: int,
        batch_size: int,
        eval_batch_size: int,
        seed: int,
    ) -> None:
        super().__init__(batch_size, eval_batch_size, seed)
        self.samples = {
            "train": integer("train_samples", train_samples),
            "val": integer("val_samples", val_samples),
            "test": integer("test_samples", test_samples),
        }

    @abstractmethod
    def draw(self, samples: int, randomness: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw ``samples`` samples [N, *] and their labels [N, *] from a generator on the CPU."""

    def part(self, name: str) -> tuple[Tensor, Tensor]:
        """Samples [N, *] and labels [N, *] of the part ``train``, ``val`` or ``test``."""
        if self.samples[name] > _MANY:
            self._check_memory(name)
        return self.draw(self.samples[name], generator(self.seed, _PARTS.index(name)))

    def _check_memory(self, name: str) -> None:
        """Refuse a part that this machine's memory can't hold: drawing it would take minutes first."""
        need = sum(tensor.nbytes for tensor in self.draw(_FEW, generator(self.seed))) * self.samples[name] // _FEW
        if need > (room := memory.available()):
            raise UserError(
                f"data: {self.samples[name]} samples of the {name} part take {memory.shown(need)}, and this machine "
                f"has {memory.shown(room)}: make them fewer or smaller"
            )


def population(signals: Tensor, units: int, rate: float, randomness: torch.Generator) -> Tensor:
    """Let each channel speak through ``units`` units, which spike with probability ``rate`` a step while it is on.

    Args:
        signals: [N, T, C], true where a channel is on.
        units: units of a channel.
        rate: probability of a spike in one step of one unit, from 0 to 1.
        randomness: of the spikes; nothing is drawn where rate is 1.

    Returns:
        Spikes 0 or 1, uint8 [N, T, C · units]; the units of a channel lie side by side.
    """
    spikes = signals.repeat_interleave(units, dim=2)
    if rate < 1:
        spikes = spikes & (torch.rand(spikes.shape, generator=randomness) < rate)
    return spikes.to(torch.uint8)
