"""Spiking neural networks on PyTorch and Lightning.

Everything works as a library too: neurons, surrogates, encoders, readouts and networks from here, data modules from
``litspike.data``, LightningModules from ``litspike.tasks``, callbacks from ``litspike.callbacks``.
"""

from litspike.coding import (
    ConstantCurrent,
    DeltaModulation,
    EveryStep,
    FirstSpike,
    Latency,
    LeakyIntegratorReadout,
    LogarithmicLatency,
    MeanOverTime,
    PoissonRate,
    Population,
    TimeFirst,
)
from litspike.networks import (
    ConvNet,
    Perceptron,
    RecurrentNetwork,
    SEWResNet,
    SpikingNetwork,
    SpikingSequential,
)
from litspike.neurons import (
    IF,
    LIF,
    AdaptiveExponential,
    AdaptiveLIF,
    Izhikevich,
    LeakyIntegrator,
    Neuron,
    QuadraticIF,
    Recurrent,
    RefractoryLIF,
    ResonateAndFire,
    SynapticLIF,
)
from litspike.settings import (
    SettingError,
    UserError,
)
from litspike.surrogates import (
    ArcTan,
    FastSigmoid,
    Gaussian,
    Rectangle,
    Sigmoid,
    StraightThrough,
    Surrogate,
    Triangle,
    ZeroGradient,
)

__all__ = [
    "IF",
    "LIF",
    "AdaptiveExponential",
    "AdaptiveLIF",
    "ArcTan",
    "ConstantCurrent",
    "ConvNet",
    "DeltaModulation",
    "EveryStep",
    "FastSigmoid",
    "FirstSpike",
    "Gaussian",
    "Izhikevich",
    "Latency",
    "LeakyIntegrator",
    "LeakyIntegratorReadout",
    "LogarithmicLatency",
    "MeanOverTime",
    "Neuron",
    "Perceptron",
    "PoissonRate",
    "Population",
    "QuadraticIF",
    "Rectangle",
    "Recurrent",
    "RecurrentNetwork",
    "RefractoryLIF",
    "ResonateAndFire",
    "SEWResNet",
    "SettingError",
    "Sigmoid",
    "SpikingNetwork",
    "SpikingSequential",
    "StraightThrough",
    "Surrogate",
    "SynapticLIF",
    "TimeFirst",
    "Triangle",
    "UserError",
    "ZeroGradient",
]
