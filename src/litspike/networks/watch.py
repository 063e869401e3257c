"""Looking at the layers of neurons of a network while it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

from torch import Tensor, nn

from litspike.networks.sequence import neuron_layers
from litspike.neurons import NeuronLayer


class Seen(NamedTuple):
    """One call of a layer of neurons."""

    name: str
    """The layer's name in the network, as ``named_modules`` has it."""
    layer: NeuronLayer
    arguments: tuple[Any, ...]
    """What it was called with: its current, and what else there is."""
    output: Tensor
    """The output of every step, [T, B, *]."""


@contextmanager
def watched(network: nn.Module, see: Callable[[Seen], object]) -> Iterator[None]:
    """Hand each call of each layer of neurons over to ``see``, in the order of their use, while the context lasts.

    Args:
        network: its layers of neurons are ``NeuronLayer`` modules.
        see: called after the layer, with the graph of its output intact.
    """

    def hook(name: str) -> Callable[..., None]:
        def hand_over(layer: NeuronLayer, arguments: tuple[Any, ...], result: tuple[Tensor, Any]) -> None:
            see(Seen(name, layer, arguments, result[0]))

        return hand_over

    with ExitStack() as handles:
        for name, layer in neuron_layers(network):
            handles.callback(layer.register_forward_hook(hook(name)).remove)
        yield
