"""Spiking Heidelberg Digits: spoken digits through a model of the cochlea."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from litspike.arguments import typed
from litspike.data.events.binning import Sensor
from litspike.data.events.module import EventDataModule, of_people
from litspike.data.events.recordings import Recordings, provide, reading
from litspike.settings import UserError, integer

COCHLEA = Sensor((700,), spatial=1)
"""700 units along the basilar membrane."""


class SHD(EventDataModule):
    """Spiking Heidelberg Digits: 10 420 spoken digits, English and German, as spikes of 700 units, 20 classes.

    Batches are (x, y): x float32 [B, T, units], the number of spikes in each bin and unit, with ⌈700 / downsample⌉
    units; y int64 [B]. Longer recordings are cut after T bins, shorter ones padded with empty bins; the longest lasts
    about 1.4 s. The published training and test splits; all recordings of ``val_speakers`` in the training split are
    the validation part, since two speakers of the test split are heard in no other.

    Args:
        root: folder that holds the folder SHD, with shd_train.h5 and shd_test.h5 or their zip archives.
        cache: folder of binned recordings; None: they are read and binned anew each epoch.
        steps: T.
        bin: width of a bin in ms; None: T equal bins from 0 to each recording's last spike.
        downsample: number of neighbouring units that are summed.
        val_speakers: the speakers, of 0–3 and 6–11, who are for validation.
        others: those of :class:`EventDataModule`.

    Raises:
        SettingError: if a setting is out of its range, or when the data are needed, if ``val_speakers`` names nobody,
            everybody, or somebody who isn't there.
        UserError: when the data are needed, if they or Tonic are missing or can't be read.

    Source: Cramer, Stradmann, Schemmel & Zenke 2020, "The Heidelberg spiking data sets for the systematic evaluation
    of spiking neural networks", IEEE Transactions on Neural Networks and Learning Systems 33.
    """

    sensor = COCHLEA
    classes = 20
    official: ClassVar = {"train": 8156, "test": 2264}

    @typed
    def __init__(
        self,
        root: str = "data",
        cache: str | None = "data/cache",
        steps: int = 100,
        bin: float | None = 14.0,
        downsample: int = 5,
        val_speakers: Sequence[int] = (10, 11),
        **others: Any,
    ) -> None:
        super().__init__(root, cache, steps=steps, bin=bin, downsample=downsample, **others)
        self.val_speakers = tuple(integer("val_speakers", speaker, 0) for speaker in val_speakers)

    def recordings(self, split: str) -> tuple[Recordings, NDArray[np.int64]]:
        """The recordings of the split ``train`` or ``test`` and the class of each, [N]."""
        return spoken(self.root, "SHD", split, {"train": split == "train"})

    def held_out(self, recordings: Recordings, labels: NDArray[np.int64]) -> NDArray[np.bool_]:
        """All recordings of some speakers."""
        return of_people("val_speakers", recordings.each(recordings.tonic.speaker), self.val_speakers)


def spoken(root: Path, kind: str, split: str, arguments: dict[str, object]) -> tuple[Recordings, NDArray[np.int64]]:
    """A split of one of the two Heidelberg sets and its labels, [N].

    Raises:
        UserError: if its file is missing or can't be read.
    """
    file = root / kind / f"{kind.lower()}_{split}.h5"
    if not provide(file, f"{file.name}.zip"):
        raise UserError(f"{file} is missing: put it or {file.name}.zip (zenkelab.org/datasets) into {file.parent}")
    recordings = Recordings(kind, root, arguments, [file], place=("x",))
    return recordings, recordings.each(_labels(file))


def _labels(file: Path) -> NDArray[np.int64]:
    import h5py  # comes with Tonic

    with reading(file), h5py.File(file) as content:
        return np.asarray(content["labels"])
