"""The manners that all neurons share: a call over a whole sequence, from rest or from a given state."""

from __future__ import annotations

from abc import abstractmethod
from collections import namedtuple
from collections.abc import Callable
from typing import Any, ClassVar

from torch import Tensor

from litspike.engine import run_reference
from litspike.neurons.declaration import Declared, option
from litspike.neurons.layer import NeuronLayer
from litspike.settings import UserError
from litspike.surrogates import ArcTan, Surrogate, spike


class Neuron(Declared, NeuronLayer):
    """A layer of neurons of one model, without connections.

    A model is a subclass that declares its parameters with :func:`param`, its options with :func:`option`, its
    states in ``rest``, and its mathematics in :meth:`step`. Everything else follows.

    The module is called as ``torch.nn.LSTM`` is: ``output, state = neuron(current, state=None)``. It keeps nothing
    between calls.
    """

    rest: ClassVar[dict[str, float]] = {}
    """Name of each state, in the order of :meth:`step`, with its value at rest (see also :meth:`at_rest`)."""

    step: ClassVar[Callable[..., tuple[Tensor, ...]]]
    """One time step: ``step(input, *states, *constants) → (output, *states)``, elementwise and pure.

    It may read the model's options from ``self``, and nothing else beside its arguments.
    """

    State: ClassVar[Any]
    """The named tuple of the model's states; its ``detach()`` cuts them off the graph that made them."""

    surrogate: Surrogate = option(ArcTan(), "what stands in for the derivative of a spike")

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Make the named tuple of the model's states."""
        super().__init_subclass__(**kwargs)
        if "rest" in vars(cls):
            cls.State = _state_type(cls)

    @abstractmethod
    def constants(self) -> tuple[Tensor | float, ...]:
        """What :meth:`step` gets after the states: what doesn't change over time, made from the parameters."""

    def at_rest(self) -> tuple[Tensor | float, ...]:
        """The value of each state at rest; a model overrides it where that depends on its parameters."""
        return tuple(self.rest.values())

    def spike(self, v: Tensor) -> Tensor:
        """1 where the distance ``v`` from the threshold is 0 or more, else 0; the surrogate is its derivative."""
        return spike(v, self.surrogate)

    def forward(self, current: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Run over a sequence.

        Args:
            current: input current, [T, B, *] with T ≥ 1; the unit is that of the threshold.
            state: state before the first step, a ``State`` of tensors [B, *]; at rest where None.

        Returns:
            The output of every step (spikes, 0 or 1, in a spiking model), [T, B, *], and the ``State`` after the
            last step, each [B, *].

        Raises:
            UserError: if ``current`` has fewer than 2 dimensions or no time step, or a state another shape.
        """
        states = self.start(current, state)
        output, states = run_reference(self.step, current, states, self.constants())
        return output, self.State(*states)

    def start(self, current: Tensor, state: Any = None) -> tuple[Tensor, ...]:
        """The states to start from, each [B, *]: those given, checked against ``current``, or at rest.

        Raises:
            UserError: as :meth:`forward`.
        """
        if current.dim() < 2 or current.shape[0] < 1:
            raise UserError(f"{type(self).__name__} takes [T, B, *] with T ≥ 1, not {list(current.shape)}")
        if state is None:
            return tuple(_filled(current, value) for value in self.at_rest())
        if any(value.shape != current.shape[1:] for value in state):
            shapes = ", ".join(str(list(value.shape)) for value in state)
            expected = list(current.shape[1:])
            raise UserError(f"{type(self).__name__}: the state is of shape {shapes}, the input asks for {expected}")
        return tuple(state)


def _filled(current: Tensor, value: Tensor | float) -> Tensor:
    """A state [B, *] that has ``value`` everywhere, like ``current`` [T, B, *] in dtype and device."""
    if isinstance(value, Tensor):
        return value.to(current.dtype).expand(current.shape[1:])
    return current.new_full(current.shape[1:], value)


def _state_type(model: type[Neuron]) -> Any:
    make: Callable[..., Any] = namedtuple  # each model has fields of its own, which no type checker can follow
    state = make("State", list(model.rest), module=model.__module__)
    state.__qualname__ = f"{model.__qualname__}.State"  # where pickle finds it again
    state.detach = lambda self: type(self)(*(value.detach() for value in self))
    return state
