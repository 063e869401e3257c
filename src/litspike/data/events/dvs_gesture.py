"""DVS128 Gesture: hand and arm gestures of 29 people before an event camera."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from litspike.arguments import typed
from litspike.data.events.binning import Sensor
from litspike.data.events.module import EventDataModule, of_people
from litspike.data.events.recordings import Recordings, provide
from litspike.settings import UserError, integer


class DVSGesture(EventDataModule):
    """DVS128 Gesture: 1 341 recordings of 11 gestures by 29 people, from an event camera of 128 × 128 pixels.

    Batches are (x, y): x float32 [B, T, 2, H, W], the number of events in each bin, polarity and pixel, with H = W =
    ⌈128 / downsample⌉; y int64 [B]. Longer recordings are cut after T bins, shorter ones padded with empty bins; a
    recording lasts about 6 s, and time counts from its first event. The published splits by person, 1–23 for training
    and 24–29 for testing; all recordings of ``val_users`` in the training split are the validation part.

    Read is Tonic's edition, where the recordings are already cut into gestures and timed to 1 ms.

    Args:
        root: folder that holds the folder DVSGesture, with ibmGestureTrain/ and ibmGestureTest/ or their archives.
        cache: folder of binned recordings; None: they are read and binned anew each epoch.
        steps: T.
        downsample: side of the square of pixels that are summed.
        val_users: the people, of 1–23, who are for validation.
        batch_size: samples in a training batch, of each process.
        eval_batch_size: samples in a batch of validation, test and prediction.
        others: those of :class:`EventDataModule`.

    Raises:
        SettingError: if a setting is out of its range, or when the data are needed, if ``val_users`` names nobody,
            everybody, or somebody who isn't there.
        UserError: when the data are needed, if they or Tonic are missing or can't be read.

    Source: Amir et al. 2017, "A low power, fully event-based gesture recognition system", CVPR.
    """

    sensor = Sensor((2, 128, 128), spatial=2)
    classes = 11
    official: ClassVar = {"train": 1077, "test": 264}

    @typed
    def __init__(
        self,
        root: str = "data",
        cache: str | None = "data/cache",
        steps: int = 20,
        downsample: int = 4,
        val_users: Sequence[int] = (21, 22, 23),
        batch_size: int = 16,
        eval_batch_size: int = 64,
        **others: Any,
    ) -> None:
        sizes: dict[str, Any] = {"batch_size": batch_size, "eval_batch_size": eval_batch_size}
        super().__init__(root, cache, steps=steps, downsample=downsample, **sizes, **others)
        self.val_users = tuple(integer("val_users", user, 0) for user in val_users)

    def recordings(self, split: str) -> tuple[Recordings, NDArray[np.int64]]:
        """The recordings of the split ``train`` or ``test`` and the gesture of each, [N]."""
        folder = self.root / "DVSGesture" / f"ibmGesture{split.capitalize()}"
        files = list(folder.glob("user*_*/*.npy")) if provide(folder, f"{folder.name}.tar.gz") else []
        if not files:
            raise UserError(
                f"{folder} has no recordings: put {folder.name}.tar.gz (Tonic's edition of DVS128 Gesture, figshare "
                f"files 38022171 and 38020584) into {folder.parent}, or unpack it there as "
                f"{folder.name}/user01_fluorescent/0.npy"
            )
        recordings = Recordings("DVSGesture", self.root, {"train": split == "train"}, files, starts_at_first_event=True)
        return recordings, recordings.each(recordings.tonic.targets)

    def held_out(self, recordings: Recordings, labels: NDArray[np.int64]) -> NDArray[np.bool_]:
        """All recordings of some people."""
        return of_people("val_users", recordings.each(recordings.tonic.users), self.val_users)
