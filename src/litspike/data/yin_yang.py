"""The Yin–Yang data: three classes of points of a disc, which no shallow network tells apart."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from litspike.arguments import typed
from litspike.data.labels import Classes
from litspike.data.tensors import TensorDataModule
from litspike.settings import integer

_RADIUS, _DOT = 0.5, 0.1
_SEEDS = {"train": 42, "val": 41, "test": 40}
"""Of the paper's own parts."""


class YinYang(TensorDataModule):
    """Points of a disc with the sign of Yin and Yang on it: which half they are in, or whether in one of its two dots.

    Equation, for (a, b) in the disc of radius R = 0.5 around (R, R), with the distances l and r from the middles of the
    dots, (R/2, R) and (3R/2, R), whose radius is 0.1::

        class 2 (dot)   l < 0.1 or r < 0.1
        class 1 (yang)  else l ≤ R/2, or b > R and r > R/2
        class 0 (yin)   else

    The class of each sample is drawn first, and then points until one is in it, so that the three are about equally
    frequent. The points are those of the paper: the parts are drawn from its seeds, 42 for training, 41 for validation
    and 40 for test, whatever ``seed`` is.

    Batches: x float32 [B, 4] in [0, 1], (a, b, 1 − a, 1 − b), which a latency code turns into four spikes whatever the
    point; y the class, int64 [B].

    Args:
        train_samples: number of training samples; 5000 in the paper.
        val_samples: number of validation samples; 1000 in the paper.
        test_samples: number of test samples; 1000 in the paper.
        batch_size: samples in a training batch.
        eval_batch_size: samples in a batch of validation, test and prediction.
        seed: seed of the order of the training batches, from 0 to 2³² − 1.

    Raises:
        SettingError: if a number of samples or a batch size is below 1, or the seed out of range.

    Source: L. Kriener, J. Göltz and M. A. Petrovici 2021, "The Yin-Yang dataset", arXiv 2102.08211.

    Example:
        >>> from litspike.data import YinYang
        >>> data = YinYang(train_samples=50, val_samples=8)
        >>> data.setup("fit")
        >>> x, y = next(iter(data.train_dataloader()))
        >>> x.shape, y.shape
        (torch.Size([50, 4]), torch.Size([50]))
    """

    labels = Classes(3)

    @typed
    def __init__(
        self,
        train_samples: int = 5000,
        val_samples: int = 1000,
        test_samples: int = 1000,
        batch_size: int = 50,
        eval_batch_size: int = 1000,
        seed: int = 0,
    ) -> None:
        super().__init__(batch_size, eval_batch_size, seed)
        self.samples = {
            "train": integer("train_samples", train_samples),
            "val": integer("val_samples", val_samples),
            "test": integer("test_samples", test_samples),
        }

    def part(self, name: str) -> tuple[Tensor, Tensor]:
        """Samples [N, 4] and classes [N] of the part ``train``, ``val`` or ``test``."""
        randomness = np.random.RandomState(_SEEDS[name])  # NumPy's old generator, whose stream the paper's points are
        points, classes = [], []
        for _ in range(self.samples[name]):
            classes.append(int(randomness.randint(3)))
            points.append(_point_of(classes[-1], randomness))
        x = torch.from_numpy(np.array(points))
        return torch.cat([x, 1 - x], 1).float(), torch.tensor(classes)


def _point_of(label: int, randomness: np.random.RandomState) -> tuple[float, float]:
    """The first point of a class among those drawn uniformly from the square around the disc."""
    while True:
        a, b = (float(share) * 2 * _RADIUS for share in randomness.rand(2))
        if math.hypot(a - _RADIUS, b - _RADIUS) <= _RADIUS and class_at(a, b) == label:
            return a, b


def class_at(a: float, b: float) -> int:
    """The class of a point of the disc."""
    left, right = (math.hypot(a - share * _RADIUS, b - _RADIUS) for share in (0.5, 1.5))
    if min(left, right) < _DOT:
        return 2
    return int(left <= _RADIUS / 2 or (b > _RADIUS and right > _RADIUS / 2))
