"""Spiking Speech Commands: spoken words through a model of the cochlea."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from litspike.data.events.module import EventDataModule
from litspike.data.events.recordings import Recordings
from litspike.data.events.shd import COCHLEA, spoken


class SSC(EventDataModule):
    """Spiking Speech Commands: 105 829 spoken English words of many speakers as spikes of 700 units, 35 classes.

    Batches are (x, y): x float32 [B, T, units], the number of spikes in each bin and unit, with ⌈700 / downsample⌉
    units; y int64 [B]. Longer recordings are cut after T bins, shorter ones padded with empty bins; all last about 1 s.
    The published training, validation and test splits.

    Args:
        root: folder that holds the folder SSC, with ssc_train.h5, ssc_valid.h5 and ssc_test.h5 or their zip archives.
        cache: folder of binned recordings; None: they are read and binned anew each epoch.
        steps: T.
        bin: width of a bin in ms; None: T equal bins from 0 to each recording's last spike.
        downsample: number of neighbouring units that are summed.
        others: those of :class:`EventDataModule`.

    Raises:
        SettingError: if a setting is out of its range.
        UserError: when the data are needed, if they or Tonic are missing or can't be read.

    Source: Cramer, Stradmann, Schemmel & Zenke 2020, "The Heidelberg spiking data sets for the systematic evaluation
    of spiking neural networks", IEEE Transactions on Neural Networks and Learning Systems 33.
    """

    sensor = COCHLEA
    classes = 35
    official: ClassVar = {"train": 75_466, "valid": 9981, "test": 20_382}

    def __init__(
        self,
        root: str = "data",
        cache: str | None = "data/cache",
        steps: int = 100,
        bin: float | None = 10.0,
        downsample: int = 5,
        **others: Any,
    ) -> None:
        super().__init__(root, cache, steps=steps, bin=bin, downsample=downsample, **others)

    def recordings(self, split: str) -> tuple[Recordings, NDArray[np.int64]]:
        """The recordings of the split ``train``, ``valid`` or ``test`` and the class of each, [N]."""
        return spoken(self.root, "SSC", split, {"split": split})

    def split_of(self, part: str) -> str:
        """The published split of the same purpose."""
        return "valid" if part == "val" else part

    def chosen(self, part: str, recordings: Recordings, labels: NDArray[np.int64]) -> NDArray[np.bool_]:
        """All of the split."""
        return np.ones(len(labels), bool)
