"""From a network of rectifiers to one that spikes: firing rates stand for what the rectifiers give."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from litspike.arguments import typed
from litspike.networks.dropout import TimeDropout
from litspike.networks.rectifier import ReLU
from litspike.networks.sequence import SpikingSequential
from litspike.neurons import IF, NeuronLayer
from litspike.settings import UserError

_CONNECTIONS = (nn.Linear, nn.Conv1d, nn.Conv2d)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
_RECTIFIERS = (nn.ReLU, ReLU)
_SCALED_ALONG = (
    *(nn.AvgPool1d, nn.AvgPool2d, nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.MaxPool1d, nn.MaxPool2d),
    *(nn.Flatten, nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, TimeDropout),
)
"""Layers that give a multiple of what they give where they get that multiple."""


class Converted(SpikingSequential):
    """The layers of a network of rectifiers, with integrate-and-fire neurons in the rectifiers' places.

    Its weights are those of the network: :func:`balanced`, or the command ``convert``, scales them to firing rates.

    Args:
        network: a ``torch.nn.Sequential`` or :class:`SpikingSequential`, such as a ``Perceptron`` or ``ConvNet`` with
            the neuron :class:`ReLU`, of Linear, Conv1d, Conv2d, batch norm, ReLU, pooling, Flatten and dropout.
        neuron: takes the place of each rectifier; where None one that integrates from 0.5, fires at 1 and subtracts
            that.

    Raises:
        UserError: if it has a layer that can't be converted; all of them are named.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from litspike.networks import Converted
        >>> network = Converted(nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 3)))
        >>> network(torch.ones(4, 1, 2))[0].shape
        torch.Size([4, 1, 3])
    """

    @typed
    def __init__(self, network: nn.Module, neuron: NeuronLayer | None = None) -> None:
        found = list(_unrolled(network, ""))
        check_convertible(found)
        neuron = IF(reset="subtract", initial=0.5) if neuron is None else neuron
        super().__init__([copy.deepcopy(neuron if isinstance(layer, _RECTIFIERS) else layer) for _, layer in found])


def _unrolled(network: nn.Module, name: str) -> Iterator[tuple[str, nn.Module]]:
    """The layers of a network one after another, and their names."""
    sequential = type(network).forward in (nn.Sequential.forward, SpikingSequential.forward)
    if sequential and isinstance(network, SpikingSequential):
        sequential = type(network).through is SpikingSequential.through
    if not sequential or not isinstance(network, (nn.Sequential, SpikingSequential)):
        yield name, network
        return
    parts = network.named_children() if isinstance(network, nn.Sequential) else network.layers.named_children()
    before = name if isinstance(network, nn.Sequential) else f"{name}.layers".removeprefix(".")
    for own, layer in parts:
        yield from _unrolled(layer, f"{before}.{own}".removeprefix("."))


def check_convertible(layers: list[tuple[str, nn.Module]]) -> None:
    """Raise :class:`UserError` where a layer can't be converted, with a word on each of them."""
    problems, connected = [], False
    for name, layer in layers:
        place = f"{name} ({type(layer).__name__})".strip()
        if not isinstance(layer, (*_CONNECTIONS, *_NORMS, *_RECTIFIERS, *_SCALED_ALONG)):
            problems.append(f"{place} is no layer that rates go through")
        elif isinstance(layer, _NORMS) and not connected:
            problems.append(f"{place} follows no connection that would scale its input")
        elif isinstance(layer, _NORMS) and (layer.weight is None or layer.running_mean is None):
            problems.append(f"{place} has no weight or no statistics of its own")
        elif isinstance(layer, _RECTIFIERS) and not connected:
            problems.append(f"{place} follows no connection since the rectifier before it")
        connected = (connected or isinstance(layer, _CONNECTIONS)) and not isinstance(layer, _RECTIFIERS)
    if not problems and not any(isinstance(layer, _RECTIFIERS) for _, layer in layers):
        problems.append("the network has no ReLU")
    if problems:
        raise UserError(f"convert: {'; '.join(problems)}")


def rectified(network: nn.Module) -> nn.Sequential:
    """The network as ``torch.nn`` would run it, on samples [B, *]: what its rates stand for."""
    found = list(_unrolled(network, ""))
    check_convertible(found)
    return nn.Sequential(*(nn.ReLU() if isinstance(layer, _RECTIFIERS) else layer for _, layer in found)).eval()


