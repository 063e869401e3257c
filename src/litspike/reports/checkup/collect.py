"""What a check-up measures: layers while they run, and gradients after a training step."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from lightning_utilities.core.apply_func import apply_to_collection
from torch import Tensor, nn
from torchmetrics import MeanMetric

from litspike.coding.valid import valid_steps
from litspike.metrics import Firing
from litspike.networks.sequence import neuron_layers
from litspike.networks.watch import LayerCall, layer_label, size
from litspike.neurons import Neuron, NeuronLayer
from litspike.reports.checkup.diagnose import LayerSummary
from litspike.surrogates import Surrogate

SAMPLES = 64
"""Samples whose membrane potentials are measured, which costs another run of the layer."""


class WatchedLayer:
    """Measures one layer of neurons over the calls of an epoch.

    Args:
        call: a call of the layer.
    """

    def __init__(self, call: LayerCall) -> None:
        neuron = next((module for module in call.layer.modules() if isinstance(module, Neuron)), None)
        self.label = call.label
        self._surrogate: Surrogate | None = getattr(neuron or call.layer, "surrogate", None)
        self._firing = Firing(call.output.shape[2:].numel()).to(call.output.device)
        self._inside = MeanMetric().to(call.output.device)
        self._fires: bool | None = None

    @property
    def seen(self) -> tuple[str, bool | None]:
        """Which layer it is, and whether it fires; None before its first call in an epoch."""
        return self.label, self._fires

    def reset(self) -> None:
        self._firing.reset()
        self._inside.reset()
        self._fires = None

    def update(self, call: LayerCall, closely: bool, lengths: Tensor | None = None) -> None:
        """Take in a call of the layer.

        Args:
            call: the call.
            closely: whether to measure its membrane potentials as well; they are in the first call of an epoch anyway.
            lengths: number of steps of each sequence, [B], where they differ: no later step counts.
        """
        valid = None if lengths is None else valid_steps(len(call.output), lengths)
        if closely or self._fires is None:
            distance = call.layer.distance(*_first_samples(*call.arguments))
            self._fires = distance is not None
            if distance is not None and self._surrogate is not None:
                inside = self._surrogate.inside(distance)
                inside = inside if valid is None else inside[valid[:, :SAMPLES]]
                self._inside.update(inside.float().mean(), inside.numel())
        if self._fires:
            self._firing.update(call.output, valid)

    def summary(self) -> LayerSummary | None:
        """The summary of the epoch, over all processes; None of a layer that doesn't fire, or wasn't called."""
        if not self._fires:
            return None
        firing = {name: float(value) for name, value in self._firing.compute().items()}
        blind, inside = False, math.nan
        if self._surrogate is not None:
            blind = not bool(self._surrogate.inside(torch.zeros(1)))
            inside = float(self._inside.compute())
        return LayerSummary(self.label, str(self._surrogate).removesuffix("()"), blind, **firing, inside=inside)


def _first_samples(current: Tensor, state: Any = None, steps: int | None = None) -> tuple[Tensor, Any, int | None]:
    """The arguments of a layer's call for its first samples alone."""
    few = current[:, :SAMPLES] if steps is None else current[:SAMPLES]
    return few, apply_to_collection(state, Tensor, lambda value: value[:SAMPLES]), steps


class Gradient(NamedTuple):
    """The gradient of one module's own parameters."""

    label: str
    """Name in the network, kind and size; of a layer of neurons what it is called elsewhere."""
    connects: bool
    """Whether its parameters are weights between layers, and not, say, learned decays."""
    norm: float
    """Euclidean norm; that of parameters without a gradient is 0."""


def gradient_norms(network: nn.Module, layers: Mapping[str, str]) -> list[Gradient]:
    """The gradients that stand in a network's parameters, of each module that has some to train, in order.

    Args:
        network: the network.
        layers: name of each layer of neurons whose size is known, and what it is called.

    There is no entry where they were all dropped, as Lightning does before a validation unless the task keeps them.
    """
    owners = []
    for name, module in network.named_modules():
        own = [parameter for parameter in module.parameters(recurse=False) if parameter.requires_grad]
        if own:
            owners.append((name, module, own))
    parameters = [parameter for _, _, own in owners for parameter in own]
    if all(parameter.grad is None for parameter in parameters):
        return []
    norms, called = iter(_norms(parameters)), _called(network, layers)
    gradients = []
    for name, module, own in owners:
        largest = max(own, key=Tensor.dim)
        label = called.get(module) or f"{name} ({type(module).__name__}, {size(largest.shape)})".strip()
        norm = math.hypot(*(next(norms) for _ in own))
        gradients.append(Gradient(label, largest.dim() > 1, norm))
    return gradients


def _called(network: nn.Module, layers: Mapping[str, str]) -> dict[nn.Module, str]:
    """The neurons of a network, and what the layer that they are is called."""
    return {
        neurons: layers.get(name) or layer_label(number, layer)
        for number, (name, layer) in enumerate(neuron_layers(network), start=1)
        for neurons in layer.modules()
        if isinstance(neurons, NeuronLayer)
    }


def _norms(parameters: list[nn.Parameter]) -> list[float]:
    """The norm of each parameter's gradient, brought from its device in one go."""
    gradients = [parameter.new_zeros(()) if parameter.grad is None else parameter.grad for parameter in parameters]
    norms: list[float] = torch.stack([torch.linalg.vector_norm(gradient.float()) for gradient in gradients]).tolist()
    return norms
