"""The article's problem: points of the plane, labelled by the side of a line on which they lie."""

from __future__ import annotations

import torch
from torch import Tensor

from litspike.data.drawn import DrawnDataModule
from litspike.settings import integer


class HalfPlane(DrawnDataModule):
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

    Example:
        >>> from litspike.data import HalfPlane
        >>> data = HalfPlane(train_points=20)
        >>> data.setup("fit")
        >>> x, y = next(iter(data.train_dataloader()))
        >>> x.shape, y.shape
        (torch.Size([10, 2]), torch.Size([10]))
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
        super().__init__(
            integer("train_points", train_points),
            integer("val_points", val_points),
            integer("test_points", test_points),
            batch_size,
            eval_batch_size,
            seed,
        )

    def draw(self, samples: int, randomness: torch.Generator) -> tuple[Tensor, Tensor]:
        """Points [N, 2] and labels [N], 0 or 1, in float32."""
        x = torch.randn(samples, 2, generator=randomness)
        return x, (x.sum(1) > 0).float()
