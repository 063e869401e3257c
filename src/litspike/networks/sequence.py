"""Networks that run over whole sequences, [T, B, *] in and [T, B, *] out."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from litspike.arguments import InputError, check_tensor, found, typed
from litspike.engine import spikes
from litspike.networks.suits import Mismatch, mismatch
from litspike.neurons import NeuronLayer
from litspike.settings import UserError


def over_time(layer: nn.Module, x: Tensor) -> Tensor:
    """Apply a layer without state to every time step, as one call on T·B samples.

    Args:
        layer: a module from [B, *] to [B, *].
        x: [T, B, *].

    Returns:
        The layer's output for every step, [T, B, *].
    """
    if isinstance(layer, nn.Linear) and x.dim() == 3:
        y = called(layer, x)  # takes any number of dimensions before its own, and does the same with them
        return y
    if torch.compiler.is_compiling() and isinstance(layer, nn.Flatten) and layer.start_dim > 0:
        # Taken apart again, the flat samples would fix the batch of a graph that is exported without strict.
        return x.flatten(1 + layer.start_dim, layer.end_dim + (layer.end_dim > 0))
    flat = x.flatten(0, 1)
    y = called(layer, spikes(flat) if isinstance(layer, (nn.Conv1d, nn.Conv2d)) else flat)
    return y.view(*x.shape[:2], *y.shape[1:])


def called(layer: nn.Module, x: Tensor) -> Tensor:
    """What a layer without state makes of [B, *]; raises :class:`Mismatch` where the input isn't what it is for."""
    if torch.compiler.is_compiling():
        return layer(x)  # type: ignore[no-any-return]
    try:
        return layer(x)  # type: ignore[no-any-return]
    except RuntimeError as error:
        problem = mismatch(layer, x, tuple(x.shape[1:]))
        if problem is None:
            raise
        raise Mismatch(f"{type(layer).__name__} {problem}") from error


class SequenceLayer(nn.Module):
    """A layer without state that is called on the whole sequence."""

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """[T, B, *] → [T, B, *]."""


