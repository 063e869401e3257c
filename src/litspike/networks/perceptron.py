"""The fully connected spiking network."""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from litspike.networks.sequence import SpikingSequential
from litspike.neurons import NeuronLayer
from litspike.settings import SettingError, whole


class Perceptron(SpikingSequential):
    r"""Linear → neurons → … → Linear: fully connected, with a layer of neurons after every Linear but the last.

    It maps currents or spikes [T, B, inputs] to the weighted spikes of the last hidden layer, [T, B, outputs].

    Args:
        sizes: width of the input, of each hidden layer and of the output, such as [2, 10, 1].
        neuron: the model of the hidden neurons; each hidden layer gets a copy.

    Raises:
        SettingError: if there are fewer than two sizes or one of them is below 1.
    """

    def __init__(self, sizes: list[int], neuron: NeuronLayer) -> None:
        if len(sizes) < 2:
            raise SettingError("sizes", sizes, "needs the width of the input and of the output at least")
        for index, size in enumerate(sizes):
            whole(f"sizes[{index}]", size)
        layers: list[nn.Module] = []
        for width, following in pairwise(sizes[:-1]):
            layers += [nn.Linear(width, following), neuron.shaped(following)]
        super().__init__([*layers, nn.Linear(sizes[-2], sizes[-1])])
