"""Common interface of neuron layers: a call over a whole sequence, from rest or from a given state."""

from __future__ import annotations

import copy
import difflib
from abc import abstractmethod
from collections import namedtuple
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from litspike.engine import Engine, Rule, run, spikes
from litspike.internals.torch import register_namedtuple
from litspike.neurons.constants import Compute, Computed, check_effects, check_names, tensor
from litspike.neurons.declaration import Option, option
from litspike.neurons.declared import OF_PARAMETERS, Declared, params_of
from litspike.neurons.layer import check_call
from litspike.settings import UserError
from litspike.surrogates import ArcTan, Surrogate, spike


class Undeclared(UserError, AttributeError):
    """A step reads something from its layer that is no option."""


class _NeverFires(Exception):
    """A step that calls no spike."""


class _Distance:
    """A model's step whose output is the membrane potential less the threshold, in place of the spikes."""

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


class Neuron(Declared):
    """A layer of neurons of one model, without connections.

    A model is a subclass that declares its parameters with :func:`param`, its options with :func:`option`, its
    states in ``rest``, and its mathematics in :meth:`step`. Everything else follows.

    The module is called as ``torch.nn.LSTM`` is: ``output, state = neuron(current, state=None)``. Its state is passed
    and returned, and stored nowhere.

    Raises:
        SettingError: if a parameter is outside its interval, or an option is none of its values.
        UserError: if the declarations don't fit together.

    Example:
        >>> import torch
        >>> from litspike.neurons import Neuron, param
        >>> class Relaxing(Neuron):
        ...     rest = {"u": 0.0}
        ...     decay: float = param(default=0.5, inside="[0, 1]", doc="decay per step")
        ...     constants = lambda self: (self.decay,)
        ...     def step(self, x, u, decay):
        ...         u = u * decay + x
        ...         return u, u
        >>> output, state = Relaxing()(torch.ones(3, 1, 1))  # [T, B, N]
        >>> output.flatten().tolist()
        [1.0, 1.5, 1.75]
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

    surrogate: Surrogate = option(default=ArcTan(), doc="surrogate gradient: used as the derivative of a spike")

    engine: Engine = option(
        default="auto", doc="what runs the steps: the reference loop, the fused kernels, or auto: fused where possible"
    )

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Make the named tuple of the model's states."""
        super().__init_subclass__(**kwargs)
        if "rest" in vars(cls):
            cls.State = _state_type(cls)

    @abstractmethod
    def constants(self) -> tuple[Tensor | float, ...]:
        """What :meth:`step` gets after the states: what doesn't change over time, made from the parameters.

        It is run on a twin of the layer that has the settings alone, and all parameters as tensors.
        """

    def at_rest(self) -> tuple[Tensor | float, ...]:
        """The value of each state at rest, made as :meth:`constants` are; overridden where it depends on parameters."""
        return tuple(self.rest.values())

    def spike(self, v: Tensor) -> Tensor:
        """1 where ``v``, the membrane potential less the threshold, is ≥ 0, else 0; the surrogate is its derivative."""
        return spike(v, self.surrogate)

    def _settle(self) -> None:
        """Make what the engines are given, and check that the declarations fit together."""
        super()._settle()
        settings = {name: self._initial.get(name, vars(self).get(name)) for name in self.declared}
        options = {
            name: value
            for name, value in settings.items()
            if isinstance(self.declared[name], Option) and name not in OF_PARAMETERS
        }
        if not hasattr(type(self), "step"):
            raise UserError(f"{type(self).__name__} declares no step")
        step = self._twin("step", options | dict.fromkeys(OF_PARAMETERS)).step
        vars(self)["_rule"] = Rule(step, (type(self), *options.values()))
        self._settle_constants(settings)

    def _settle_constants(self, settings: dict[str, Any]) -> None:
        names = params_of(type(self))  # also those that a subclass has fixed
        every: dict[str, float | None] = {name: settings.get(name, getattr(type(self), name)) for name in names}
        parameters = {name: value for name, value in every.items() if value is not None}

        def compute(name: str) -> Compute:
            return lambda values: self._twin("constants", settings | dict(values))._results(name)

        learned = self.learn or {}
        computed = {name: Computed(compute(name), parameters) for name in ("constants", "at_rest")}
        check_names(type(self).__name__, self._rule.step, list(self.rest), computed["constants"])
        changed = [name for name in settings if name in parameters and settings[name] != self.declared[name].default]
        check_effects(list(computed.values()), changed, learned)
        vars(self)["_numbers"] = {name: one.numbers(learned) for name, one in computed.items()}
        vars(self)["_live"] = []
        for dtype in (torch.float32, torch.float64) if learned else ():
            present = settings | {name: tensor(value).to(dtype) for name, value in parameters.items()}
            fixed = {name: value for name, value in present.items() if name not in learned}
            self._live.append(self._twin("constants", fixed))

    def _results(self, name: str) -> Sequence[Tensor | float]:
        results = getattr(self, name)()
        states = len(self.rest) if name == "at_rest" else None
        if not isinstance(results, (tuple, list)) or (states is not None and len(results) != states):
            asked = "a tuple" if states is None else f"a tuple of {states}, one for each state of rest"
            given = len(results) if isinstance(results, (tuple, list)) else type(results).__name__
            raise UserError(f"{type(self).__name__}: {name} returns {given}, not {asked}")
        return results

    def _twin(self, use: str, settings: dict[str, Any]) -> Self:
        """A layer that has these settings alone, for this use, and the learned parameters of this one."""
        twin = object.__new__(type(self))
        nn.Module.__init__(twin)
        vars(twin).update(settings, _use=use)
        if use == "constants":
            vars(twin).update(_parameters=self._parameters, _intervals=self._intervals)
        return twin

    def values(self, name: str) -> Sequence[Tensor | float]:
        """What ``constants`` or ``at_rest`` give: numbers, and tensors where a learned parameter takes part."""
        numbers: Sequence[Any] = self._numbers[name]
        if None not in numbers:
            return numbers
        parameter = next(iter(self._parameters.values()), None)
        twin = self._live[int(parameter is not None and parameter.dtype is torch.float64)]  # Dynamo takes no bool
        results = getattr(twin, name)()
        return [result if number is None else number for number, result in zip(numbers, results, strict=True)]

    _use = ""

    def __getattr__(self, name: str) -> Any:
        """Explain when a declaration reads what it isn't given, and what a compiled kernel would hold unchanged."""
        if not self._use or name.startswith("__"):
            return super().__getattr__(name)
        model = type(self).__name__
        if self._use == "step":
            problem = "as it is no option: hand it over through constants()"
        else:
            close = difflib.get_close_matches(name, self.declared, 1)
            problem = f"as it is no setting: did you mean {close[0]}?" if close else "as it is no setting"
        raise Undeclared(f"{model}: {self._use} can't read self.{name}, {problem}")

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
        check_call(self, current, steps)
        start = self.start(current, steps) if state is None else self._given(state)
        rule = self._rule
        output, states = run(
            rule.step, rule, current, start, self.values("constants"), self.engine, type(self).__name__, steps
        )
        return spikes(output), self.State._make(states)

    def excess(self, current: Tensor, state: Any = None, steps: int | None = None) -> Tensor | None:
        """See :class:`~litspike.neurons.layer.NeuronLayer`."""
        check_call(self, current, steps)
        start = self.start(current, steps) if state is None else self._given(state)
        rule = Rule(_Distance(self._rule.step.__self__).step, (_Distance, self._rule))
        try:
            return run(
                rule.step, rule, current, start, self.values("constants"), self.engine, type(self).__name__, steps
            )[0]
        except _NeverFires:
            return None

    def _given(self, state: Any) -> Sequence[Tensor]:
        """A state, which must have an entry for each of :attr:`rest`."""
        if not isinstance(state, (tuple, list)) or len(state) != len(self.rest):
            given = (
                f"{type(state).__name__} of {len(state)}" if isinstance(state, (tuple, list)) else type(state).__name__
            )
            expected = f"{type(self).__name__}.State({', '.join(self.rest)})"
            raise UserError(f"{type(self).__name__}: the state is a {given}; it must be a {expected}, or None for rest")
        return state

    def start(self, current: Tensor, steps: int | None = None) -> Sequence[Tensor | float]:
        """The states at rest before ``current``: a number for all neurons, or [B, *] where parameters are learned."""
        shape = current.shape[1:] if steps is None else current.shape
        rest = self.values("at_rest")
        return [value.expand(shape) if isinstance(value, Tensor) else value for value in rest] if self.learn else rest


def _state_type(model: type[Neuron]) -> Any:
    make: Callable[..., Any] = namedtuple  # each model has fields of its own, which no type checker can follow
    state = make("State", list(model.rest), module=model.__module__)
    state.__qualname__ = f"{model.__qualname__}.State"  # where pickle finds it again
    state.detach = lambda self: type(self)(*(value.detach() for value in self))
    with suppress(ValueError):  # a class of this name was there before; its states are the ones to be exported
        register_namedtuple(state, f"{model.__module__}.{state.__qualname__}")
    return state
