"""Figures of merit, as torchmetrics and plain functions."""

from litspike.metrics.energy import energy
from litspike.metrics.firing import Firing
from litspike.metrics.mean import mean_interval, most_of, student_quantile
from litspike.metrics.operations import Operations
from litspike.metrics.sample_mean import SampleMean
from litspike.metrics.spread import Spread
from litspike.metrics.wilson import wilson_interval

__all__ = [
    "Firing",
    "Operations",
    "SampleMean",
    "Spread",
    "energy",
    "mean_interval",
    "most_of",
    "student_quantile",
    "wilson_interval",
]
