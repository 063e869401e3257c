"""Every model and surrogate of the packages: a new one is tested by existing."""

import dataclasses

from litspike import neurons, surrogates
from litspike.neurons import (
    AdaptiveExponential,
    BalancedResonateAndFire,
    Izhikevich,
    Neuron,
    QuadraticIF,
    SymplecticAdaptiveLIF,
)
from litspike.neurons.declaration import Param
from litspike.neurons.firing import Firing
from litspike.surrogates import Surrogate


def _classes(module, base):
    found = [value for value in vars(module).values() if isinstance(value, type) and issubclass(value, base)]
    return [value for value in found if value is not base]


MODELS = _classes(neurons, Neuron)
FIRING = [model for model in MODELS if issubclass(model, Firing)]
DRIVES = {
    AdaptiveExponential: 4000.0,
    BalancedResonateAndFire: 100.0,
    Izhikevich: 40.0,
    QuadraticIF: 5.0,
    SymplecticAdaptiveLIF: 10.0,
}
"""A mean input that makes a model fire, where one of about 0.5 doesn't."""

KINDS = _classes(surrogates, Surrogate)
SURROGATES = [kind() for kind in KINDS]
SHAPES = [(kind, field.name) for kind in KINDS for field in dataclasses.fields(kind)]
"""Surrogates with the numbers that shape them."""


def learnable(model):
    """Names of the parameters that a model can learn."""
    return [name for name, entry in model.declared.items() if isinstance(entry, Param) and entry.learnable]
