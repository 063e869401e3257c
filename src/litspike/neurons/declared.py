"""A layer whose constructor, documentation and learned parameters follow from what its class declares."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, ClassVar, Literal, Self

import torch
from torch import nn

from litspike.neurons.declaration import Option, Param, constructor, declarations, documentation, option
from litspike.neurons.layer import NeuronLayer
from litspike.neurons.learning import free_of
from litspike.settings import SettingError, bounds, integer, number

OF_PARAMETERS = ("learn", "spread")
"""Options about parameters, which no step reads."""


class Declared(NeuronLayer):
    """A layer whose constructor follows from the params and options that its class and its bases declare.

    Every subclass gets a keyword-only ``__init__`` with them as typed arguments, which checks each value, stores
    it as an attribute of that name and then calls :meth:`check`. A class that gives one of its bases' settings a
    plain value fixes it and takes it off the constructor.

    A param named in ``learn`` becomes an ``nn.Parameter`` ``free_<name>``, and the attribute its value as a tensor:
    of no dimension where it is learned per layer, of the sample shape where per neuron. Where ``spread`` names it with
    a factor f, each neuron starts at ``value · f^r``, with r drawn uniformly from (−1, 1) by torch's global generator,
    as the initial weights of a Linear are: neurons that start alike stay alike for long (Perez-Nieves, Leung, Dragotti
    and Goodman 2021, "Neural heterogeneity promotes robust learning").

    Its settings can't be changed once it is made: that is a :class:`SettingError`.
    """

    declared: ClassVar[dict[str, Param | Option]] = {}

    learn: dict[str, Literal["layer", "neuron"]] | None = option(
        default=None,
        doc="parameters to learn: one value for the layer, or one for each neuron, such as {decay: neuron}",
    )
    spread: dict[str, float] | None = option(
        default=None,
        doc="factor by which the initial values of a parameter learned for each neuron differ at most, as in {tau: 4}",
    )

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Give the class its constructor and its documentation."""
        super().__init_subclass__(**kwargs)
        cls.declared = declarations(cls)
        cls.__doc__ = documentation(cls, cls.declared)
        if "__init__" not in vars(cls):
            cls.__init__ = constructor(cls)  # type: ignore[method-assign]  # made from what it declares

    def __setattr__(self, name: str, value: Any) -> None:
        """Refuse to change a setting of a finished layer: what was checked and compiled would no longer hold."""
        if name in self.declared and "_initial" in vars(self):
            raise SettingError(name, value, f"comes too late: make a new {type(self).__name__} with it")
        super().__setattr__(name, value)

    def check(self) -> None:
        """Check what depends on more than one setting; a model overrides it where it has such settings."""

    def interval(self, name: str) -> str:
        """The interval that a learned parameter stays in, asked for while all parameters have their initial values.

        It is the declared one; a model overrides it where what the parameter may be depends on other settings.
        """
        return self.declared[name].inside  # type: ignore[union-attr]  # options aren't learned

    def shaped(self, *shape: int) -> Self:
        r"""A copy of this layer for samples of the given shape, with its per-neuron parameters at their initial value.

        Args:
            shape: sizes of a sample, [\*], without time and batch: ``shaped(10)``, or ``shaped(8, 28, 28)``.

        Raises:
            SettingError: if a size is not an integer of at least 1.
        """
        for size in shape:
            integer("shape", size)
        layer = copy.deepcopy(self)
        for name, scope in (layer.learn or {}).items():
            if scope == "neuron":
                layer._free(name, shape)
        return layer

    def extra_repr(self) -> str:
        """The settings, as the module's printed form shows them; of a learned parameter the initial value."""
        return ", ".join(f"{name}={vars(self).get(name, self._initial.get(name))!r}" for name in self.declared)

    def _settle(self) -> None:
        """Make parameters of torch of those that ``learn`` names."""
        self._initial: dict[str, float] = {}  # from here on the layer is finished
        learn = {} if self.learn is None else self.learn
        able = [name for name, entry in self.declared.items() if isinstance(entry, Param) and entry.learnable]
        for name in learn:
            if name not in able:
                raise SettingError("learn", name, f"can't be learned in {type(self).__name__}: it is none of {able}")
        self._intervals = {name: self.interval(name) for name in learn}
        for name, scope in learn.items():
            if vars(self)[name] is None:
                raise SettingError(f"learn.{name}", scope, f"needs a value of {name} to start from")
            self._initial[name] = vars(self).pop(name)
            self._free(name, () if scope == "layer" else None)
        self._check_spread(learn)

    def _check_spread(self, learn: dict[str, Any]) -> None:
        spread = {} if self.spread is None else self.spread
        for name, factor in spread.items():
            if learn.get(name) != "neuron":
                raise SettingError(f"spread.{name}", factor, f"needs learn.{name} to be neuron")
            number(f"spread.{name}", factor, "[1, inf)")
            for value in (self._initial[name] / factor, self._initial[name] * factor):
                self._free_value(name, value)

    def _free_value(self, name: str, value: float) -> float:
        return free_of(name, value, self._intervals[name])

    def _free(self, name: str, shape: tuple[int, ...] | None) -> None:
        """Register the free parameter of ``name``, or only check that it has one where the shape isn't known yet."""
        free = self._free_value(name, self._initial[name])
        if shape is None:
            return
        values = torch.full(shape, free)
        factor = (self.spread or {}).get(name, 1.0)
        if factor != 1:
            exponents = torch.empty(values.numel()).uniform_(-1, 1).tolist()
            drawn = [self._free_value(name, self._initial[name] * factor**exponent) for exponent in exponents]
            values = torch.tensor(drawn, dtype=values.dtype).view(shape)
        self.register_parameter(f"free_{name}", nn.Parameter(values))


def apart(layer: Declared, high: str, lows: Sequence[str], name: str) -> str:
    """The interval of a learned parameter where one, ``high``, must stay above others: on its side of a boundary.

    The boundary is the parameter beyond it where that is fixed, and half way between them where both sides are learned.
    """
    learn = layer.learn or {}
    top, least = getattr(layer, high), max(getattr(layer, low) for low in lows)
    border = least if name == high else top
    if high in learn and any(low in learn for low in lows):
        border = (top + least) / 2
    low_end, high_end = bounds(layer.declared[name].inside)  # type: ignore[union-attr]  # a param, as it is learned
    return f"({max(low_end, border)!r}, {high_end!r})" if name == high else f"({low_end!r}, {min(high_end, border)!r})"


def params_of(cls: type[Declared]) -> set[str]:
    """Names of the params that a class or one of its bases declares, those to which it gives a plain value included."""
    return {name for base in cls.__mro__ for name, value in vars(base).items() if isinstance(value, Param)}
