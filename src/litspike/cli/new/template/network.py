"""Your network: which layers there are, and which way a sequence takes through them."""

from torch import Tensor, nn

from litspike import Neuron, SpikingNetwork, SpikingSequential
from litspike.networks import Pass


class Network(SpikingNetwork):
    """Two hidden layers, of which the last Linear sees both.

    Args:
        inputs: numbers in a sample.
        width: neurons in a hidden layer.
        outputs: classes.
        neuron: the model of the neurons; each layer gets a copy.
    """

    def __init__(self, inputs: int, width: int, outputs: int, neuron: Neuron) -> None:
        super().__init__()
        self.first = SpikingSequential([nn.Linear(inputs, width), neuron.shaped(width)])
        self.second = SpikingSequential([nn.Linear(width, width), neuron.shaped(width)])
        self.last = nn.Linear(width, outputs)

    def through(self, x: Tensor, apply: Pass) -> Tensor:
        """[T, B, inputs] → [T, B, outputs]; call ``apply`` once for each layer."""
        first = apply(self.first, x)
        return apply(self.last, first + apply(self.second, first))
