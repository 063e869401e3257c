"""Spiking neural networks on PyTorch and Lightning.

Everything works as a library too: neurons, surrogates, encoders, readouts and networks from here, data modules from
``litspike.data``, LightningModules from ``litspike.tasks``, callbacks from ``litspike.callbacks``; :func:`load` gives
the trained task of a checkpoint.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from litspike.coding import (
    ConstantCurrent,
    DeltaModulation,
    EveryStep,
    FirstSpike,
    LastStep,
    Latency,
    LeakyIntegratorReadout,
    LinearOfRates,
    LogarithmicLatency,
    MeanOverTime,
    PoissonRate,
    Population,
    TimeFirst,
)
from litspike.networks import (
    ConvNet,
    Perceptron,
    RandomKernels,
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
    BalancedResonateAndFire,
    GradedLIF,
    Izhikevich,
    LeakyIntegrator,
    Neuron,
    QuadraticIF,
    Recurrent,
    RefractoryLIF,
    ResonateAndFire,
    SymplecticAdaptiveLIF,
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

if TYPE_CHECKING:
    import torch
    from lightning import LightningModule

__all__ = [
    "IF",
    "LIF",
    "AdaptiveExponential",
    "AdaptiveLIF",
    "ArcTan",
    "BalancedResonateAndFire",
    "ConstantCurrent",
    "ConvNet",
    "DeltaModulation",
    "EveryStep",
    "FastSigmoid",
    "FirstSpike",
    "Gaussian",
    "GradedLIF",
    "Izhikevich",
    "LastStep",
    "Latency",
    "LeakyIntegrator",
    "LeakyIntegratorReadout",
    "LinearOfRates",
    "LogarithmicLatency",
    "MeanOverTime",
    "Neuron",
    "Perceptron",
    "PoissonRate",
    "Population",
    "QuadraticIF",
    "RandomKernels",
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
    "SymplecticAdaptiveLIF",
    "SynapticLIF",
    "TimeFirst",
    "Triangle",
    "UserError",
    "ZeroGradient",
    "load",
]


def load(
    path: str | os.PathLike[str],
    *,
    trust: Sequence[str] = (),
    device: str | torch.device = "cpu",
    logs: str | os.PathLike[str] | None = None,
) -> LightningModule:
    """The trained task of a checkpoint, in evaluation mode: ``task(x)``, ``task.network``, ``task.encoder``, ....

    Nothing in the file is run, no random state is moved on, and the data of the training are not needed. Where this
    user didn't write it on this machine, its classes are limited, as on the command line.

    Args:
        path: a checkpoint, the folder of a run, whose best one it is, or an experiment's name or folder, whose newest
            finished run it is.
        trust: packages whose classes an untrusted checkpoint may name.
        device: where the task goes.
        logs: folder of all runs, where an experiment's name is looked for; ``logs`` in the current folder where None.

    Raises:
        UserError: if there is no such checkpoint, it is damaged, or names a class that isn't trusted.

    Example::

        task = litspike.load("logs/default/2026-01-31_12-00-00")
        with torch.no_grad():
            logits = task(torch.tensor([[0.5, -1.0]]))  # samples [B, *] → [B, 1]
            outputs, state = task.network(task.encoder(torch.tensor([[0.5, -1.0]])))  # [T, B, 1]
    """
    from litspike.cli.load import load as load_task  # Lightning's command line takes seconds to import

    return load_task(path, trust, device, logs)