class StatefulLayer(nn.Module):
    """A layer that isn't neurons and has a state, which is passed and returned as that of neurons is.

    Example:
        >>> import torch
        >>> from torch import Tensor, nn
        >>> from litspike import SpikingSequential
        >>> from litspike.networks import StatefulLayer
        >>> class StepBefore(StatefulLayer):
        ...     def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        ...         first = torch.zeros_like(x[0]) if state is None else state
        ...         return torch.cat([first[None], x[:-1]]), x[-1]
        ...
        >>> output, state = SpikingSequential([StepBefore()])(torch.tensor([[[1.0]], [[2.0]]]))
        >>> output.flatten().tolist(), state[0].tolist()
        ([0.0, 1.0], [[2.0]])
    """

    @abstractmethod
    def forward(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """[T, B, *] and the state before it, at rest where None → [T, B, *] and the state after it, [B, *]."""


class Pass:
    """One pass of a sequence through a network: it gives each layer of neurons its state, and collects the new one.

    Call: ``y = apply(layer, x)``, from [T, B, *] to [T, B, *].

    An input that is the same at every step, as :func:`torch.Tensor.expand` makes it, is computed once on B samples
    up to the first layer of neurons.

    Args:
        state: an entry for each layer of neurons, or other :class:`StatefulLayer`, in the order of their use; from
            rest where None.
    """

    def __init__(self, state: tuple[Any, ...] | None) -> None:
        if state is not None and not isinstance(state, (tuple, list)):
            raise InputError(f"the state is {found(state)}; it must be what an earlier call returned, or None for rest")
        self._before = state
        self._after: list[Any] = []
        self._held: tuple[Tensor, Tensor] | None = None  # [T, B, *] that is the same at every step, and its step

    def __call__(self, layer: nn.Module, x: Tensor) -> Tensor:
        """Send a sequence through a layer of any kind, or through a network inside a network."""
        if isinstance(layer, SpikingNetwork):
            return layer.through(x, self)
        if isinstance(layer, SequenceLayer):
            return layer(x)  # type: ignore[no-any-return]
        if isinstance(layer, StatefulLayer):
            x, after = layer(x, self._start())
            self._ended(after)
            return x
        step = self._step(x)
        if isinstance(layer, NeuronLayer):
            start = self._start()
            x, after = layer(x, start) if step is None else layer(step, start, x.shape[0])
            self._ended(after)
            return x
        if step is None:
            return over_time(layer, x)
        step = called(layer, step)
        self._held = step.expand(x.shape[0], *step.shape), step
        return self._held[0]

    def _start(self) -> Any:
        """The state of the next layer of neurons before the sequence; None for rest."""
        before = self._before
        if before is not None and len(before) == len(self._after):
            raise UserError(f"the state is of {len(before)} layers of neurons, the network has more")
        return None if before is None else before[len(self._after)]

    def _ended(self, after: Any) -> None:
        """Note the state of that layer after the sequence."""
        self._after.append(after)

    def _step(self, x: Tensor) -> Tensor | None:
        """The one step [B, *] of a sequence whose steps are the same, None of any other."""
        if self._held is not None and x is self._held[0]:
            return self._held[1]  # and not x[0], whose gradient would be laid out over time
        if x.dim() > 1 and x.stride(0) == 0 and x.shape[0] > 0 and not x.requires_grad:  # the gradient is per step
            return x[0]
        return None

    def state(self) -> tuple[Any, ...]:
        """The state after the pass, an entry for each layer of neurons in the order of their use."""
        if self._before is not None and len(self._before) != len(self._after):
            raise UserError(
                f"the state is of {len(self._before)} layers of neurons, the network has {len(self._after)}"
            )
        return tuple(self._after)


class SpikingNetwork(nn.Module):
    r"""Base of networks and of their parts: :meth:`through` sends a sequence through the layers.

    Call: ``output, state = network(current, state=None)``; from rest where no state is given. The state is a tuple
    with one entry for each layer with a state, in the order of their use, so that a sequence in pieces gives what the
    whole gives, as long as no layer that depends on the batch (batch norm, dropout) is in training mode.

    **A network of your own** is a subclass in a file of yours, which the configuration names by its class_path. Its
    ``__init__`` makes the layers, and its typed arguments are its settings; ``through`` sends the sequence through
    them with ``apply``, once for each layer of neurons.

    Any other ``nn.Module`` does as well, if it is called in this way, takes [T, B, \*], stores nothing between calls,
    and returns as state a tuple of what its layers of neurons returned.

    Raises:
        UserError: if a state has another number of entries than the network has layers of neurons.

    Example:
        >>> import torch
        >>> from torch import Tensor, nn
        >>> from litspike import LIF, SpikingNetwork, SpikingSequential
        >>> from litspike.networks import Pass
        >>> from litspike.neurons import NeuronLayer
        >>> class TwoPaths(SpikingNetwork):
        ...     def __init__(self, inputs: int, width: int, outputs: int, neuron: NeuronLayer) -> None:
        ...         super().__init__()
        ...         self.left = SpikingSequential([nn.Linear(inputs, width), neuron.shaped(width)])
        ...         self.right = SpikingSequential([nn.Linear(inputs, width), neuron.shaped(width)])
        ...         self.last = nn.Linear(width, outputs)
        ...
        ...     def through(self, x: Tensor, apply: Pass) -> Tensor:
        ...         return apply(self.last, apply(self.left, x) + apply(self.right, x))
        >>> output, state = TwoPaths(2, 10, 1, LIF())(torch.randn(16, 5, 2))
        >>> output.shape, len(state)
        (torch.Size([16, 5, 1]), 2)
    """

    @abstractmethod
    def through(self, x: Tensor, apply: Pass) -> Tensor:
        r"""Send a sequence [T, B, \*] through the layers, each by ``y = apply(layer, x)``; returns [T, B, \*]."""

    def forward(self, current: Tensor, state: tuple[Any, ...] | None = None) -> tuple[Tensor, tuple[Any, ...]]:
        """Run over a sequence [T, B, *]; returns the last layer's output [T, B, *] and the state after it."""
        check_tensor(self, "the input", current)
        if current.dim() < 2:
            raise InputError(f"{type(self).__name__} takes [T, B, *], not {list(current.shape)}")
        apply = Pass(state)
        output = self.through(spikes(current), apply)
        return output, apply.state()


class SpikingSequential(SpikingNetwork):
    """Layers one after another, with or without state.

    Layers without state run once on T·B samples: any of ``torch.nn``'s, such as Linear, Conv1d, Conv2d, MaxPool2d,
    AvgPool2d, Flatten and BatchNorm, whose statistics are then those over time and batch. ``nn.Dropout``
    would draw a mask for each step; :class:`~litspike.networks.TimeDropout` has one mask for all steps.

    Args:
        layers: modules without state, :class:`~litspike.neurons.NeuronLayer` modules and other
            :class:`SpikingNetwork` modules, in the order of their use.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from litspike import LIF, SpikingSequential
        >>> network = SpikingSequential([nn.Linear(3, 4), LIF(), nn.Linear(4, 1)])
        >>> output, state = network(torch.randn(16, 5, 3))
        >>> output.shape, state[0].u.shape
        (torch.Size([16, 5, 1]), torch.Size([5, 4]))
    """

    @typed
    def __init__(self, layers: list[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def through(self, x: Tensor, apply: Pass) -> Tensor:
        for layer in self.layers:
            x = apply(layer, x)
        return x


def neuron_layers(network: nn.Module) -> Iterator[tuple[str, NeuronLayer]]:
    """The layers of neurons of a network with their names, those inside another one (a recurrent layer) left out."""
    inside: set[nn.Module] = set()
    for name, module in network.named_modules():
        if isinstance(module, NeuronLayer) and module not in inside:
            inside.update(module.modules())
            yield name, module
