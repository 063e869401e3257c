"""Scaling of the weights before training so that every layer of neurons fires."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from litspike.internals.torch import BatchNorm
from litspike.networks.sequence import neuron_layers
from litspike.networks.watch import LayerCall, watched
from litspike.neurons import NeuronLayer
from litspike.settings import UserError, number

TOLERANCE = 0.05
"""How far from the target a rate may be, as a part of it."""
_TRIALS = 32


class Calibrated(NamedTuple):
    """What :func:`calibrate` did with one layer of neurons. Rates are in spikes per neuron and step."""

    name: str
    """The layer's name in the network, as ``named_modules`` has it."""
    label: str
    """Its name in messages, as in ``layer 2 (LIF, 256)``."""
    before: float
    """Its firing rate in the network as it was given."""
    scale: float | None
    """What its weights were multiplied by; None where no weights feed it or its output isn't spikes."""
    after: float
    """Its firing rate in the network as it is now."""


@torch.no_grad()
def calibrate(network: nn.Module, batches: Sequence[Tensor], target_rate: float = 0.05) -> list[Calibrated]:
    r"""Scale the weights of a network so that each of its spiking layers fires near a target rate.

    Layer by layer, in the order of their use: weights and bias of what feeds the layer last (a Linear, a convolution,
    or a batch norm after it), and the connections of a recurrent layer, are multiplied by one positive number, which
    is found by bisection on its logarithm. A layer within 5% of the target is left alone. One that can't reach it, as
    one without any positive input, takes the scale nearest to 1 of those that come closest. Layers whose output isn't
    0 or 1 are left alone, and so is what follows the last layer of neurons.

    It assumes that between the scaled weights and the neurons the current only is scaled with them, as pooling,
    flatten and dropout leave it. The rates afterwards are measured in the network itself.

    The network runs as it would in training, but for dropout, which is off; batch norm takes its statistics from each
    batch, and keeps those it had. Nothing is drawn at random, and nothing but the weights changes.

    Args:
        network: called as ``output, state = network(current)``; its layers of neurons are ``NeuronLayer`` modules.
        batches: a few encoded inputs, each [T, B, \*], on the network's device.
        target_rate: spikes per neuron and step, the mean over neurons, batch and time.

    Returns:
        An entry for each layer of neurons, in the order of their use.

    Raises:
        SettingError: if target_rate is outside (0, 1).
        UserError: if there is no batch.

    Source: Rossbroich, Gygax and Zenke 2022, "Fluctuation-driven initialization for spiking neural network training",
    for its aim; Mishkin and Matas 2016, "All you need is a good init", for the way, layer by layer on data.

    Example:
        >>> import torch
        >>> from litspike import LIF, Perceptron
        >>> from litspike.networks import calibrate
        >>> network = Perceptron([3, 50, 1], LIF())
        >>> (layer,) = calibrate(network, [torch.randn(20, 8, 3)], target_rate=0.1)
        >>> layer.name, layer.label, abs(layer.after - 0.1) < 0.01
        ('layers.1', 'layer 1 (LIF, 50)', True)
    """
    number("target_rate", target_rate, "(0, 1)")
    if not batches:
        raise UserError("calibration needs one batch at least")
    with _as_in_training(network):
        before, labels = firing_rates(network, batches), _labels(network, batches[0])
        scales: dict[str, float | None] = {}
        layers = dict(neuron_layers(network))
        for name, feeding in _feeding(network, batches[0]).items():
            layer, scales[name] = layers[name], None
            if feeding:
                scales[name] = _scale(layer, _calls(network, layer, batches), feeding, target_rate)
        after = firing_rates(network, batches)
    return [Calibrated(name, labels[name], before[name], scale, after[name]) for name, scale in scales.items()]


@torch.no_grad()
def firing_rates(network: nn.Module, batches: Sequence[Tensor]) -> dict[str, float]:
    r"""Mean output of each layer of neurons: spikes per neuron and step, where the output is spikes.

    Args:
        network: as :func:`calibrate` takes it; it runs in the mode in which it is.
        batches: encoded inputs, each [T, B, \*].

    Returns:
        Name of each layer, in the order of their use, and its mean.

    Example:
        >>> import torch
        >>> from litspike import LIF, Perceptron
        >>> from litspike.networks import firing_rates
        >>> firing_rates(Perceptron([3, 4, 1], LIF()), [torch.zeros(5, 2, 3)]).keys()
        dict_keys(['layers.1'])
    """
    sums: dict[str, list[float]] = {}

    def collect(call: LayerCall) -> None:
        total, count = sums.setdefault(call.name, [0.0, 0.0])
        sums[call.name] = [total + float(call.output.sum(dtype=torch.float64)), count + call.output.numel()]

    with watched(network, collect):
        for batch in batches:
            network(batch)
    return {name: total / count for name, (total, count) in sums.items()}


