"""The network of recurrent layers."""

from __future__ import annotations

from litspike.arguments import typed
from litspike.networks.perceptron import Perceptron
from litspike.neurons import Neuron, Recurrent


class RecurrentNetwork(Perceptron):
    r"""Linear → recurrent neurons → … → Linear: each hidden layer is connected to itself.

    It maps currents or spikes [T, B, inputs] to the weighted spikes of the last hidden layer, [T, B, outputs]. It is
    the :class:`Perceptron` of :class:`~litspike.neurons.Recurrent` neurons.

    Args:
        sizes: width of the input, of each hidden layer and of the output, such as [50, 128, 10].
        neuron: the model of the hidden neurons; each hidden layer gets a copy, and connections of its own.
        dropout: probability with which a hidden neuron is silenced for a whole sequence in training, on its way to
            the next layer; the layer's own connections always see it.

    Raises:
        SettingError: if there are fewer than two sizes, one of them is below 1, or dropout is outside [0, 1).

    Source: Bellec et al. 2018, "Long short-term memory and learning-to-learn in networks of spiking neurons".

    Example:
        >>> import torch
        >>> from litspike import LIF, RecurrentNetwork
        >>> output, state = RecurrentNetwork([2, 10, 1], LIF())(torch.randn(16, 5, 2))
        >>> output.shape, state[0].output.shape
        (torch.Size([16, 5, 1]), torch.Size([5, 10]))
    """

    @typed
    def __init__(self, sizes: list[int], neuron: Neuron, dropout: float = 0.0) -> None:
        super().__init__(sizes, Recurrent(neuron), dropout)
