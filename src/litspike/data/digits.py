"""Handwritten digits of 8×8 pixels: real data that need no download."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from litspike.arguments import typed
from litspike.data.distortion import Distortion
from litspike.data.extras import library
from litspike.data.labels import Classes
from litspike.data.splits import TEST, VALIDATION, carve
from litspike.data.tensors import TensorDataModule
from litspike.seeding import generator
from litspike.settings import number

_TEST_FRACTION = 0.2
_SHAPES = {"image": (1, 8, 8), "flat": (64,), "sequence": (64, 1)}


class Digits(TensorDataModule):
    """The 1797 handwritten digits inside scikit-learn, 8×8 pixels, ten classes.

    The test part, a fifth of each class (359 samples), is the same for every seed; the validation part is carved from
    the rest by the seed, stratified too.

    Batches: x float32 in [0, 1] (0 is paper, 1 ink), [B, 1, 8, 8], [B, 64] or [B, 64, 1], row by row; y the digit,
    int64 [B].

    Args:
        layout: ``image`` [1, 8, 8], ``flat`` [64], or ``sequence`` [64, 1]: one pixel a step, left to right and then
            down.
        val_fraction: share of the samples outside the test part that are for validation, inside (0, 1).
        batch_size: samples in a training batch.
        eval_batch_size: samples in a batch of validation, test and prediction.
        seed: seed of the validation part, of the order of the training batches and of their distortion, from 0 to
            2³² − 1.
        distortion: what training images go through anew in every epoch; none where null.

    Raises:
        SettingError: if a setting is outside its range.
        UserError: if scikit-learn is not installed, once the data are asked for.

    Source: E. Alpaydin and C. Kaynak 1998, "Optical Recognition of Handwritten Digits", UCI; its test set, as
    scikit-learn's ``load_digits`` brings it.
    """

    labels = Classes(10)

    @typed
    def __init__(
        self,
        layout: Literal["image", "flat", "sequence"] = "image",
        val_fraction: float = 0.1,
        batch_size: int = 32,
        eval_batch_size: int = 1000,
        seed: int = 0,
        distortion: Distortion | None = None,
    ) -> None:
        super().__init__(batch_size, eval_batch_size, seed)
        self.layout = layout
        self.val_fraction = number("val_fraction", val_fraction, "(0, 1)")
        self.distortion = distortion

    def part(self, name: str) -> tuple[Tensor, Tensor]:
        """Images [N, *] in the layout, float32, and digits [N], int64."""
        loaded = library("sklearn.datasets", "scikit-learn", "data", "Digits").load_digits()
        x = torch.as_tensor(loaded.data / 16, dtype=torch.float32).view(-1, *_SHAPES[self.layout])
        y = torch.as_tensor(loaded.target, dtype=torch.int64)
        rest, test = carve(y, _TEST_FRACTION, generator(0, TEST))
        train, val = carve(y[rest], self.val_fraction, generator(self.seed, VALIDATION))
        chosen = {"train": rest[train], "val": rest[val], "test": test}[name]
        return x[chosen], y[chosen]

    def vary(self, x: Tensor, randomness: torch.Generator) -> Tensor:
        """Samples [B, *] in the layout, each distorted in its own way."""
        if self.distortion is None:
            return x
        return self.distortion(x.view(-1, *_SHAPES["image"]), randomness).view_as(x)