def _labels(network: nn.Module, batch: Tensor) -> dict[str, str]:
    """Name of each layer of neurons, and its name in messages."""
    labels: dict[str, str] = {}
    with watched(network, lambda seen: labels.setdefault(seen.name, seen.label)):
        network(batch)
    return labels


def _feeding(network: nn.Module, batch: Tensor) -> dict[str, list[nn.Parameter]]:
    """Name of each layer of neurons, in the order of their use, and the parameters that its current grows with."""
    feeding: dict[str, list[nn.Parameter]] = {}
    last: list[nn.Module] = []

    def weighted(module: nn.Module, *call: Any) -> None:
        last[:] = [module]

    def reached(name: str) -> None:
        feeding[name] = [parameter for source in last for parameter in _own(source)]
        last.clear()

    with ExitStack() as hooks:
        layers = dict(neuron_layers(network))
        inside = {module for layer in layers.values() for module in layer.modules()}
        for name, layer in layers.items():
            hooks.enter_context(_hooked(layer.register_forward_hook, lambda *call, name=name: reached(name)))
        for module in network.modules():
            if module not in inside and (_own(module) or isinstance(module, BatchNorm)):
                hooks.enter_context(_hooked(module.register_forward_hook, weighted))
        network(batch)
    return feeding


def _own(module: nn.Module | None) -> list[nn.Parameter]:
    """Weight and bias of a layer without state, where it has them."""
    own = {} if module is None else dict(module.named_parameters(recurse=False))
    return [own[name] for name in ("weight", "bias") if name in own] if "weight" in own else []


def _calls(network: nn.Module, layer: NeuronLayer, batches: Sequence[Tensor]) -> list[tuple[Any, ...]]:
    """The arguments with which the layer is called for each batch: its current, and what else there is."""
    calls: list[tuple[Any, ...]] = []
    with watched(network, lambda seen: calls.append(seen.arguments) if seen.layer is layer else None):
        for batch in batches:
            network(batch)
    return calls


def _scale(
    layer: NeuronLayer, calls: list[tuple[Any, ...]], feeding: list[nn.Parameter], target: float
) -> float | None:
    """Find the scale of a layer's weights and apply it; None where its output isn't spikes."""
    trial = copy.deepcopy(layer)
    connections = _own(getattr(layer, "connections", None))

    def rate(scale: float) -> float:
        for parameter, value in zip(_own(getattr(trial, "connections", None)), connections, strict=True):
            parameter.copy_(value * scale)
        outputs: list[Tensor] = [trial(current * scale, *others)[0] for current, *others in calls]
        spikes = sum(float(output.sum(dtype=torch.float64)) for output in outputs)
        return spikes / sum(output.numel() for output in outputs)

    if not all(_are_spikes(layer(*call)[0]) for call in calls):
        return None
    scale = nearest_scale(rate, target)
    for parameter in [*feeding, *connections]:
        parameter.mul_(scale)
    return scale


def _are_spikes(output: Tensor) -> bool:
    return bool(((output == 0) | (output == 1)).all())


def nearest_scale(rate: Callable[[float], float], target: float) -> float:
    """The scale at which a rate is within the tolerance of the target, or that comes closest to it.

    Args:
        rate: scale → rate, which mostly grows with the scale.
        target: the rate to reach.
    """
    tried: dict[float, float] = {}
    scale, low, high = 1.0, 0.0, math.inf
    for _ in range(_TRIALS):
        tried[scale] = rate(scale)
        if abs(tried[scale] - target) <= TOLERANCE * target:
            return scale
        low, high = (scale, high) if tried[scale] < target else (low, scale)
        both = math.isfinite(high) and low > 0
        scale = math.sqrt(low * high) if both else low * 4 or high / 4
    best = min(abs(value - target) for value in tried.values())
    close = [scale for scale, value in tried.items() if abs(value - target) <= best + TOLERANCE * target]
    return min(close, key=lambda scale: abs(math.log(scale)))


@contextmanager
def _hooked(register: Callable[[Any], Any], hook: Callable[..., None]) -> Iterator[None]:
    handle = register(hook)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def _as_in_training(network: nn.Module) -> Iterator[None]:
    """Batch norm in training, all else in evaluation; afterwards every mode and statistic is what it was."""
    modes = {module: module.training for module in network.modules()}
    norms = [module for module in modes if isinstance(module, BatchNorm)]
    statistics = [(buffer, buffer.clone()) for norm in norms for buffer in norm.buffers()]
    try:
        network.eval()
        for norm in norms:
            norm.train()
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
        for buffer, value in statistics:
            buffer.copy_(value)
