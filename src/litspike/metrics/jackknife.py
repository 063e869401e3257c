"""The interval of any metric, from what it would be without some of its samples."""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from litspike.arguments import typed
from litspike.metrics.exact import exact
from litspike.metrics.mean import interval_of
from litspike.settings import integer

_SIGNED = ("CohenKappa", "CosineSimilarity", "ExplainedVariance", "HingeLoss", "KendallRank", "MatthewsCorr")
"""Parts of the names of torchmetrics' classes whose bounds are those of a plot alone: they may leave [0, 1]."""


class Jackknife(nn.Module):
    r"""The standard error of a metric by the grouped jackknife, and its 95% interval.

    Equation, with the metric θ of all samples and θ₍ₖ₎ of all but those of group k, of g groups that the samples are
    dealt to in turn::

        s² = (g − 1)/g · Σ_k (θ₍ₖ₎ − mean θ₍ₖ₎)²        interval: θ ± t · s, t of g − 1 degrees of freedom

    For a mean of as many samples as groups it is the interval of :func:`~litspike.metrics.mean_interval`. It is for
    metrics that change smoothly with their samples, such as F1, R² or the area under a curve; not for a median or a
    maximum. Every process deals out its own samples.

    Args:
        metric: any metric; it is copied.
        groups: number of groups g, 2 or more.

    Raises:
        SettingError: if groups is below 2.

    Source: Efron and Tibshirani 1993, "An introduction to the bootstrap", chapter 11; Shao and Wu 1989, "A general
    theory for jackknife variance estimation", for groups.

    Example:
        >>> from torchmetrics import MeanSquaredError
        >>> jackknife = Jackknife(MeanSquaredError(), groups=4)
        >>> jackknife.update(torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.zeros(4))
        >>> jackknife.compute()[0].item()
        7.5
    """

    @typed
    def __init__(self, metric: Metric, groups: int = 20) -> None:
        super().__init__()
        self.groups, self.samples = integer("groups", groups, 2), 0
        self.all = metric.clone()
        self.without = nn.ModuleList([metric.clone() for _ in range(groups)])

    def update(self, predictions: Tensor, targets: Tensor, samples: int | None = None) -> None:
        r"""Take in what the metric takes.

        Args:
            predictions: [B, \*], or as many for each sample, one sample after another.
            targets: of the same length.
            samples: number of samples that they are of; B where None.
        """
        samples = len(targets) if samples is None else samples
        sample = torch.arange(samples, device=targets.device).repeat_interleave(len(targets) // samples)
        turn = (self.samples + sample) % self.groups
        self.samples += samples
        self.all.update(predictions, targets)
        for group, metric in enumerate(cast("list[Metric]", self.without)):
            stay = turn != group
            if bool(stay.any()):
                metric.update(predictions[stay], targets[stay])

    def compute(self) -> list[Tensor]:
        """The metric of all samples, then that without each group; float64. All processes have to call it."""
        return [exact(torch.as_tensor(metric.compute())) for metric in (self.all, *cast("list[Metric]", self.without))]

    def interval(self, found: list[Tensor]) -> list[tuple[float, float] | None]:
        """The interval of each number that the metric gives, from what :meth:`compute` gave.

        It stays inside the bounds of a metric that has them. None of a number that is the same without any of the
        groups, or not finite without one.
        """
        of_all, without = found[0].reshape(-1), torch.stack(found[1:]).reshape(self.groups, -1)
        errors = (without - without.mean(0)).square().sum(0).mul((self.groups - 1) / self.groups).sqrt()
        most = self._most()
        ends: list[tuple[float, float] | None] = []
        for value, error in zip(of_all.tolist(), errors.tolist(), strict=True):
            known = math.isfinite(value) and math.isfinite(error) and error > 0
            spread = error * math.sqrt(self.groups)
            inside = most is not None and 0 <= value <= most
            ends.append(interval_of(value, spread, self.groups, most=most if inside else None) if known else None)
        return ends

    def _most(self) -> float | None:
        """The metric's largest value where 0 is the least; None where it has no such bounds."""
        if self.all.plot_lower_bound != 0 or any(name in type(self.all).__name__ for name in _SIGNED):
            return None
        most: float | None = self.all.plot_upper_bound
        return math.inf if most is None else most
