"""A trained network that is fed step by step, at the cost of its events."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding_bag

from litspike.arguments import InputError, found, typed
from litspike.networks.sequence import Pass, SpikingNetwork
from litspike.neurons import Recurrent, RecurrentState
from litspike.neurons.recurrent import called_plainly
from litspike.settings import integer

_CROSSOVER = 0.3
"""Density from which on a dense product is as fast; see benchmarks/stream.py."""


class Stream:
    r"""A network that takes one time step of one sample at a time, as an event camera or a microphone gives them.

    Call: ``output = stream(step)``, from a step [\*] to the output [\*] of that step. The state stays in the stream,
    at rest at first and after :meth:`reset`. What it gives is what the network gives for the whole sequence, but for
    the rounding of sums. A product with a Linear layer's weight adds up the rows of the events alone: a step of a layer
    of 2048 × 2048 at 5% takes a small part of the dense product's time (benchmarks/stream.py prints it).

    It holds a copy of the network in evaluation mode: later changes of the network's weights don't reach it.

    Args:
        network: any :class:`~litspike.networks.SpikingNetwork`.
        shape: of a step, [\*], where events are fed by their index; taken from the first Linear layer where None.

    Raises:
        SettingError: if the network is none of these.
        InputError: if a step has another shape or holds an index that is too large.

    Example:
        >>> import torch
        >>> from litspike import LIF, Perceptron
        >>> from litspike.networks import Stream
        >>> stream = Stream(Perceptron([8, 16, 2], LIF()))
        >>> stream(torch.ones(8)).shape  # one step, as numbers
        torch.Size([2])
        >>> stream.events([0, 5]).shape  # or by the indices of its spikes
        torch.Size([2])
        >>> stream.reset()
    """

    @typed
    def __init__(self, network: SpikingNetwork, shape: Sequence[int] | None = None) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        linear = [layer for layer in self.network.modules() if isinstance(layer, nn.Linear)]
        plain = [layer for layer in linear if called_plainly(layer, nn.Linear)]
        self._weights: dict[nn.Module, Tensor] = {layer: layer.weight.t().contiguous() for layer in plain}
        if shape is None:
            first = next(iter(linear), None)
            shape = None if first is None else [first.in_features]
        self._shape = None if shape is None else tuple(integer("shape", size) for size in shape)
        weight = next(self.network.parameters(), torch.empty(0))
        self._dtype, self._device = weight.dtype, weight.device
        self._begin = torch.zeros(1, dtype=torch.int64, device=self._device)  # of the one sum of a product
        self.state: tuple[Any, ...] | None = None
        """The state of each layer of neurons after the last step, None at rest."""

    def reset(self) -> None:
        """Begin a new sequence from rest."""
        self.state = None

    def __call__(self, step: Tensor) -> Tensor:
        r"""The output [\*] for one step [\*]; the state moves on."""
        if not isinstance(step, Tensor):
            raise InputError(f"Stream: the step is {found(step)}; it must be a tensor, or indices for Stream.events")
        with torch.inference_mode():
            apply = _Step(self.state, self._weights, self._begin)
            output = self.network.through(step.to(self._device, self._dtype)[None, None], apply)
            self.state = apply.state()
            return output[0, 0]

    def events(self, indices: Sequence[int] | Tensor, values: Sequence[float] | Tensor | None = None) -> Tensor:
        """The output for a step that is given by its events.

        Args:
            indices: where they are in the flat step, each at most once.
            values: of the events; 1 where None.
        """
        if self._shape is None:
            raise InputError("Stream: shape is missing: the network has no Linear layer that says how long a step is")
        step = torch.zeros(self._shape, dtype=self._dtype, device=self._device)
        places = torch.as_tensor(indices, dtype=torch.int64, device=self._device).view(-1)
        if len(places) and not 0 <= int(places.min()) <= int(places.max()) < step.numel():
            raise InputError(f"Stream: an index is outside [0, {step.numel() - 1}]")
        step.view(-1)[places] = 1.0 if values is None else torch.as_tensor(values, dtype=self._dtype).to(self._device)
        return self(step)


class _Step(Pass):
    """One step through a network, whose Linear layers have their weights transposed."""

    def __init__(self, state: tuple[Any, ...] | None, weights: Mapping[nn.Module, Tensor], begin: Tensor) -> None:
        super().__init__(state)
        self._weights, self._begin = weights, begin

    def __call__(self, layer: nn.Module, x: Tensor) -> Tensor:
        if layer in self._weights and x.dim() == 3:
            return self._product(layer, x)
        if isinstance(layer, Recurrent) and layer.connections in self._weights and called_plainly(layer, Recurrent):
            assert layer.connections is not None
            start = self._start()
            before, last = (layer.neuron.start(x), torch.zeros_like(x[0])) if start is None else start
            x = x + self._product(layer.connections, last.flatten(1)[None]).view_as(x)
            output: Tensor
            output, after = layer.neuron(x, before)
            self._ended(RecurrentState(after, output[0]))
            return output
        return super().__call__(layer, x)

    def _product(self, layer: nn.Module, x: Tensor) -> Tensor:
        weight = self._weights[layer]
        row = x.view(-1)
        if len(row) != len(weight):
            raise InputError(f"Stream: a Linear layer for {len(weight)} inputs got {len(row)}")
        places = row.nonzero().view(-1)
        if len(places) > _CROSSOVER * len(row):
            return layer(x)  # type: ignore[no-any-return]
        sums = embedding_bag(places, weight, self._begin, mode="sum", per_sample_weights=row[places])
        return (sums if layer.bias is None else sums + layer.bias)[None]  # type: ignore[operator]  # its tensor
