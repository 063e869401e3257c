"""The fully connected spiking network."""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from litspike.arguments import typed
from litspike.networks.delay import AxonalDelay
from litspike.networks.dropout import TimeDropout
from litspike.networks.sequence import SpikingSequential
from litspike.neurons import NeuronLayer
from litspike.settings import SettingError, integer, number


class Perceptron(SpikingSequential):
    r"""Linear → neurons → … → Linear: fully connected, with a layer of neurons after every Linear but the last.

    It maps currents or spikes [T, B, inputs] to the weighted spikes of the last hidden layer, [T, B, outputs].

    Args:
        sizes: width of the input, of each hidden layer and of the output, such as [2, 10, 1].
        neuron: the model of the hidden neurons; each hidden layer gets a copy.
        dropout: probability with which a hidden neuron is silenced for a whole sequence in training.
        batch_norm: whether to normalise each hidden layer's current over time and batch.
        max_delay: steps that no learned delay exceeds, where what goes into each Linear is delayed by an
            :class:`~litspike.networks.AxonalDelay`; no delays where 0.

    Raises:
        SettingError: if there are fewer than two sizes, one of them is below 1, dropout is outside [0, 1), or
            max_delay is below 0.

    Example:
        >>> import torch
        >>> from litspike import LIF, Perceptron
        >>> network = Perceptron([2, 10, 1], LIF())
        >>> output, state = network(torch.randn(16, 5, 2))  # [T, B, inputs], from rest
        >>> output, state = network(torch.randn(16, 5, 2), state)  # and on from there
        >>> output.shape
        torch.Size([16, 5, 1])
    """

    @typed
    def __init__(
        self,
        sizes: list[int],
        neuron: NeuronLayer,
        dropout: float = 0.0,
        batch_norm: bool = False,
        max_delay: int = 0,
    ) -> None:
        if len(sizes) < 2:
            raise SettingError("sizes", sizes, "needs the width of the input and of the output at least")
        for index, size in enumerate(sizes):
            integer(f"sizes[{index}]", size)
        number("dropout", dropout, "[0, 1)")
        super().__init__(fully_connected(sizes, neuron, dropout, batch_norm, integer("max_delay", max_delay, 0)))


def fully_connected(
    sizes: list[int], neuron: NeuronLayer, dropout: float, batch_norm: bool, max_delay: int = 0
) -> list[nn.Module]:
    """The layers of a :class:`Perceptron`, for its arguments, which are not checked."""
    layers: list[nn.Module] = []
    for width, following in pairwise(sizes[:-1]):
        layers += [AxonalDelay([width], max_delay)] if max_delay else []
        layers.append(nn.Linear(width, following, bias=not batch_norm))
        layers += [nn.BatchNorm1d(following)] if batch_norm else []
        layers.append(neuron.shaped(following))
        layers += [TimeDropout(dropout)] if dropout else []
    layers += [AxonalDelay([sizes[-2]], max_delay)] if max_delay else []
    return [*layers, nn.Linear(sizes[-2], sizes[-1])]
