"""Base of the data modules of event data: from recordings over a cache to batches."""

from __future__ import annotations

import hashlib
import json
from abc import abstractmethod
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from lightning import LightningDataModule
from lightning.pytorch.utilities import rank_zero_warn
from numpy.typing import NDArray

from litspike.arguments import described, typed
from litspike.data.events.binning import Binning, Cells, Sensor
from litspike.data.events.cache import FORMAT, Binned, cached
from litspike.data.events.loader import Loader, Samples, loader
from litspike.data.events.recordings import Recordings, version
from litspike.data.loading import Share
from litspike.data.splits import carve
from litspike.seeding import generator, seed_in_range
from litspike.settings import LitspikeWarning, SettingError, UserError, integer

_SPLIT = 102  # purpose of the draw that carves a part out of a split


class EventDataModule(LightningDataModule):
    """Base of data modules of event data. A subclass says what its splits are, and what of them is for validation.

    Batches are (x, y): x float32 [B, T, *], the number of events in each bin and pixel; y int64 [B], the class from 0.
    Binned recordings are kept on disk, in one file for each split and each way of binning.

    Args:
        root: folder that holds the folders of data sets, as Tonic lays them out.
        cache: folder of binned recordings; None: they are read and binned anew each epoch.
        steps: T. Longer recordings are cut after T bins, shorter ones padded with bins that hold nothing.
        bin: width of a bin in ms; None: T equal bins that span each recording, whatever its length.
        downsample: side of the square of pixels, or number of neighbouring units, that are summed.
        clip: larger counts become this, 1 makes spikes of them; None: counts as they are.
        batch_size: samples in a training batch, of each process.
        eval_batch_size: samples in a batch of validation, test and prediction.
        workers: processes that make batches ahead; the batches are the same for each number.
        seed: seed of the order of the training batches, from 0 to 2³² − 1.
        lengths: whether bins after a recording's last event count as none of it: batches are then
            (x, y, {"lengths": int64 [B]}), and readouts, losses and rates end with each recording.

    Raises:
        SettingError: if a setting is out of its range.
    """

    sensor: ClassVar[Sensor]
    """What recorded the events."""
    classes: ClassVar[int]
    """Number of classes."""
    official: ClassVar[dict[str, int]]
    """Split → number of its recordings, as published."""

    @typed
    def __init__(
        self,
        root: str = "data",
        cache: str | None = "data/cache",
        steps: int = 10,
        bin: float | None = None,
        downsample: int = 1,
        clip: int | None = None,
        batch_size: int = 64,
        eval_batch_size: int = 256,
        workers: int = 0,
        seed: int = 0,
        lengths: bool = False,
    ) -> None:
        super().__init__()
        self.root, self.cache = Path(root).expanduser(), None if cache is None else Path(cache).expanduser()
        self.binning = Binning(self.sensor, steps, bin, downsample)
        self.clip = None if clip is None else integer("clip", clip)
        self.batch_size = integer("batch_size", batch_size)
        self.eval_batch_size = integer("eval_batch_size", eval_batch_size)
        self.workers = integer("workers", workers, 0)
        self.seed = seed_in_range("seed", seed)
        self.lengths = lengths
        self._splits: dict[str, tuple[Recordings, NDArray[np.int64], Binned]] = {}
        self._parts: dict[str, Samples] = {}

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape [T, *] of one sample."""
        return self.binning.shape

    def __str__(self) -> str:
        return described(self)  # Lightning's own would make all the data, and fails for several loaders

    @abstractmethod
    def recordings(self, split: str) -> tuple[Recordings, NDArray[np.int64]]:
        """The recordings of a split and the class of each, [N]; raises :class:`UserError` where they are missing."""

    def held_out(self, recordings: Recordings, labels: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which recordings of the training split are for validation, [N]; here none."""
        return np.zeros(len(labels), bool)

    def split_of(self, part: str) -> str:
        """The split that holds the part ``train``, ``val`` or ``test``: ``test`` for testing, else ``train``."""
        return "test" if part == "test" else "train"

    def chosen(self, part: str, recordings: Recordings, labels: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which recordings of its split belong to the part, [N]: of the training split what is held out, or isn't."""
        if part == "test":
            return np.ones(len(labels), bool)
        held = self.held_out(recordings, labels)
        return held if part == "val" else ~held

    def dataset(self, part: str) -> Samples:
        """The samples of the part ``train``, ``val`` or ``test``, found and binned at its first use.

        Raises:
            UserError: if the data or Tonic are missing, a recording can't be read, or the part is empty.
        """
        if part not in self._parts:
            recordings, labels, binned = self._split(self.split_of(part))
            chosen = np.flatnonzero(self.chosen(part, recordings, labels))
            if len(chosen) == 0:
                raise UserError(f"the {part} data are empty: {self._folder} has too few recordings")
            self._parts[part] = Samples(binned, labels, chosen, self.shape, self.clip, self.lengths)
        return self._parts[part]

    def setup(self, stage: str) -> None:
        """Find and bin the parts that ``stage`` needs, so that bad data are refused before anything runs."""
        for part in {"fit": ("train", "val"), "validate": ("val",)}.get(stage, ("test",)):
            self.dataset(part)

    def train_dataloader(self) -> Loader:
        """Shuffled batches of the training part; the same in every epoch where some are to be overfitted."""
        trainer = self.trainer
        seed = None if trainer is not None and trainer.overfit_batches else self.seed  # type: ignore[attr-defined]
        return self._loader("train", self.batch_size, seed)

    def val_dataloader(self) -> Loader:
        return self._loader("val", self.eval_batch_size, None)

    def test_dataloader(self) -> Loader:
        return self._loader("test", self.eval_batch_size, None)

    def predict_dataloader(self) -> Loader:
        return self.test_dataloader()

    def _loader(self, part: str, batch_size: int, seed: int | None) -> Loader:
        samples, share = self.dataset(part), Share.of(self)
        if seed is None:
            batch_size = share.eval_batch_size(part, len(samples), batch_size)
        return loader(samples, batch_size, self.workers, seed, share)

    @property
    def _folder(self) -> Path:
        return self.root / type(self).__name__

    def _split(self, split: str) -> tuple[Recordings, NDArray[np.int64], Binned]:
        if split not in self._splits:
            recordings, labels = self.recordings(split)
            self._check(split, labels)
            binned: Binned = BinnedAnew(recordings, self.binning)
            if self.cache is not None:
                key = self._key(split, recordings)
                binned = cached(self.cache / f"{type(self).__name__}-{split}-{key.hex()[:16]}.cells", key, binned)
            self._splits[split] = recordings, labels, binned
        return self._splits[split]

    def _check(self, split: str, labels: NDArray[np.int64]) -> None:
        outside = np.flatnonzero((labels < 0) | (labels >= self.classes))
        if len(outside):
            label = labels[outside[0]]
            raise UserError(f"{self._folder}: {split} has the label {label}; classes run from 0 to {self.classes - 1}")
        if len(labels) != self.official[split]:
            rank_zero_warn(
                f"{self._folder}: {split} has {len(labels)} recordings; published are {self.official[split]}",
                category=LitspikeWarning,
            )

    def _key(self, split: str, recordings: Recordings) -> bytes:
        files = [(str(path.relative_to(self.root)), *_identity(path)) for path in sorted(recordings.files)]
        made_of = {"format": FORMAT, "tonic": version(), "set": type(self).__name__, "split": split, "files": files}
        return hashlib.sha256(json.dumps({**made_of, **self.binning.settings()}).encode()).digest()


class BinnedAnew:
    """Cells that are made from the recordings each time they are asked for."""

    def __init__(self, recordings: Recordings, binning: Binning) -> None:
        self.recordings, self.binning = recordings, binning

    def __len__(self) -> int:
        return len(self.recordings)

    def __getitem__(self, index: int) -> Cells:
        try:
            return self.binning(self.recordings[index])
        except UserError as error:
            name = self.recordings.name(index)
            raise error if name in str(error) else UserError(f"{name}: {error}") from error


def stratified(labels: NDArray[np.int64], fraction: float, seed: int) -> NDArray[np.bool_]:
    """Mark a share of each class, at least one and never all of its recordings, by a seeded draw: [N]."""
    marked = np.zeros(len(labels), bool)
    marked[carve(torch.from_numpy(labels), fraction, generator(seed, _SPLIT), least=1)[1].numpy()] = True
    return marked


def of_people(setting: str, people: NDArray[np.int64], chosen: tuple[int, ...]) -> NDArray[np.bool_]:
    """Mark all recordings of some people.

    Args:
        setting: name of the setting, for the message.
        people: who made each recording, [N].
        chosen: the people whose recordings are marked.

    Returns:
        Whether each recording is marked, [N].

    Raises:
        SettingError: if nobody is chosen, one has no recording, or nobody is left.
    """
    present = np.unique(people).tolist()
    if not chosen or not set(chosen) < set(present):
        raise SettingError(setting, list(chosen), f"must name some, not all, of {present}")
    return np.isin(people, chosen)


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns
