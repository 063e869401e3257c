"""The figures that a check-up rests on: of a layer while it runs, and of the gradients after a training step."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only
from torchmetrics import MeanMetric

from litspike.callbacks.diagnoses import LayerFigures
from litspike.metrics import Firing
from litspike.networks.watch import Seen
from litspike.neurons import Neuron
from litspike.surrogates import Surrogate

SAMPLES = 64
"""Samples on which membrane potentials are looked at, which costs another run of the layer."""


class WatchedLayer:
    """Gathers the figures of one layer of neurons over the calls of an epoch.

    Args:
        number: the layer's number in the network.
        seen: a call of the layer.
    """

    def __init__(self, number: int, seen: Seen) -> None:
        neuron = next((module for module in seen.layer.modules() if isinstance(module, Neuron)), None)
        model = " ".join(dict.fromkeys([type(seen.layer).__name__, type(neuron or seen.layer).__name__]))
        shape = seen.output.shape[2:]
        self.tag = f"{seen.name} {model}".strip()
        self._label = f"layer {number} ({model}, {_size(shape)})"
        self._surrogate: Surrogate | None = getattr(neuron or seen.layer, "surrogate", None)
        self._firing = Firing(shape.numel()).to(seen.output.device)
        self._inside = MeanMetric().to(seen.output.device)
        self._fires: bool | None = None

    def reset(self) -> None:
        """Begin a new epoch."""
        self._firing.reset()
        self._inside.reset()
        self._fires = None

    def update(self, seen: Seen, closely: bool) -> None:
        """Take in a call of the layer.

        Args:
            seen: the call.
            closely: whether to look at its membrane potentials as well; the first call of an epoch is in any case.
        """
        if closely or self._fires is None:
            distance = seen.layer.distance(*_first_samples(*seen.arguments))
            self._fires = distance is not None
            if distance is not None and self._surrogate is not None:
                inside = self._surrogate.inside(distance)
                self._inside.update(inside.float().mean(), inside.numel())
        if self._fires:
            self._firing.update(seen.output)

    def figures(self) -> LayerFigures | None:
        """The figures of the epoch, over all processes; None of a layer that doesn't fire, or wasn't called."""
        if not self._fires:
            return None
        firing = {name: float(value) for name, value in self._firing.compute().items()}
        blind, inside = False, math.nan
        if self._surrogate is not None:
            blind = not bool(self._surrogate.inside(torch.zeros(1)))
            inside = float(self._inside.compute())
        return LayerFigures(self._label, str(self._surrogate).removesuffix("()"), blind, **firing, inside=inside)


def _first_samples(current: Tensor, state: Any = None, steps: int | None = None) -> tuple[Tensor, Any, int | None]:
    """The arguments of a layer's call for its first samples alone."""
    few = current[:, :SAMPLES] if steps is None else current[:SAMPLES]
    return few, tree_map_only(Tensor, lambda value: value[:SAMPLES], state), steps


class Gradient(NamedTuple):
    """The gradient of one module's own parameters."""

    tag: str
    """The module's name in the network, and its kind."""
    label: str
    """Name, kind and size."""
    connects: bool
    """Whether its parameters are weights between layers, and not, say, learned decays."""
    norm: float
    """Euclidean norm; that of parameters without a gradient is 0."""


def gradient_norms(network: nn.Module) -> list[Gradient]:
    """The gradients that stand in a network's parameters, of each module that has some to train, in order.

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
    norms = iter(_norms(parameters))
    gradients = []
    for name, module, own in owners:
        kind, largest = type(module).__name__, max(own, key=Tensor.dim)
        label = f"{name} ({kind}, {_size(largest.shape)})"
        norm = math.hypot(*(next(norms) for _ in own))
        gradients.append(Gradient(f"{name} {kind}".strip(), label, largest.dim() > 1, norm))
    return gradients


def _norms(parameters: list[nn.Parameter]) -> list[float]:
    """The norm of each parameter's gradient, brought from its device in one go."""
    gradients = [parameter.new_zeros(()) if parameter.grad is None else parameter.grad for parameter in parameters]
    norms: list[float] = torch.stack([torch.linalg.vector_norm(gradient.float()) for gradient in gradients]).tolist()
    return norms


def _size(shape: torch.Size) -> str:
    return "×".join(map(str, shape)) or "1"
