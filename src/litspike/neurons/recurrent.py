"""Recurrent connections around a layer of neurons."""

from __future__ import annotations

import copy
import math
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn

from litspike.arguments import InputError, found, typed
from litspike.engine import run, spikes
from litspike.engine.inputs import Feedback
from litspike.engine.recurrent import run_recurrent
from litspike.internals.torch import calls_forward_alone, register_namedtuple
from litspike.neurons.base import Neuron
from litspike.neurons.layer import NeuronLayer, check_call
from litspike.settings import UserError, integer


class RecurrentState(NamedTuple):
    r"""State of a recurrent layer: that of its neurons, and their last output [B, \*]."""

    neuron: Any
    output: Tensor

    def detach(self) -> RecurrentState:
        """The same state, cut off the graph that made it."""
        return RecurrentState(self.neuron.detach(), self.output.detach())


register_namedtuple(RecurrentState, f"{__name__}.RecurrentState")


class Recurrent(NeuronLayer):
    r"""A layer of neurons of any model with recurrent connections.

    Equation: the neuron's own, with ``x + W y + b`` as its input, for the layer's output y of the step before (spikes
    in a spiking model; 0 at rest).

    The weights W [N, N] join all N neurons of a sample; ``shaped(*sample_shape)`` makes them, with PyTorch's initial
    values of a Linear. Called on a current [T, B, \*], it returns the output [T, B, \*] and the ``RecurrentState``.
    It runs as one kernel over time on a CPU, and on a GPU up to 1024 neurons; step by step elsewhere and where its
    connections have hooks.

    Args:
        neuron: the model of the neurons.
        bias: whether to learn a constant input b as well.

    Raises:
        UserError: if it is called before ``shaped`` has given it its size, or as :class:`~litspike.neurons.Neuron`.

    Source: Bellec et al. 2018, "Long short-term memory and learning-to-learn in networks of spiking neurons".

    Example:
        >>> import torch
        >>> from litspike import LIF, Recurrent
        >>> layer = Recurrent(LIF()).shaped(3)
        >>> spikes, state = layer(torch.rand(5, 2, 3))
        >>> spikes.shape, state.output.shape
        (torch.Size([5, 2, 3]), torch.Size([2, 3]))
    """

    @typed
    def __init__(self, neuron: Neuron, bias: bool = False) -> None:
        super().__init__()
        self.neuron = neuron
        self.bias = bias
        self.connections: nn.Linear | None = None

    def shaped(self, *shape: int) -> Self:
        """See :class:`~litspike.neurons.layer.NeuronLayer`."""
        for size in shape:
            integer("shape", size)
        layer = copy.deepcopy(self)
        layer.neuron = self.neuron.shaped(*shape)
        layer.connections = nn.Linear(math.prod(shape), math.prod(shape), self.bias)
        return layer

    def forward(
        self, current: Tensor, state: RecurrentState | None = None, steps: int | None = None
    ) -> tuple[Tensor, RecurrentState]:
        """See :class:`~litspike.neurons.layer.NeuronLayer`."""
        if self.connections is None:
            raise UserError("Recurrent: make the layer with shaped(*sample_shape) before it is used")
        check_call(self, current, steps)
        if steps is not None:
            current = current.expand(steps, *current.shape)
        if state is not None and not (isinstance(state, (tuple, list)) and len(state) == 2):
            raise InputError(f"Recurrent: the state is {found(state)}; it must be a RecurrentState, or None for rest")
        neuron, last = (self.neuron.start(current), 0.0) if state is None else state
        size = self.connections.in_features
        if current.shape[2:].numel() != size:
            problem = f"connections for {size} neurons, not for samples of shape {list(current.shape[2:])}"
            raise UserError(f"Recurrent has {problem}")
        constants = self.neuron.values("constants")
        results = self._fused(current, last, neuron, constants)
        if results is None:
            output, (last, *after) = run(
                self._step, None, current, (last, *neuron), constants, "reference", "Recurrent"
            )
        else:
            output, last, *after = results
        return spikes(output), RecurrentState(self.neuron.State(*after), last)

    def _fused(self, current: Tensor, last: Tensor | float, states: Any, constants: Any) -> Any:
        """Output, last output and states by one kernel over time; None where the reference has to run."""
        engine, weights = self.neuron.engine, self.connections
        assert weights is not None
        results = None
        if engine != "reference" and calls_forward_alone(weights, nn.Linear):
            first = last if isinstance(last, Tensor) else current.new_full(current.shape[1:], last)
            rule = self.neuron._rule
            feedback = Feedback(first, weights.weight, weights.bias)
            results = run_recurrent(rule.step, rule, current, feedback, states, constants, "Recurrent")
        if results is None and engine == "fused":
            raise UserError("Recurrent: engine: 'fused' can't run here; use 'auto'")
        return results

    def excess(self, current: Tensor, state: Any = None, steps: int | None = None) -> Tensor | None:
        """See :class:`~litspike.neurons.layer.NeuronLayer`: that of the neurons for their total input."""
        output, _ = self.forward(current, state, steps)  # no call of the layer, which others may be watching
        first = torch.zeros_like(output[:1]) if state is None else state.output[None]
        fed_back = self._fed_back(torch.cat([first, output[:-1]]).flatten(0, 1))
        return self.neuron.excess(current + fed_back.view_as(output), None if state is None else state.neuron)

    def _fed_back(self, last: Tensor) -> Tensor:
        assert self.connections is not None
        weight = self.connections.weight
        if weight.dtype.itemsize < last.dtype.itemsize == 4:  # in half precision; the neurons run in single
            last = last.to(weight.dtype)
        y: Tensor = self.connections(last.flatten(1))
        return y.view_as(last)

    def _step(self, x: Tensor, last: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        output, *states = self.neuron.step(x + self._fed_back(last), *rest)
        return output, output, *states
