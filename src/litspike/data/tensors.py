"""Data that lie in memory as tensors: checked once, cut into batches without collating."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import torch
from lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import SequentialSampler, TensorDataset

from litspike.arguments import described
from litspike.data.labels import Binary, Labels
from litspike.data.loading import ALL, Given, Share
from litspike.seeding import generator, seed_in_range
from litspike.settings import UserError, integer

_ORDER, _VARIATION = 100, 101  # purposes of the draws of each epoch, apart from those of any part's samples


class Batches:
    """A loader that cuts (x, y) into batches: one index operation an epoch instead of one call a sample.

    Args:
        data: samples and labels, first dimension the sample; and the lengths of sequences where they differ, which
            a batch has as ``{"lengths": lengths}``.
        batch_size: samples in a batch of this process; the last batch may be smaller.
        seed: shuffle with this seed, anew in each epoch and the same in each run; no shuffling where None.
        form: from samples as they are kept to samples as the encoder gets them, a batch at a time; they are the same
            where None.
        share: which of the samples this process gets; by default all.
        vary: where there is a seed, from samples as they are kept to those of one epoch, drawn from a generator of
            that epoch and process, before ``form``; they are the same where None.
    """

    def __init__(
        self,
        data: TensorDataset,
        batch_size: int,
        seed: int | None = None,
        form: Callable[[Tensor], Tensor] | None = None,
        share: Share = ALL,
        vary: Callable[[Tensor, torch.Generator], Tensor] | None = None,
    ) -> None:
        self.dataset, self.batch_size, self.seed, self.epoch, self.form = data, batch_size, seed, 0, form
        self.share, self.vary = share, vary
        self._given, self._before = 0, Given(0, 0)

    batch_sampler = None
    """There is none; Lightning asks."""

    @property
    def sampler(self) -> Batches | SequentialSampler:
        """Itself, whose ``set_epoch`` Lightning calls; where nothing is shuffled, torch's sampler for that."""
        return self if self.seed is not None else SequentialSampler(self.dataset)

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of this epoch, so that a resumed run sees the batches of one never interrupted."""
        self.epoch = epoch

    def state_dict(self) -> dict[str, int]:
        """How many batches of which epoch were given."""
        return Given(self.epoch, self._given)._asdict()

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Begin that epoch after the batches that were given."""
        self._before = Given.of(state)

    def __len__(self) -> int:
        return -(-len(self.dataset) // (self.batch_size * self.share.ranks))

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        # a generator, so that the order is drawn at the first batch: a resumed fit makes its iterator before the epoch
        tensors = self.dataset.tensors
        if self.seed is not None:
            order = torch.randperm(len(self.dataset), generator=generator(self.seed, _ORDER, self.epoch))
            order = self.share.of_training(order, self.batch_size)
            tensors = tuple(tensor[order] for tensor in tensors)
        else:
            tensors = tuple(self.share.of_evaluation(tensor).contiguous() for tensor in tensors)
        batches: Iterator[tuple[Tensor, ...]] = zip(
            *(torch.split(tensor, self.batch_size) for tensor in tensors), strict=True
        )
        if self.seed is not None and self.vary is not None:
            randomness = generator(self.seed, _VARIATION, self.epoch, self.share.rank)
            batches = ((self.vary(x, randomness), *others) for x, *others in batches)
        self._given, self._before = self._before.left_out(self.epoch), Given(0, 0)
        for x, *others in islice(batches, self._given, None):
            self._given += 1
            x = x if self.form is None else self.form(x)
            if len(others) < 2:
                yield x, *others
            else:
                yield _of_lengths(x, others[0], others[1], trim=self.seed is not None)


def _of_lengths(x: Tensor, y: Tensor, lengths: Tensor, trim: bool) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """A batch of sequences of different lengths; in training without the steps that none of them has."""
    most = int(lengths.max())
    if trim and most < x.shape[1]:
        y = y[:, :most] if y.dim() > 2 else y
        x = x[:, :most]
    return x, y, {"lengths": lengths}


class TensorDataModule(LightningDataModule):
    """Base of data modules whose parts fit into memory. A subclass says what each part is, in :meth:`part`.

    Batches are (x, y): samples x [B, *] in float32, sequences as [B, T, *]; y as :attr:`labels` says. Samples may be
    kept smaller than they are used (spike times for spikes): a subclass then turns a batch into them in
    :meth:`form`. It may draw a new variation of each training sample in every epoch, in :meth:`vary`.

    Args:
        batch_size: samples in a training batch of each process.
        eval_batch_size: samples in a batch of validation, test and prediction.
        seed: seed of the order of the training batches, from 0 to 2³² − 1.

    Raises:
        SettingError: if a batch size is below 1 or the seed out of range.
    """

    labels: Labels = Binary()
    """What y is: 0 or 1 in float32 [B], class numbers in int64 [B], or targets in float32 [B, D] or [B, T, D]."""

    def __init__(self, batch_size: int, eval_batch_size: int, seed: int) -> None:
        super().__init__()
        self.batch_size = integer("batch_size", batch_size)
        self.eval_batch_size = integer("eval_batch_size", eval_batch_size)
        self.seed = seed_in_range("seed", seed)
        self._parts: dict[str, TensorDataset] = {}

    def __str__(self) -> str:
        return described(self)  # Lightning's own would make all the data, and fails for several loaders

    @abstractmethod
    def part(self, name: str) -> tuple[Tensor, Tensor]:
        """Samples [N, *] and labels [N, *] of the part ``train``, ``val`` or ``test``, on the CPU."""

    def form(self, x: Tensor) -> Tensor:
        """From a batch of samples as :meth:`part` gives them to the samples of the encoder; here they are the same."""
        return x

    def vary(self, x: Tensor, randomness: torch.Generator) -> Tensor:
        """From a batch of training samples as :meth:`part` gives them to those of one epoch; here they are the same."""
        return x

    def dataset(self, name: str) -> TensorDataset:
        """The part ``train``, ``val`` or ``test``, made and checked at its first use.

        Raises:
            UserError: if it is empty, has a sample that is NaN or infinite, or a label that is not allowed.
        """
        if name not in self._parts:
            x, y = self.part(name)
            check_samples(name, x, y, self.labels)
            self._parts[name] = TensorDataset(x, self.labels.form(y))
        return self._parts[name]

    def setup(self, stage: str) -> None:
        """Make the parts that ``stage`` needs, so that bad data are refused before anything runs."""
        for name in {"fit": ("train", "val"), "validate": ("val",)}.get(stage, ("test",)):
            self.dataset(name)

    def train_dataloader(self) -> Batches:
        """Shuffled batches of the training part, varied; the same in every epoch where some are to be overfitted."""
        trainer: Any = self.trainer
        seed = None if trainer is not None and trainer.overfit_batches else self.seed
        return Batches(self.dataset("train"), self.batch_size, seed, self.form, Share.of(self), self.vary)

    def val_dataloader(self) -> Batches:
        return self._in_order("val")

    def test_dataloader(self) -> Batches:
        return self._in_order("test")

    def predict_dataloader(self) -> Batches:
        return self.test_dataloader()

    def _in_order(self, part: str) -> Batches:
        data, share = self.dataset(part), Share.of(self)
        size = share.eval_batch_size(part, len(data), self.eval_batch_size)
        return Batches(data, size, form=self.form, share=share)


def check_samples(part: str, x: Tensor, y: Tensor, labels: Labels) -> None:
    """Refuse samples that nothing can be learned from.

    Args:
        part: name of the part, for the message.
        x: samples, [N, *].
        y: labels, [N, *].
        labels: what these may be.

    Raises:
        UserError: if there are none, their numbers differ, one is not finite or a label is not allowed.
    """
    if len(x) == 0:
        raise UserError(f"the {part} data are empty")
    if len(x) != len(y):
        raise UserError(f"the {part} data have {len(x)} samples but {len(y)} labels")
    finite = torch.isfinite(x).flatten(1).all(1)
    if not finite.all():
        index = int(finite.logical_not().nonzero()[0])
        raise UserError(f"the {part} data hold NaN or infinity, first in sample {index}")
    labels.check(part, y)
