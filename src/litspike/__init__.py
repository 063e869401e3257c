"""Spiking neural networks on PyTorch and Lightning.

Everything works as a library too: neurons, encoders, readouts and networks from here, data modules from
``litspike.data``, LightningModules from ``litspike.tasks``, callbacks from ``litspike.callbacks``.
"""

from litspike.coding import (
    ConstantCurrent,
    DeltaModulation,
    FirstSpike,
    Latency,
    LeakyIntegratorReadout,
    LogarithmicLatency,
    MeanOverTime,
    PoissonRate,
    Population,
    TimeFirst,
)
from litspike.networks import Perceptron, SpikingSequential
from litspike.neurons import LIF, Neuron
from litspike.settings import SettingError, UserError
from litspike.surrogates import ArcTan, Surrogate, ZeroGradient

__all__ = [
    "LIF",
    "ArcTan",
    "ConstantCurrent",
    "DeltaModulation",
    "FirstSpike",
    "Latency",
    "LeakyIntegratorReadout",
    "LogarithmicLatency",
    "MeanOverTime",
    "Neuron",
    "Perceptron",
    "PoissonRate",
    "Population",
    "SettingError",
    "SpikingSequential",
    "Surrogate",
    "TimeFirst",
    "UserError",
    "ZeroGradient",
]
