"""A trained network that is fed step by step, at the cost of its events."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from litspike.arguments import InputError, found, typed
from litspike.engine.events.row import RowProduct
from litspike.engine.stepper import Stepper
from litspike.internals.torch import calls_forward_alone
from litspike.networks.dropout import TimeDropout
from litspike.networks.sequence import Pass, SpikingNetwork, SpikingSequential
from litspike.neurons import Neuron, Recurrent, RecurrentState
from litspike.settings import integer

_IDLE = (TimeDropout, nn.Dropout, nn.Identity)
"""Layers that do nothing in evaluation."""


class Stream:
    r"""A network that takes one time step of one sample at a time, as an event camera or a microphone gives them.

    Call: ``output = stream(step)``, from a step [\*] to the output [\*] of that step. The state stays in the stream,
    at rest at first and after :meth:`reset`. What it gives is what the network gives for the whole sequence, but for
    the rounding of sums. A product with a Linear layer's weight adds up the rows of the events alone: a step of a layer
    of 2048 × 2048 at 5% takes a small part of the dense product's time (benchmarks/stream.py prints it). A network that
    is a chain of Linear layers and neurons, recurrent ones without bias included, is one call of machine code a step.

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
        self._products: dict[nn.Module, RowProduct] = {
            layer: RowProduct(layer.weight)
            for layer in linear
            if calls_forward_alone(layer, nn.Linear) and RowProduct.takes(layer.weight)
        }
        if shape is None:
            first = next(iter(linear), None)
            shape = None if first is None else [first.in_features]
        self._shape = None if shape is None else tuple(integer("shape", size) for size in shape)
        weight = next(self.network.parameters(), torch.empty(0))
        self._dtype, self._device = weight.dtype, weight.device
        self._neurons: list[Neuron | Recurrent] = []
        with torch.no_grad():
            self._stepper = self._prepared()
        self._state: tuple[Any, ...] | None = None
        self._rests = True

    def _prepared(self) -> Stepper | None:
        """The network in one call of machine code; None where it isn't a chain of layers that can be."""
        layers = list(_chain(self.network))
        if not layers or layers[0] not in self._products:
            return None
        stepper = Stepper(self._products[layers[0]].inputs, self._dtype)
        if not all(self._added(layer, stepper) for layer in layers):
            return None
        stepper.finish()
        return stepper

    def _added(self, layer: nn.Module, stepper: Stepper) -> bool:
        """Go on with a layer; False where it can't be."""
        product = self._products.get(layer)
        if product is not None:
            if product.inputs != stepper.size:
                return False
            stepper.add_product(product, layer.bias)  # type: ignore[arg-type]  # its tensor
            return True
        if isinstance(layer, _IDLE):
            return calls_forward_alone(layer, type(layer))
        neuron, fed = layer, None
        if isinstance(layer, Recurrent) and calls_forward_alone(layer, Recurrent) and not layer.bias:
            neuron, fed = layer.neuron, self._products.get(layer.connections)  # type: ignore[arg-type]  # absent if None
            if fed is None or fed.inputs != stepper.size:
                return False
        if not isinstance(neuron, Neuron) or not calls_forward_alone(neuron, Neuron) or neuron.engine == "reference":
            return False
        self._neurons.append(layer)  # type: ignore[arg-type]  # one of the two
        given = type(neuron).__name__, neuron._rule, neuron.values("at_rest"), neuron.values("constants")
        return stepper.add_neurons(*given) if fed is None else stepper.add_recurrent(*given, fed)

    @property
    def compiled(self) -> bool:
        """Whether a step is one call of machine code."""
        return self._stepper is not None

    @property
    def state(self) -> tuple[Any, ...] | None:
        """The state of each layer of neurons after the last step, None at rest."""
        if self._stepper is None or self._rests:
            return self._state
        found: list[Any] = []
        for layer, (states, last) in zip(self._neurons, self._stepper.states(), strict=True):
            neuron = layer.neuron if isinstance(layer, Recurrent) else layer
            state = neuron.State(*states)
            found.append(state if last is None else RecurrentState(state, last))
        return tuple(found)

    @state.setter
    def state(self, state: tuple[Any, ...] | None) -> None:
        self.reset()
        self._state = state
        if self._stepper is not None and state is not None:
            parts = [(s.neuron, s.output) if isinstance(s, RecurrentState) else (s, None) for s in state]
            self._stepper.resume(parts)
            self._rests = False

    def __reduce__(self) -> tuple[Any, ...]:
        return _resumed, (self.network, self._shape, self.state)

    def reset(self) -> None:
        """Begin a new sequence from rest."""
        self._state, self._rests = None, True
        if self._stepper is not None:
            self._stepper.reset()

    def __call__(self, step: Tensor) -> Tensor:
        r"""The output [\*] for one step [\*]; the state moves on."""
        if not isinstance(step, Tensor):
            raise InputError(f"Stream: the step is {found(step)}; it must be a tensor, or indices for Stream.events")
        if self._stepper is not None:
            if step.shape != (self._stepper.inputs,):
                raise _wrong_size(self._stepper.inputs, step)
            self._rests = False
            return self._stepper(step.detach() if step.requires_grad else step)
        with torch.inference_mode():
            apply = _Step(self._state, self._products)
            output = self.network.through(step.to(self._device, self._dtype)[None, None], apply)
            self._state = apply.state()
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
    """One step through a network, whose Linear layers take the events alone."""

    def __init__(self, state: tuple[Any, ...] | None, products: Mapping[nn.Module, RowProduct]) -> None:
        super().__init__(state)
        self._products = products

    def __call__(self, layer: nn.Module, x: Tensor) -> Tensor:
        if layer in self._products and x.dim() == 3:
            return self._product(layer, x)
        if (
            isinstance(layer, Recurrent)
            and layer.connections in self._products
            and calls_forward_alone(layer, Recurrent)
        ):
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
        product, row = self._products[layer], x.reshape(-1)
        if len(row) != product.inputs:
            raise _wrong_size(product.inputs, row)
        bias = layer.bias
        start = row.new_zeros(product.outputs) if bias is None else bias
        return product(row, start)[None, None]  # type: ignore[arg-type]  # a Linear's


def _chain(network: nn.Module) -> Iterator[nn.Module]:
    """The layers that a step goes through one after another; the network itself where it does otherwise."""
    if isinstance(network, SpikingSequential) and type(network).through is SpikingSequential.through:
        for layer in network.layers:
            yield from _chain(layer)
    else:
        yield network


def _resumed(network: SpikingNetwork, shape: Sequence[int] | None, state: tuple[Any, ...] | None) -> Stream:
    stream = Stream(network, shape)
    stream.state = state
    return stream


def _wrong_size(inputs: int, row: Tensor) -> InputError:
    return InputError(f"Stream: a Linear layer for {inputs} inputs got {list(row.shape)}")
