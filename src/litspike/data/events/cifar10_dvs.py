"""CIFAR10-DVS: images of CIFAR-10, moved before an event camera."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from litspike.data.events.binning import Sensor
from litspike.data.events.module import EventDataModule, stratified
from litspike.data.events.recordings import Recordings, provide
from litspike.seeding import seed_in_range
from litspike.settings import UserError, number

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


class CIFAR10DVS(EventDataModule):
    """CIFAR10-DVS: 10 000 recordings of CIFAR-10 images by an event camera of 128 × 128 pixels, 10 classes.

    Batches are (x, y): x float32 [B, T, 2, H, W], the number of events in each bin, polarity and pixel, with H = W =
    ⌈128 / downsample⌉; y int64 [B]. Longer recordings are cut after T bins, shorter ones padded with empty bins; a
    recording lasts about 1.3 s, and time counts from its first event.

    No test split was published. The customary 90/10 rule makes one here: in each class the last tenth of the
    recordings, in the order of their numbers, is for testing. ``val_fraction`` of what is left of each class, drawn
    with ``split_seed``, is the validation part.

    Args:
        root: folder that holds the folder CIFAR10DVS, with a folder for each class, or archives of them.
        cache: folder of binned recordings; None: they are read and binned anew each epoch.
        downsample: side of the square of pixels that are summed.
        val_fraction: share of the nine tenths that is for validation, in (0, 1).
        split_seed: seed of the draw of the validation part, from 0 to 2³² − 1.
        batch_size: samples in a training batch, of each process.
        eval_batch_size: samples in a batch of validation, test and prediction.
        others: those of :class:`EventDataModule`.

    Raises:
        SettingError: if a setting is out of its range.
        UserError: when the data are needed, if they, Tonic or aedat are missing or can't be read.

    Source: Li, Liu, Ji, Li & Shi 2017, "CIFAR10-DVS: an event-stream dataset for object classification", Frontiers in
    Neuroscience 11:309. The 90/10 rule: Wu et al. 2019, "Direct training for spiking neural networks: faster, larger,
    better", AAAI.
    """

    sensor = Sensor((2, 128, 128), spatial=2)
    classes = 10
    official: ClassVar = {"all": 10_000}

    def __init__(
        self,
        root: str = "data",
        cache: str | None = "data/cache",
        downsample: int = 2,
        val_fraction: float = 0.1,
        split_seed: int = 0,
        batch_size: int = 16,
        eval_batch_size: int = 64,
        **others: Any,
    ) -> None:
        super().__init__(
            root, cache, downsample=downsample, batch_size=batch_size, eval_batch_size=eval_batch_size, **others
        )
        self.val_fraction = number("val_fraction", val_fraction, "(0, 1)")
        self.split_seed = seed_in_range("split_seed", split_seed)

    def recordings(self, split: str) -> tuple[Recordings, NDArray[np.int64]]:
        """All recordings and the class of each, [N]."""
        folder = self.root / "CIFAR10DVS"
        for name in CLASSES:
            there = provide(folder / name, f"{name}.zip", "CIFAR10DVS.zip")
            if not there or not any((folder / name).glob("*.aedat4")):
                raise UserError(
                    f"{folder / name} has no recordings: put CIFAR10DVS.zip (Tonic's edition, figshare file 38023437) "
                    f"into {folder}, or unpack it and the archives in it there as {name}/*.aedat4"
                )
        files = list(folder.rglob("*.aedat4"))
        recordings = Recordings("CIFAR10DVS", self.root, {}, files, starts_at_first_event=True)
        return recordings, recordings.each(recordings.tonic.targets)

    def split_of(self, part: str) -> str:
        """The one that there is."""
        return "all"

    def chosen(self, part: str, recordings: Recordings, labels: NDArray[np.int64]) -> NDArray[np.bool_]:
        """The last tenth of each class for testing; of what is left, what is, or isn't, for validation."""
        test = _last_tenth(labels)
        if part == "test":
            return test
        val = np.zeros(len(labels), bool)
        val[~test] = stratified(labels[~test], self.val_fraction, self.split_seed)
        return val if part == "val" else ~(val | test)


def _last_tenth(labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    marked = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        marked[members[len(members) - max(1, round(len(members) / 10)) :]] = True
    return marked
