"""N-MNIST: handwritten digits seen by a moving event camera."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from litspike.data.events.binning import Sensor
from litspike.data.events.module import EventDataModule, stratified
from litspike.data.events.recordings import Recordings, provide
from litspike.seeding import seed_in_range
from litspike.settings import UserError, number


class NMNIST(EventDataModule):
    """N-MNIST: 70 000 recordings of MNIST digits under three saccades of an event camera of 34 × 34 pixels, 10 classes.

    Batches are (x, y): x float32 [B, T, 2, H, W], the number of events in each bin, polarity and pixel, with H = W =
    ⌈34 / downsample⌉; y int64 [B], the digit. Longer recordings are cut after T bins, shorter ones padded with empty
    bins; a recording lasts about 300 ms. The published training and test splits; ``val_fraction`` of each class of the
    training split, drawn with ``split_seed``, is the validation part.

    Args:
        root: folder that holds the folder NMNIST, with Train/ and Test/ or the archives train.zip and test.zip.
        cache: folder of binned recordings; None: they are read and binned anew each epoch.
        steps: T.
        bin: width of a bin in ms; None: T equal bins that span each recording.
        val_fraction: share of the training split that is for validation, in (0, 1).
        split_seed: seed of the draw of the validation part, from 0 to 2³² − 1.
        others: those of :class:`EventDataModule`.

    Raises:
        SettingError: if a setting is out of its range.
        UserError: when the data are needed, if they or Tonic are missing or can't be read.

    Source: Orchard, Jayawant, Cohen & Thakor 2015, "Converting static image datasets to spiking neuromorphic datasets
    using saccades", Frontiers in Neuroscience 9:437.
    """

    sensor = Sensor((2, 34, 34), spatial=2)
    classes = 10
    official: ClassVar = {"train": 60_000, "test": 10_000}

    def __init__(
        self,
        root: str = "data",
        cache: str | None = "data/cache",
        steps: int = 30,
        bin: float | None = 10.0,
        val_fraction: float = 0.1,
        split_seed: int = 0,
        **others: Any,
    ) -> None:
        super().__init__(root, cache, steps=steps, bin=bin, **others)
        self.val_fraction = number("val_fraction", val_fraction, "(0, 1)")
        self.split_seed = seed_in_range("split_seed", split_seed)

    def recordings(self, split: str) -> tuple[Recordings, NDArray[np.int64]]:
        """The recordings of the split ``train`` or ``test`` and the digit of each, [N]."""
        folder = self.root / "NMNIST" / split.capitalize()
        files = list(folder.glob("[0-9]/*.bin")) if provide(folder, f"{split}.zip") else []
        if not files:
            raise UserError(
                f"{folder} has no recordings: put {split}.zip of N-MNIST (garrickorchard.com/datasets/n-mnist) into "
                f"{folder.parent}, or unpack it there as {folder.name}/0/00002.bin and so on"
            )
        recordings = Recordings("NMNIST", self.root, {"train": split == "train"}, files)
        return recordings, recordings.each(recordings.tonic.targets)

    def held_out(self, recordings: Recordings, labels: NDArray[np.int64]) -> NDArray[np.bool_]:
        """A share of each class of the training split."""
        return stratified(labels, self.val_fraction, self.split_seed)
