"""Networks that run over whole sequences, [T, B, *] in and [T, B, *] out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn

from litspike.neurons import NeuronLayer


def over_time(layer: nn.Module, x: Tensor) -> Tensor:
    """Apply a layer without state to every time step, as one call on T·B samples.

    An input that is the same at every step, as :func:`torch.Tensor.expand` makes it, is computed once on B samples.

    Args:
        layer: a module from [B, *] to [B, *].
        x: [T, B, *].

    Returns:
        The layer's output for every step, [T, B, *].
    """
    steps, batch = x.shape[:2]
    if x.stride(0) == 0 or steps == 1:
        y: Tensor = layer(x[0])
        return y.unsqueeze(0).expand(steps, *y.shape)
    y = layer(x.flatten(0, 1))
    return y.view(steps, batch, *y.shape[1:])


class SpikingSequential(nn.Module):
    """Layers one after another, with or without state.

    Call: ``output, state = network(current, state=None)``; from rest where no state is given. The state is a tuple
    with one entry for each layer of neurons.

    Args:
        layers: modules without state, and :class:`~litspike.neurons.NeuronLayer` modules, in the order of their use.
    """

    def __init__(self, layers: Iterable[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, current: Tensor, state: tuple[Any, ...] | None = None) -> tuple[Tensor, tuple[Any, ...]]:
        """Run over a sequence [T, B, *]; returns the last layer's output [T, B, *] and the state after it."""
        before = iter(state) if state is not None else None
        after = []
        x = current
        for layer in self.layers:
            if isinstance(layer, NeuronLayer):
                x, layer_state = layer(x, None if before is None else next(before))
                after.append(layer_state)
            else:
                x = over_time(layer, x)
        return x, tuple(after)
