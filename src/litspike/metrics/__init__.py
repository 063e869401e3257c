"""Metrics of spikes, operations and energy, as torchmetrics and plain functions; intervals of what was measured."""

from litspike.metrics.energy import EnergyModel
from litspike.metrics.exact import exact, exact_device
from litspike.metrics.firing import Firing
from litspike.metrics.jackknife import Jackknife
from litspike.metrics.mean import mean_interval, most_of, student_quantile
from litspike.metrics.operations import Operations
from litspike.metrics.recall import ClassRecall
from litspike.metrics.sample_mean import SampleMean
from litspike.metrics.spread import Spread
from litspike.metrics.wilson import wilson_interval

__all__ = [
    "ClassRecall",
    "EnergyModel",
    "Firing",
    "Jackknife",
    "Operations",
    "SampleMean",
    "Spread",
    "exact",
    "exact_device",
    "mean_interval",
    "most_of",
    "student_quantile",
    "wilson_interval",
]
