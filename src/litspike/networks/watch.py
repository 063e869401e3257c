"""Observing the layers of neurons of a network while it runs, and their names in messages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import torch
from torch import Size, Tensor, nn

from litspike.networks.sequence import neuron_layers
from litspike.networks.stepwise import StepByStep
from litspike.neurons import Neuron, NeuronLayer
from litspike.seeding import isolated


class LayerCall(NamedTuple):
    """One call of a layer of neurons."""

    name: str
    """The layer's name in the network, as ``named_modules`` has it."""
    number: int
    """Its number among the network's layers of neurons, from 1."""
    layer: NeuronLayer
    arguments: tuple[Any, ...]
    """What it was called with: its current, and what else there is."""
    output: Tensor
    """The output of every step, [T, B, *]."""

    @property
    def label(self) -> str:
        """Its name in messages; see :func:`layer_label`."""
        return layer_label(self.number, self.layer, self.output.shape[2:])


def layer_label(number: int, layer: NeuronLayer, shape: Size | None = None) -> str:
    """The name of a layer of neurons in messages, as in ``layer 2 (LIF, 256)``.

    Args:
        number: which of the network's layers of neurons it is, from 1, in the order of ``named_modules``.
        layer: the layer.
        shape: of its output for one sample and step; left out where it isn't known.
    """
    return f"layer {number} ({model(layer)}{'' if shape is None else f', {size(shape)}'})"


def model(layer: NeuronLayer) -> str:
    """A layer's class, and that of the neurons inside it where it holds others, as in ``Recurrent LIF``."""
    inside = next((part for part in layer.modules() if isinstance(part, Neuron)), layer)
    return " ".join(dict.fromkeys([type(layer).__name__, type(inside).__name__]))


def size(shape: Size) -> str:
    """A shape in words, as in ``16×8×8``."""
    return "×".join(map(str, shape)) or "1"


@contextmanager
def watched(network: nn.Module, callback: Callable[[LayerCall], object]) -> Iterator[None]:
    """Pass each call of each layer of neurons to ``callback``, in the order of their use, inside the context.

    Args:
        network: its layers of neurons are ``NeuronLayer`` modules.
        callback: called after the layer, with the graph of its output intact.
    """

    def hook(name: str, number: int, take: Callable[[LayerCall], object]) -> Callable[..., None]:
        def hand_over(layer: NeuronLayer, arguments: tuple[Any, ...], result: tuple[Tensor, Any]) -> None:
            take(LayerCall(name, number, layer, arguments, result[0]))

        return hand_over

    steps = [_Steps(module, callback) for module in network.modules() if isinstance(module, StepByStep)]
    with ExitStack() as handles:
        for one in steps:
            handles.callback(one.loop.register_forward_hook(one.end).remove)
        for number, (name, layer) in enumerate(neuron_layers(network), start=1):
            inside = next((one.take for one in steps if layer in one.layers), callback)
            handles.callback(layer.register_forward_hook(hook(name, number, inside)).remove)
        yield


class _Steps:
    """The calls of the layers inside a loop, a step each, which are handed on as one call of each layer."""

    def __init__(self, loop: StepByStep, callback: Callable[[LayerCall], object]) -> None:
        self.loop, self.layers, self.callback = loop, set(loop.modules()), callback
        self.calls: dict[str, list[LayerCall]] = {}

    def take(self, call: LayerCall) -> None:
        self.calls.setdefault(call.name, []).append(call)

    def end(self, *_: Any) -> None:
        calls, self.calls = self.calls, {}
        for first, *rest in calls.values():
            current = torch.cat([one.arguments[0] for one in (first, *rest)])
            output = torch.cat([one.output for one in (first, *rest)])
            self.callback(first._replace(arguments=(current, *first.arguments[1:]), output=output))


@contextmanager
def evaluation_mode(module: nn.Module) -> Iterator[None]:
    """Run a module as in evaluation and without gradients; afterwards its modes and all random states are as before."""
    training = [part for part in module.modules() if part.training]
    for part in training:
        part.training = False
    try:
        with isolated(), torch.no_grad():
            yield
    finally:
        for part in training:
            part.training = True
