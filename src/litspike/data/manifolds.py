"""Smooth random manifolds: classes that differ in the relative timing of spikes alone."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from litspike.arguments import typed
from litspike.data.drawn import DrawnDataModule
from litspike.data.labels import of_classes
from litspike.seeding import generator
from litspike.settings import integer, number

_SHAPE = 10  # purpose of the draws that shape the manifolds, apart from those of any part's samples
_GRID = 1000  # points at which a one-dimensional function is evaluated to find its range


class Manifold:
    """One smooth random manifold of dimension D in the unit cube of U dimensions.

    Each of the U coordinates is a product of one random Fourier series for each of the D intrinsic coordinates z:

        f_u(z) = Π_d Σ_k k^(−alpha) · a_udk · sin(2π (k · b_udk · z_d + c_udk)),   k = 1 … K

    with a, b and c uniform in [0, 1), then mapped linearly so that it takes all values from 0 to 1. K is where
    k^(−alpha) falls below 1/1000, at most 1000.

    Args:
        units: U.
        dimension: D.
        alpha: the larger, the smoother.
        randomness: of a, b and c.

    Source: F. Zenke and T. P. Vogels 2021, "The remarkable robustness of surrogate gradient learning for instilling
    complex function in spiking neural networks", Neural Computation 33(4).
    """

    def __init__(self, units: int, dimension: int, alpha: float, randomness: torch.Generator) -> None:
        frequencies = min(math.ceil(1000 ** (1 / alpha)), 1000)
        amplitude, stretch, self.phase = torch.rand(3, units, dimension, frequencies, generator=randomness)
        k = torch.arange(1, frequencies + 1)
        self.amplitude, self.frequency = amplitude * k**-alpha, stretch * k
        # the factors of a product depend on different coordinates: its range follows from theirs
        low, high = torch.ones(units), torch.ones(units)
        for d in range(dimension):
            ends = self._series(d, torch.linspace(0, 1, _GRID)).aminmax(dim=1)
            corners = torch.stack([a * b for a in (low, high) for b in (ends.min, ends.max)])
            low, high = corners.amin(0), corners.amax(0)
        self.low, self.width = low, high - low

    def at(self, z: Tensor) -> Tensor:
        """Points of the manifold: intrinsic coordinates [N, D] in [0, 1] → points [N, U] in [0, 1]."""
        product = torch.ones(())
        for d in range(z.shape[1]):
            product = product * self._series(d, z[:, d])
        return ((product.T - self.low) / self.width).clamp(0, 1)

    def _series(self, d: int, z: Tensor) -> Tensor:
        """The U functions of intrinsic coordinate ``d`` at z [N]: [U, N], a unit at a time to spare memory."""
        settings = zip(self.amplitude[:, d], self.frequency[:, d], self.phase[:, d], strict=True)
        return torch.stack([(2 * math.pi * (z[:, None] * b + c)).sin() @ a for a, b, c in settings])


class Manifolds(DrawnDataModule):
    """Each class is one smooth random manifold (:class:`Manifold`), its samples are uniform in intrinsic coordinates.

    The seed shapes the manifolds, once for all parts; each part draws its own points on them. Every unit spikes once
    in each sample, so that the class is in the relative spike times alone, not in any rate.

    Batches: x float32, as ``spikes`` [B, steps, units], where a point p of the manifold makes unit u spike in step
    ⌊p_u · steps⌋, or as ``analog`` [B, units] in [0, 1], p itself, for an encoder; y the class, int64 [B], or 0 or 1
    in float32 [B] where there are two classes. The classes are equally frequent (within one sample).

    Args:
        classes: number of classes, at least 2.
        dimension: intrinsic dimension D of each manifold.
        units: number of input units U.
        alpha: smoothness, above 0: 1 is rugged, 3 is smooth.
        layout: ``spikes`` or ``analog``.
        steps: number of time steps of ``spikes``.
        train_samples: number of training samples, over all classes.
        val_samples: number of validation samples.
        test_samples: number of test samples.
        batch_size: samples in a training batch.
        eval_batch_size: samples in a batch of validation, test and prediction.
        seed: seed of the manifolds, the samples and the order of the training batches, from 0 to 2³² − 1.

    Raises:
        SettingError: if a setting is outside its range.

    Source: F. Zenke and T. P. Vogels 2021, as :class:`Manifold`.

    Example:
        >>> from litspike.data import Manifolds
        >>> data = Manifolds(train_samples=128, val_samples=8)
        >>> data.setup("fit")
        >>> x, y = next(iter(data.train_dataloader()))
        >>> x.shape, y.shape
        (torch.Size([128, 100, 50]), torch.Size([128]))
    """

    @typed
    def __init__(
        self,
        classes: int = 10,
        dimension: int = 2,
        units: int = 50,
        alpha: float = 3.0,
        layout: Literal["spikes", "analog"] = "spikes",
        steps: int = 100,
        train_samples: int = 8000,
        val_samples: int = 1000,
        test_samples: int = 1000,
        batch_size: int = 128,
        eval_batch_size: int = 1000,
        seed: int = 0,
    ) -> None:
        super().__init__(train_samples, val_samples, test_samples, batch_size, eval_batch_size, seed)
        self.classes = integer("classes", classes, 2)
        self.labels = of_classes(classes)
        self.dimension = integer("dimension", dimension)
        self.units = integer("units", units)
        self.alpha = number("alpha", alpha, "(0, inf)")
        self.layout = layout
        self.steps = integer("steps", steps)

    @cached_property
    def manifolds(self) -> list[Manifold]:
        """The manifold of each class."""
        seeds = [generator(self.seed, _SHAPE, label) for label in range(self.classes)]
        return [Manifold(self.units, self.dimension, self.alpha, seed) for seed in seeds]

    def draw(self, samples: int, randomness: torch.Generator) -> tuple[Tensor, Tensor]:
        """Points [N, units], or the steps of their spikes in int32, and classes [N]."""
        y = torch.arange(samples) % self.classes
        z = torch.rand(samples, self.dimension, generator=randomness)
        x = torch.empty(samples, self.units)
        for label, manifold in enumerate(self.manifolds):
            x[y == label] = manifold.at(z[y == label])
        return (x if self.layout == "analog" else (x * self.steps).int().clamp(max=self.steps - 1)), y

    def form(self, x: Tensor) -> Tensor:
        """Points as they are; steps [B, units] as spikes [B, steps, units]."""
        if self.layout == "analog":
            return x
        return torch.zeros(len(x), self.steps, self.units).scatter_(1, x[:, None].long(), 1.0)
