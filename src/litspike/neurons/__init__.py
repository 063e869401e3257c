"""Neuron models: one file each, mathematics only."""

from litspike.neurons.adaptive_exponential import AdaptiveExponential
from litspike.neurons.adaptive_lif import AdaptiveLIF
from litspike.neurons.balanced_resonate_and_fire import BalancedResonateAndFire
from litspike.neurons.base import Neuron
from litspike.neurons.declaration import option, param
from litspike.neurons.graded_lif import GradedLIF
from litspike.neurons.integrate_and_fire import IF
from litspike.neurons.izhikevich import Izhikevich
from litspike.neurons.layer import NeuronLayer
from litspike.neurons.leaky_integrator import LeakyIntegrator
from litspike.neurons.lif import LIF
from litspike.neurons.quadratic import QuadraticIF
from litspike.neurons.recurrent import Recurrent, RecurrentState
from litspike.neurons.refractory_lif import RefractoryLIF
from litspike.neurons.resonate_and_fire import ResonateAndFire
from litspike.neurons.symplectic_adaptive_lif import SymplecticAdaptiveLIF
from litspike.neurons.synaptic_lif import SynapticLIF

__all__ = [
    "IF",
    "LIF",
    "AdaptiveExponential",
    "AdaptiveLIF",
    "BalancedResonateAndFire",
    "GradedLIF",
    "Izhikevich",
    "LeakyIntegrator",
    "Neuron",
    "NeuronLayer",
    "QuadraticIF",
    "Recurrent",
    "RecurrentState",
    "RefractoryLIF",
    "ResonateAndFire",
    "SymplecticAdaptiveLIF",
    "SynapticLIF",
    "option",
    "param",
]
