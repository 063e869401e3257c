"""Networks: layers without state run on T·B, layers of neurons over T."""

from litspike.networks.perceptron import Perceptron
from litspike.networks.sequence import SpikingSequential

__all__ = ["Perceptron", "SpikingSequential"]
