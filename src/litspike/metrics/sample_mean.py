"""Means of the samples, with what their intervals need."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric

from litspike.arguments import check_tensor
from litspike.metrics.exact import exact
from litspike.metrics.mean import interval_of
from litspike.settings import integer


class SampleMean(Metric):
    r"""Mean of one or several quantities over the samples, and its 95% interval.

    Equation, with n samples of values x: ``m = Σx / n``, ``s² = (Σx² − n m²) / (n − 1)``, and the interval of
    :func:`~litspike.metrics.mean_interval`; sums in float64, added up over processes.

    Update: ``mean.update(values)`` with values [quantities, B], or [B] of one. Compute: float64 ``mean`` and
    ``deviation`` s, each [quantities], and ``samples`` n. Keep it on :func:`~litspike.metrics.exact_device`.

    Args:
        quantities: their number.

    Raises:
        SettingError: if it is below 1.

    Example:
        >>> import torch
        >>> from litspike.metrics import SampleMean
        >>> mean = SampleMean()
        >>> mean.update(torch.tensor([1.0, 2.0, 3.0]))
        >>> float(mean.compute()["mean"])
        2.0
    """

    full_state_update = False
    sums: Tensor
    """Sums of the values and of their squares, [2, quantities]."""
    samples: Tensor

    def __init__(self, quantities: int = 1) -> None:
        super().__init__()
        self.add_state("sums", torch.zeros((2, integer("quantities", quantities)), dtype=torch.float64), "sum")
        self.add_state("samples", torch.zeros((), dtype=torch.int64), "sum")

    def update(self, values: Tensor) -> None:
        """Take in the values of a batch, [quantities, B] or [B]."""
        check_tensor(self, "values", values)
        values = exact(values.detach()).reshape(self.sums.shape[1], -1)
        self.sums += torch.stack([values.sum(1), values.square().sum(1)])
        self.samples += values.shape[1]

    def compute(self) -> dict[str, Tensor]:
        """Means, deviations and number of samples."""
        mean = self.sums[0] / self.samples
        variance = (self.sums[1] / self.samples - mean.square()).clamp(min=0) * self.samples / (self.samples - 1)
        return {"mean": mean, "deviation": variance.sqrt(), "samples": self.samples}

    def intervals(self, *most: float | None) -> list[tuple[float, float]]:
        """The interval of each quantity's mean; empty where there are fewer than two samples.

        Args:
            most: of each quantity the largest value that a sample can have where 0 is the least; None where it has no
                bounds, as all have where nothing is given.
        """
        found = self.compute()
        samples, of_each = int(found["samples"]), most or [None] * self.sums.shape[1]
        if samples < 2:
            return []
        means, deviations = (found[name].reshape(-1).tolist() for name in ("mean", "deviation"))
        return [
            interval_of(mean, deviation, samples, most=bound if mean >= 0 else None)
            for mean, deviation, bound in zip(means, deviations, of_each, strict=True)
        ]
