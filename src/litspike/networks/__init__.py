"""Networks: layers without state run on T·B, layers of neurons over T."""

from litspike.networks.dropout import TimeDropout
from litspike.networks.perceptron import Perceptron
from litspike.networks.sequence import Pass, SequenceLayer, SpikingNetwork, SpikingSequential

__all__ = ["Pass", "Perceptron", "SequenceLayer", "SpikingNetwork", "SpikingSequential", "TimeDropout"]
