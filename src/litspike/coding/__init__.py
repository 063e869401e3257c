"""Encoders into current or spikes, and readouts out of them."""

from litspike.coding.encoders import ConstantCurrent
from litspike.coding.latency import Latency, LogarithmicLatency
from litspike.coding.poisson import PoissonRate
from litspike.coding.population import Population
from litspike.coding.readouts import (
    EveryStep,
    FirstSpike,
    LastStep,
    LeakyIntegratorReadout,
    LinearOfRates,
    MeanOverTime,
)
from litspike.coding.sequences import DeltaModulation, TimeFirst

__all__ = [
    "ConstantCurrent",
    "DeltaModulation",
    "EveryStep",
    "FirstSpike",
    "LastStep",
    "Latency",
    "LeakyIntegratorReadout",
    "LinearOfRates",
    "LogarithmicLatency",
    "MeanOverTime",
    "PoissonRate",
    "Population",
    "TimeFirst",
]
