"""The manners that all neurons share: a call over a whole sequence, from rest or from a given state."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections import namedtuple
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.utils._pytree import _register_namedtuple

from litspike.engine import Engine, Rule, run
from litspike.neurons.declaration import OF_PARAMETERS, Declared, Option, option
from litspike.neurons.layer import NeuronLayer
from litspike.settings import UserError
from litspike.surrogates import ArcTan, Surrogate, spike


class Undeclared(UserError, AttributeError):
    """A step reads something from its layer that is no option."""


class _NeverFires(Exception):
    """A step that asks for no spike."""


class _Distance:
    """A model's step with the distance from the threshold as its output, in place of the spikes."""

    def __init__(self, twin: Neuron) -> None:
        self.twin = copy.copy(twin)
        vars(self.twin)["spike"] = self._note

    def step(self, *arguments: Tensor) -> tuple[Tensor, ...]:
        self._seen: list[Tensor] = []
        _, *states = self.twin.step(*arguments)
        if not self._seen:
            raise _NeverFires
        return self._seen[0], *states

    def _note(self, v: Tensor) -> Tensor:
        self._seen.append(v)
        return type(self.twin).spike(self.twin, v)


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

    It may read the model's options from ``self``, and nothing else beside its arguments: it is run on a twin of the
    layer that has nothing else.
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

    def _settle(self) -> None:
        """Make what the engines get once and for all: the step of a twin that has options alone."""
        super()._settle()
        options = {
            name: getattr(self, name)
            for name, entry in self.declared.items()
            if isinstance(entry, Option) and name not in OF_PARAMETERS
        }
        twin = object.__new__(type(self))
        nn.Module.__init__(twin)
        vars(twin).update(options, **dict.fromkeys(OF_PARAMETERS), _stripped=True)
        vars(self)["_rule"] = Rule(twin.step, (type(self), *options.values()))

    _stripped = False

    def __getattr__(self, name: str) -> Any:
        """Say what is wrong when a step reads a number from its layer, which its kernel would keep for ever."""
        if self._stripped and not name.startswith("__"):
            problem = f"step can't read self.{name}, as it is no option: hand it over through constants()"
            raise Undeclared(f"{type(self).__name__}: {problem}")
        return super().__getattr__(name)

    def key(self) -> Hashable:
        """What :meth:`step` depends on beside its arguments: the model and its options."""
        rule: Rule = self._rule
        return rule

    def forward(self, current: Tensor, state: Any = None, steps: int | None = None) -> tuple[Tensor, Any]:
        """Run over a sequence.

        Args:
            current: input current, [T, B, *] with T ≥ 1; the unit is that of the threshold.
            state: state before the first step, a ``State`` of tensors [B, *]; at rest where None.
            steps: T, where ``current`` is [B, *] and the same at every step.

        Returns:
            The output of every step (spikes, 0 or 1, in a spiking model), [T, B, *], and the ``State`` after the
            last step, each [B, *]. Of an input in half precision the output has the input's dtype (float32 under
            autocast) and the state is float32, in which the neuron runs.

        Raises:
            UserError: if ``current`` has fewer than 2 dimensions, no time step or is not real; if a state has another
                shape, or a state or parameter another dtype or device; if the fused engine is asked for by name and
                can't run the model.
        """
        start = self.start(current, steps) if state is None else state
        rule = self._rule
        output, states = run(rule.step, rule, current, start, self.constants(), self.engine, type(self).__name__, steps)
        return output, self.State._make(states)

    @torch.no_grad()
    def distance(self, current: Tensor, state: Any = None, steps: int | None = None) -> Tensor | None:
        """See :class:`~litspike.neurons.layer.NeuronLayer`."""
        start = self.start(current, steps) if state is None else state
        rule = Rule(_Distance(self._rule.step.__self__).step, (_Distance, self._rule))
        try:
            return run(rule.step, rule, current, start, self.constants(), self.engine, type(self).__name__, steps)[0]
        except _NeverFires:
            return None

    def start(self, current: Tensor, steps: int | None = None) -> Sequence[Tensor | float]:
        """The states at rest before ``current``: a number for all neurons, or [B, *] where parameters are learned."""
        rest = self.at_rest()
        if not self._parameters:
            return rest
        shape = current.shape[1:] if steps is None else current.shape
        return [value.expand(shape) if isinstance(value, Tensor) else value for value in rest]


def _state_type(model: type[Neuron]) -> Any:
    make: Callable[..., Any] = namedtuple  # each model has fields of its own, which no type checker can follow
    state = make("State", list(model.rest), module=model.__module__)
    state.__qualname__ = f"{model.__qualname__}.State"  # where pickle finds it again
    state.detach = lambda self: type(self)(*(value.detach() for value in self))
    with suppress(ValueError):  # a class of this name was there before; its states are the ones to be exported
        _register_namedtuple(state, serialized_type_name=f"{model.__module__}.{state.__qualname__}")
    return state
