"""The article's problem: points of the plane, labelled by the side of a line on which they lie."""

from __future__ import annotations

import torch
from torch import Tensor

from litspike.data.tensors import TensorDataModule
from litspike.seeding import generator, seed_in_range
from litspike.settings import whole

_PARTS = ("train", "val", "test")


class HalfPlane(TensorDataModule):
    """Points from a two-dimensional standard normal; the label is 1 where ``x0 + x1 > 0``, else 0.

    Each part is a draw of its own, made on the CPU from a generator of its own: the same seed gives the same points
    on every device, and the size of one part changes no other.

    Args:
        train_points: number of training points.
        val_points: number of validation points, on which the checkpoint is chosen.
        test_points: number of test points.
        batch_size: points in a training batch.
        eval_batch_size: points in a batch of validation, test and prediction.
        seed: seed of the points and of the order of the training batches, from 0 to 2³² − 1.

    Raises:
        SettingError: if a number of points or a batch size is below 1, or the seed out of range.
    """

    def __init__(
        self,
        train_points: int = 1000,
        val_points: int = 1000,
        test_points: int = 10,
        batch_size: int = 10,
        eval_batch_size: int = 1000,
        seed: int = 0,
    ) -> None:
        super().__init__(batch_size, eval_batch_size, seed)
        self.points = {
            "train": whole("train_points", train_points),
            "val": whole("val_points", val_points),
            "test": whole("test_points", test_points),
        }

    def part(self, name: str) -> tuple[Tensor, Tensor]:
        """Points [N, 2] and labels [N], in float32."""
        return draw(self.points[name], self.seed, _PARTS.index(name))


def draw(points: int, seed: int, stream: int) -> tuple[Tensor, Tensor]:
    """Draw points and their labels.

    Args:
        points: how many.
        seed: from 0 to 2³² − 1.
        stream: draws with one seed and different streams are independent.

    Returns:
        Points [N, 2] and labels [N], 0 or 1, both float32 on the CPU.
    """
    x = torch.randn(points, 2, generator=generator(seed_in_range("seed", seed), stream))
    return x, (x.sum(1) > 0).float()
