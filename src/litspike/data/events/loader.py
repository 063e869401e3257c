"""Batches of binned recordings, in an order that the seed and the epoch say, whatever the number of workers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, DistributedSampler

from litspike.data.events.cache import Binned
from litspike.data.loading import ALL, Given, Share
from litspike.seeding import generator
from litspike.settings import UserError

_ORDER = 101  # purpose of the draws that shuffle, apart from those of any other module

Batch = tuple[Any, ...]


class Samples(Dataset[Batch]):
    """Some of the recordings of a split as (x, y), x float32 [T, *] and y int64, or with their lengths as well.

    Args:
        binned: the cells of all recordings.
        labels: class of each recording, [N].
        chosen: numbers of the recordings that belong to this part.
        shape: T and the shape of one step.
        clip: larger counts become this; None: counts as they are.
        lengths: whether a batch has ``{"lengths": int64 [B]}`` too: the steps of each until its last event.
    """

    def __init__(
        self,
        binned: Binned,
        labels: NDArray[np.int64],
        chosen: NDArray[np.int64],
        shape: tuple[int, ...],
        clip: int | None,
        lengths: bool = False,
    ) -> None:
        self.binned, self.labels, self.chosen, self.shape, self.clip = binned, labels, chosen, shape, clip
        self.lengths = lengths

    def __len__(self) -> int:
        return len(self.chosen)

    def __getitem__(self, index: int) -> Batch:
        x, y, *more = self.__getitems__([index])
        return x[0], y[0], *({"lengths": one["lengths"][0]} for one in more)

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """The batch (x [B, T, *], y [B], …) of several samples: what the loader asks for, instead of collating."""
        chosen = self.chosen[np.asarray(indices, np.int64)]
        x = torch.zeros(len(chosen), *self.shape)
        rows, steps = x.view(len(chosen), -1).numpy(), np.ones(len(chosen), np.int64)
        for place, (row, recording) in enumerate(zip(rows, chosen, strict=True)):
            cells = self.binned[int(recording)]
            count = cells["count"]
            row[cells["index"]] = count if self.clip is None else np.minimum(count, self.clip)
            if len(cells):  # by rising index
                steps[place] += int(cells["index"][-1]) // math.prod(self.shape[1:])
        y = torch.from_numpy(self.labels[chosen])
        return (x, y, {"lengths": torch.from_numpy(steps)}) if self.lengths else (x, y)


class Order(DistributedSampler[int]):
    """The order of an epoch's samples, each of them once, dealt out to the processes that train together.

    Lightning leaves a sampler of this kind alone; any other it would shuffle once more.

    Args:
        size: number of samples.
        seed: shuffle with this seed, anew in each epoch; None: in order.
        batch_size: samples in a batch of each process.
        share: which of the samples this process gets.
    """

    def __init__(self, size: int, seed: int | None, batch_size: int, share: Share) -> None:
        super().__init__(range(size), share.ranks, share.rank, shuffle=seed is not None)  # type: ignore[arg-type]
        self.size, self.order_seed, self.batch_size, self.share = size, seed, batch_size, share
        self.before = Given(0, 0)
        """What was given of an epoch before a fit went on inside it."""

    def __len__(self) -> int:
        return len(self._dealt(torch.arange(self.size)))

    def __iter__(self) -> Iterator[int]:
        order = torch.arange(self.size)
        if self.order_seed is not None:
            order = torch.randperm(self.size, generator=generator(self.order_seed, _ORDER, self.epoch))
        first, self.before = self.left_out * self.batch_size, Given(0, 0)
        yield from self._dealt(order)[first:].tolist()

    @property
    def left_out(self) -> int:
        """How many batches this epoch doesn't begin with."""
        return self.before.left_out(self.epoch)

    def _dealt(self, order: Tensor) -> Tensor:
        if self.order_seed is None:
            return self.share.of_evaluation(order)
        return self.share.of_training(order, self.batch_size)


class Loader(DataLoader[Batch]):
    """torch's loader, which starts its workers at the first batch, not before, and can go on inside an epoch.

    A resumed fit makes its iterator before it says which epoch it is, and torch's workers would already be fetching.
    """

    _given = 0

    def state_dict(self) -> dict[str, int]:
        """How many batches of which epoch were given; workers may have made some more."""
        return Given(getattr(self.sampler, "epoch", 0), self._given)._asdict()

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Begin that epoch after the batches that were given."""
        order: Any = self.sampler
        order.before = Given.of(state)

    def __iter__(self) -> Any:
        """The batches; raises :class:`UserError` in one line where a worker met a user's mistake."""
        self._given = getattr(self.sampler, "left_out", 0)  # to predict, Lightning puts another one in its place
        try:
            for batch in super().__iter__():
                self._given += 1
                yield batch
        except UserError as error:
            error.__traceback__ = None  # it keeps the workers in a cycle, and torch waits 10 s for those in one
            # torch puts the worker's traceback into the text of the error that it raises again
            raise UserError(str(error).strip().rpartition("UserError: ")[2]) from None


def loader(samples: Samples, batch_size: int, workers: int, seed: int | None, share: Share = ALL) -> Loader:
    """A loader of ``samples``.

    Args:
        samples: what to load.
        batch_size: samples in a batch of this process; the last batch may be smaller.
        workers: processes that make batches ahead; 0: the batches are made where they are used.
        seed: shuffle with this seed, anew in each epoch; None: in order.
        share: which of the samples this process gets; by default all.
    """
    return Loader(
        samples,
        batch_size,
        sampler=Order(len(samples), seed, batch_size, share),
        num_workers=workers,
        collate_fn=_as_it_is,
        persistent_workers=workers > 0,
        generator=torch.Generator(),  # one of its own: by default each epoch draws from the global one
    )


def _as_it_is(batch: Any) -> Any:
    return batch
