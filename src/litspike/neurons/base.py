"""The manners that all neurons share: a call over a whole sequence, from rest or from a given state."""

from __future__ import annotations

from abc import abstractmethod
from collections import namedtuple
from collections.abc import Callable, Hashable
from typing import Any, ClassVar

from torch import Tensor

from litspike.engine import Engine, run
from litspike.neurons.declaration import Declared, Option, option
from litspike.neurons.layer import NeuronLayer
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

    engine: Engine = option(
        "auto", "what runs the steps: the reference loop, the fused kernels, or these where they can"
    )

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

    def key(self) -> Hashable:
        """What :meth:`step` depends on beside its arguments: the model and its options."""
        options = [
            getattr(self, name)
            for name, entry in self.declared.items()
            if isinstance(entry, Option) and name != "learn"
        ]
        return type(self), *options

    def forward(self, current: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Run over a sequence.

        Args:
            current: input current, [T, B, *] with T ≥ 1; the unit is that of the threshold.
            state: state before the first step, a ``State`` of tensors [B, *]; at rest where None.

        Returns:
            The output of every step (spikes, 0 or 1, in a spiking model), [T, B, *], and the ``State`` after the
            last step, each [B, *].

        Raises:
            UserError: if ``current`` has fewer than 2 dimensions, no time step or is not real; if a state has another
                shape, or a state or parameter another dtype or device; if the fused engine is asked for by name and
                can't run the model.
        """
        start = self.start(current) if state is None else tuple(state)
        output, states = run(self.step, self.key(), current, start, self.constants(), self.engine, type(self).__name__)
        return output, self.State(*states)

    def start(self, current: Tensor) -> tuple[Tensor | float, ...]:
        """The states at rest before ``current``: a number for all neurons, or [B, *] where parameters are learned."""
        return tuple(v.expand(current.shape[1:]) if isinstance(v, Tensor) else v for v in self.at_rest())


def _state_type(model: type[Neuron]) -> Any:
    make: Callable[..., Any] = namedtuple  # each model has fields of its own, which no type checker can follow
    state = make("State", list(model.rest), module=model.__module__)
    state.__qualname__ = f"{model.__qualname__}.State"  # where pickle finds it again
    state.detach = lambda self: type(self)(*(value.detach() for value in self))
    return state
