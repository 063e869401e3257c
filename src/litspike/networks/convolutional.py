"""The convolutional spiking network."""

from __future__ import annotations

import math
from typing import Literal

from torch import nn

from litspike.arguments import typed
from litspike.networks.dropout import TimeDropout
from litspike.networks.perceptron import fully_connected
from litspike.networks.sequence import SpikingSequential
from litspike.networks.shapes import sample_shape, widths
from litspike.neurons import NeuronLayer
from litspike.settings import SettingError, integer, number

_CONVOLUTION: dict[int, type[nn.Module]] = {1: nn.Conv1d, 2: nn.Conv2d}
_BATCH_NORM: dict[int, type[nn.Module]] = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d}
_POOLING: dict[tuple[str, int], type[nn.Module]] = {
    ("max", 1): nn.MaxPool1d,
    ("max", 2): nn.MaxPool2d,
    ("average", 1): nn.AvgPool1d,
    ("average", 2): nn.AvgPool2d,
}


class ConvNet(SpikingSequential):
    r"""Convolution → batch norm → neurons, again and again with pooling between, then fully connected: VGG-like.

    It maps currents or spikes [T, B, \*input_shape] to the weighted spikes of the last hidden layer, [T, B, outputs].
    Convolutions keep the size of the image, pooling halves it. With two sizes in ``input_shape`` it convolves over
    one dimension.

    Args:
        input_shape: shape of a sample: [channels, height, width], or [channels, length].
        channels: channels of each convolution, and ``pool`` where to pool, such as [32, pool, 64, pool].
        sizes: width of each fully connected layer; the last is the output and has no neurons, such as [128, 10].
        neuron: the model of the neurons; each layer gets a copy.
        kernel_size: width of the convolutions, odd.
        pooling: whether pooling takes the maximum, by which spikes stay spikes, or the average of 2 or 2×2 places.
        batch_norm: whether to normalise the current of each layer of neurons over time and batch.
        dropout: probability with which, in training, a neuron that feeds a fully connected layer is silenced for a
            whole sequence.

    Raises:
        SettingError: if a size is below 1, ``input_shape`` has neither two nor three of them, there is no convolution
            or no output, kernel_size is even, the image is too small for its pooling, or dropout is outside [0, 1).

    Source: Simonyan and Zisserman 2015, "Very deep convolutional networks for large-scale image recognition".

    Example:
        >>> import torch
        >>> from litspike import LIF, ConvNet
        >>> network = ConvNet([1, 8, 8], [4, "pool"], [10], LIF())
        >>> output, state = network(torch.rand(5, 2, 1, 8, 8))  # [T, B, channels, height, width]
        >>> output.shape, len(state)
        (torch.Size([5, 2, 10]), 1)
    """

    @typed
    def __init__(
        self,
        input_shape: list[int],
        channels: list[int | Literal["pool"]],
        sizes: list[int],
        neuron: NeuronLayer,
        kernel_size: int = 3,
        pooling: Literal["max", "average"] = "max",
        batch_norm: bool = True,
        dropout: float = 0.0,
    ) -> None:
        shape = sample_shape(input_shape, spatial=(1, 2))
        if integer("kernel_size", kernel_size) % 2 == 0:
            raise SettingError("kernel_size", kernel_size, "is even: an odd one keeps the size of the image")
        if all(entry == "pool" for entry in channels):
            raise SettingError("channels", channels, "needs one convolution at least")
        widths("sizes", sizes)
        dropout = number("dropout", dropout, "[0, 1)")
        layers: list[nn.Module] = []
        for index, entry in enumerate(channels):
            setting = f"channels[{index}]"
            if entry == "pool":
                shape = _halved(setting, shape)
                layers.append(_POOLING[pooling, len(shape) - 1](2))
            else:
                layers += convolution(shape[0], integer(setting, entry), len(shape) - 1, kernel_size, 1, batch_norm)
                shape = (entry, *shape[1:])
                layers.append(neuron.shaped(*shape))
        layers += [nn.Flatten(), *([TimeDropout(dropout)] if dropout else [])]
        super().__init__([*layers, *fully_connected([math.prod(shape), *sizes], neuron, dropout, batch_norm)])


def convolution(
    inputs: int, outputs: int, dimensions: int, kernel_size: int, stride: int, batch_norm: bool
) -> list[nn.Module]:
    """A convolution that keeps the size of the image, or divides it by the stride, and its batch norm."""
    layer = _CONVOLUTION[dimensions](
        inputs, outputs, kernel_size, stride=stride, padding=kernel_size // 2, bias=not batch_norm
    )
    return [layer, _BATCH_NORM[dimensions](outputs)] if batch_norm else [layer]


def _halved(setting: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    if min(shape[1:]) < 2:
        size = "×".join(map(str, shape[1:]))
        raise SettingError(setting, "pool", f"finds an image of {size}, too small to be pooled: pool less often")
    return (shape[0], *(size // 2 for size in shape[1:]))