@torch.no_grad()
def balanced(
    network: nn.Module, x: Tensor, percentile: float = 99.0, neuron: NeuronLayer | None = None
) -> tuple[Converted, list[list[float]]]:
    r"""A spiking network whose rates stand for what the rectifiers of a network give: threshold balancing on data.

    Equation, for the connections between rectifiers l − 1 and l, with λ_i the percentile of what a rectifier gives in
    its channel i::

        W_ij ← W_ij λ_{l−1,j} / λ_{l,i}    b_i ← b_i / λ_{l,i}    (λ_0 = 1; the last connections: W_ij ← W_ij λ_j)

    so that a rate of one spike a step stands for λ, and the threshold is 1. Neurons that start at half their threshold
    round a rate to the nearest number of spikes instead of down, from the first step on. Where the next connections
    have another axis than the channels, one λ is that of the whole rectifier.

    Args:
        network: what :class:`Converted` takes.
        x: its inputs, [B, \*], as they are at each step.
        percentile: in percent, up to 100.
        neuron: what :class:`Converted` takes.

    Returns:
        The spiking network, and λ of each rectifier, a number for each channel or one for all of them.

    Source: Diehl et al. 2015, "Fast-classifying, high-accuracy spiking deep networks through weight and threshold
    balancing"; Rueckauer et al. 2017, "Conversion of continuous-valued deep networks to efficient event-driven
    networks for image classification", for the percentile; Kim et al. 2020, "Spiking-YOLO", for the channels; Bu et al.
    2022, "Optimal ANN-SNN conversion for high-accuracy and ultra-low-latency spiking neural networks", for the start.
    """
    layers = list(rectified(network))
    inputs = [x]
    for layer in layers:
        inputs.append(layer(inputs[-1]))
    result = Converted(network, neuron).eval()
    scales, before, segment = [], torch.ones(1), list[Any]()
    for index, (layer, own) in enumerate(zip(layers, result.layers, strict=True)):
        if isinstance(own, (*_CONNECTIONS, *_NORMS)):
            segment.append(own)
        if isinstance(layer, nn.Flatten) and len(before) > 1:
            channels = before.view(1, -1, *[1] * (inputs[index].dim() - 2))
            before = layer(channels.expand(1, *inputs[index].shape[1:]))[0]
        if not isinstance(layer, nn.ReLU):
            continue
        given = inputs[index + 1]
        by_channel = _by_channel(segment[0], given) and _connected_by_channel(layers[index + 1 :], inputs[index + 1 :])
        parts = given.transpose(0, 1).flatten(1) if by_channel else given.reshape(1, -1)
        scale = torch.stack([_percentile(part, percentile) for part in parts])
        _scale_inputs(segment[0], before)
        last = segment[-1]
        last.weight.div_(scale.view(-1, *[1] * (last.weight.dim() - 1)))
        if last.bias is not None:
            last.bias.div_(scale)
        scales.append(scale.tolist())
        before, segment = scale, []
    if segment:
        _scale_inputs(segment[0], before)
    elif bool((before != 1).any()):
        raise UserError("convert: the network ends with a ReLU: its rates would be in another unit than its outputs")
    return result, scales


def _by_channel(connection: nn.Module, x: Tensor) -> bool:
    r"""Whether the second axis of [B, C, \*] is that of a connection's channels."""
    return x.dim() == 2 or not isinstance(connection, nn.Linear)


def _connected_by_channel(layers: list[nn.Module], inputs: list[Tensor]) -> bool:
    """Whether the connection that comes first of some layers takes the channels of the first of their inputs."""
    found = zip(layers, inputs, strict=False)
    layer, x = next((each for each in found if isinstance(each[0], _CONNECTIONS)), (None, inputs[0]))
    flattened = x.dim() < inputs[0].dim()
    return layer is None or (_by_channel(layer, x) and not (flattened and not isinstance(layer, nn.Linear)))


def _percentile(x: Tensor, percentile: float) -> Tensor:
    """A percentile of the numbers above 0; 1 where there are none."""
    above = x[x > 0]
    if not above.numel():
        return x.new_ones(())
    rank = min(max(round(percentile / 100 * above.numel()), 1), above.numel())
    return above.kthvalue(rank).values


def _scale_inputs(connection: Any, scale: Tensor) -> None:
    """Scale a connection's weights by what a spike of each of its input channels stands for."""
    weight = connection.weight
    if len(scale) == 1:
        weight.mul_(scale)
        return
    groups = getattr(connection, "groups", 1)
    of_output = scale.view(groups, -1).repeat_interleave(len(weight) // groups, 0)  # [outputs, inputs of their group]
    weight.mul_(of_output.view(*of_output.shape, *[1] * (weight.dim() - 2)))
