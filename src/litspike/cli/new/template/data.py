"""Your data: what a sample is, and what its label is."""

import math

import torch
from torch import Tensor

from litspike.data import TensorDataModule
from litspike.data.labels import Classes

SAMPLES = {"train": 1000, "val": 300, "test": 1000}


class Data(TensorDataModule):
    """Points of three rings around the origin; the label is the ring. Put your own samples in its place.

    For labels 0 or 1 and one output leave ``labels`` out, for regression it is ``litspike.data.labels.Values()``.

    Args:
        noise: standard deviation that is added to each coordinate.
        batch_size: points in a training batch.
        eval_batch_size: points in a batch of validation, test and prediction.
        seed: seed of the points and of the order of the training batches.
    """

    labels = Classes(3)

    def __init__(self, noise: float = 0.1, batch_size: int = 32, eval_batch_size: int = 1000, seed: int = 0) -> None:
        super().__init__(batch_size, eval_batch_size, seed)
        self.noise = noise

    def part(self, name: str) -> tuple[Tensor, Tensor]:
        """Samples [N, 2] and labels [N] of the part ``train``, ``val`` or ``test``.

        Samples may have any shape [N, *]; of sequences it is [N, T, *], and the encoder is then TimeFirst.
        """
        places = list(SAMPLES)
        randomness = torch.Generator().manual_seed(self.seed * len(places) + places.index(name))
        ring = torch.randint(3, (SAMPLES[name],), generator=randomness)
        angle = 2 * math.pi * torch.rand(len(ring), generator=randomness)
        points = torch.stack((angle.cos(), angle.sin()), 1) * (ring + 1.0).unsqueeze(1) / 2
        return points + self.noise * torch.randn(points.shape, generator=randomness), ring
