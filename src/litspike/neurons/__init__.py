"""Neuron models: one file each, mathematics only."""

from litspike.neurons.base import Neuron
from litspike.neurons.declaration import option, param
from litspike.neurons.lif import LIF

__all__ = ["LIF", "Neuron", "option", "param"]
