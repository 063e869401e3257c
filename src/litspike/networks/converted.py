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
        neuron: takes the place of each rectifier; one that integrates, fires at 1 and subtracts that where None.

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
        neuron = IF(reset="subtract") if neuron is None else neuron
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
    network: nn.Module, x: Tensor, steps: int, percentile: float = 99.9, neuron: NeuronLayer | None = None
) -> tuple[Converted, list[float]]:
    r"""A spiking network whose rates stand for what the rectifiers of a network give: threshold balancing on data.

    Equation, for the connections between rectifiers l − 1 and l, with λ the percentile of what a rectifier gives::

        W ← W λ_{l−1} / λ_l        b ← b / λ_l + 1 / 2T        (λ_0 = 1; the last connections: W ← W λ_{l−1})

    so that a rate of one spike a step stands for λ_l, and the threshold is 1. Half a threshold over all steps rounds a
    rate to the nearest number of spikes instead of down.

    Args:
        network: what :class:`Converted` takes.
        x: its inputs, [B, \*], as they are at each step.
        steps: time steps T of the spiking network.
        percentile: in percent, up to 100.
        neuron: what :class:`Converted` takes.

    Returns:
        The spiking network, and λ of each rectifier.

    Source: Diehl et al. 2015, "Fast-classifying, high-accuracy spiking deep networks through weight and threshold
    balancing"; Rueckauer et al. 2017, "Conversion of continuous-valued deep networks to efficient event-driven
    networks for image classification", for the percentile; Deng and Gu 2021, "Optimal conversion of conventional
    artificial neural networks to spiking neural networks", for the shift.
    """
    layers = list(rectified(network))
    result = Converted(network, neuron).eval()
    scales, before, segment = [], 1.0, list[Any]()
    for layer, own in zip(layers, result.layers, strict=True):
        x = layer(x)
        if isinstance(own, (*_CONNECTIONS, *_NORMS)):
            segment.append(own)
        if not isinstance(layer, nn.ReLU):
            continue
        scale = _percentile(x, percentile)
        _scale(segment, before, scale, 1 / (2 * steps))
        scales.append(scale)
        before, segment = scale, []
    if segment:
        segment[0].weight.mul_(before)
    elif before != 1:
        raise UserError("convert: the network ends with a ReLU: its rates would be in another unit than its outputs")
    return result, scales


def _percentile(x: Tensor, percentile: float) -> float:
    """A percentile of the numbers above 0; 1 where there are none."""
    above = x[x > 0]
    if not above.numel():
        return 1.0
    rank = min(max(round(percentile / 100 * above.numel()), 1), above.numel())
    return float(above.kthvalue(rank).values)


def _scale(segment: list[Any], before: float, scale: float, shift: float) -> None:
    """Scale the connections and the batch norm between two rectifiers."""
    first, last = segment[0], segment[-1]
    first.weight.mul_(before)
    last.weight.div_(scale)
    if last.bias is not None:
        last.bias.div_(scale).add_(shift)
