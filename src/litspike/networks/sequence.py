"""Networks that run over whole sequences, [T, B, *] in and [T, B, *] out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn

from litspike.neurons import NeuronLayer


def over_time(layer: nn.Module, x: Tensor) -> Tensor:
    """Apply a layer without state to every time step, as one call on T·B samples.

    Args:
        layer: a module from [B, *] to [B, *].
        x: [T, B, *].

    Returns:
        The layer's output for every step, [T, B, *].
    """
    if isinstance(layer, nn.Linear) and x.dim() == 3:
        y: Tensor = layer(x)  # takes any number of dimensions before its own, and does the same with them
        return y
    y = layer(x.flatten(0, 1))
    return y.view(*x.shape[:2], *y.shape[1:])


class SpikingSequential(nn.Module):
    """Layers one after another, with or without state.

    Call: ``output, state = network(current, state=None)``; from rest where no state is given. The state is a tuple
    with one entry for each layer of neurons.

    An input that is the same at every step, as :func:`torch.Tensor.expand` makes it, is computed once on B samples
    up to the first layer of neurons.

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
        x, steps = current, None  # or [B, *] and T, as long as all steps are the same
        if x.dim() > 1 and x.stride(0) == 0 and x.shape[0] > 0 and not x.requires_grad:  # the gradient is per step
            x, steps = x[0], x.shape[0]
        for layer in self.layers:
            if isinstance(layer, NeuronLayer):
                x, layer_state = layer(x, None if before is None else next(before), steps)
                after.append(layer_state)
                steps = None
            elif steps is None:
                x = over_time(layer, x)
            else:
                x = layer(x)
        return x if steps is None else x.expand(steps, *x.shape), tuple(after)
