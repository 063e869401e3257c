"""What a neuron model declares: its parameters, its options and its states."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Self, dataclass_transform, get_args, get_origin, get_type_hints

import torch
from torch import nn

from litspike.neurons.learning import free_of, value_of
from litspike.settings import SettingError, UserError, bounds, number, whole

OF_PARAMETERS = ("learn", "spread")
"""Options that say what becomes of parameters, and that no step sees."""


@dataclass(frozen=True)
class Param:
    """A real parameter of a model: its default and the interval that it must lie in.

    A fixed one is a number in the module's ``__dict__``. A learned one is not there, and Python asks this class
    attribute instead, which makes the value from the module's free parameter.
    """

    default: float | None
    inside: str
    doc: str
    learnable: bool = True
    name: str = field(default="", init=False)

    def __set_name__(self, owner: type, name: str) -> None:
        object.__setattr__(self, "name", name)

    def __get__(self, module: Declared | None, owner: type) -> Any:
        """The declaration itself on the class, a learned parameter's present value on a module."""
        if module is None:
            return self
        free = module._parameters.get(f"free_{self.name}")
        if free is None:
            if self.name not in (module.learn or {}):
                raise AttributeError(self.name)  # on a layer stripped of its numbers, which says it better
            problem = f"learn.{self.name} is neuron: make the layer with shaped(*sample_shape) before it is used"
            raise UserError(f"{type(module).__name__}: {problem}")
        return value_of(free, module._intervals[self.name])


@dataclass(frozen=True)
class Option:
    """A choice that changes a model's equation, annotated with the ``Literal`` or ``bool`` it may be."""

    default: Any
    doc: str


def param(default: float | None, inside: str, doc: str, learnable: bool = True) -> Any:
    """Declare a real parameter.

    Args:
        default: its value where none is given; None where it may stay unset.
        inside: its interval, as in ``"(0, inf)"``.
        doc: what it is, with its unit; the help of the command line shows it.
        learnable: whether ``learn`` may name it.
    """
    return Param(default, inside, doc, learnable)


def option(default: Any, doc: str) -> Any:
    """Declare an option: its default and what it does. Its annotation says what it may be."""
    return Option(default, doc)


@dataclass_transform(kw_only_default=True, field_specifiers=(param, option))
class Declared(nn.Module):
    """A module whose constructor follows from the params and options that its class and its bases declare.

    Every subclass gets a keyword-only ``__init__`` with them as typed arguments, which checks each value, stores
    it as an attribute of that name and then calls :meth:`check`. A class that gives one of its bases' settings a
    plain value fixes it and takes it off the constructor.

    A param named in ``learn`` becomes an ``nn.Parameter`` ``free_<name>``, and the attribute its value as a tensor:
    of no dimension where it is learned per layer, of the sample shape where per neuron. Where ``spread`` names it with
    a factor f, each neuron starts at ``value · f^r``, with r drawn uniformly from (−1, 1) by torch's global generator,
    as the initial weights of a Linear are: neurons that start alike stay alike for long (Perez-Nieves, Leung, Dragotti
    and Goodman 2021, "Neural heterogeneity promotes robust learning").

    Its settings are settled once it is made: to set one later is a :class:`SettingError`.
    """

    declared: ClassVar[dict[str, Param | Option]] = {}

    learn: dict[str, Literal["layer", "neuron"]] | None = option(
        None, "parameters to learn: one value for the layer, or one for each neuron, such as {decay: neuron}"
    )
    spread: dict[str, float] | None = option(
        None, "factor by which the initial values of a parameter learned for each neuron differ at most, as in {tau: 4}"
    )

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Collect the declarations of the class and its bases and give it its constructor."""
        super().__init_subclass__(**kwargs)
        cls.declared = _declarations(cls)
        if "__init__" not in vars(cls):
            cls.__init__ = _constructor(cls)  # type: ignore[method-assign]

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
            SettingError: if a size is not a whole number of at least 1.
        """
        for size in shape:
            whole("shape", size)
        layer = copy.deepcopy(self)
        for name, scope in (layer.learn or {}).items():
            if scope == "neuron":
                layer._free(name, shape)
        return layer

    def extra_repr(self) -> str:
        """The settings, as the module's printed form shows them; of a learned parameter the initial value."""
        return ", ".join(f"{name}={vars(self).get(name, self._initial.get(name))!r}" for name in self.declared)

    def _settle(self) -> None:
        """Turn the parameters that ``learn`` names from numbers into what an optimizer changes."""
        self._initial: dict[str, float] = {}  # from here on the layer is finished
        learn = {} if self.learn is None else self.learn
        if not isinstance(learn, dict):
            raise SettingError("learn", learn, "is no mapping from a parameter to layer or neuron")
        able = [name for name, entry in self.declared.items() if isinstance(entry, Param) and entry.learnable]
        for name in learn:
            if name not in able:
                raise SettingError("learn", name, f"can't be learned in {type(self).__name__}: it is none of {able}")
        self._intervals = {name: self.interval(name) for name in learn}
        for name, scope in learn.items():
            if scope not in ("layer", "neuron"):
                raise SettingError(f"learn.{name}", scope, "is none of layer, neuron")
            if vars(self)[name] is None:
                raise SettingError(f"learn.{name}", scope, f"needs a value of {name} to start from")
            self._initial[name] = vars(self).pop(name)
            self._free(name, () if scope == "layer" else None)
        self._check_spread(learn)

    def _check_spread(self, learn: dict[str, Any]) -> None:
        spread = {} if self.spread is None else self.spread
        if not isinstance(spread, dict):
            raise SettingError("spread", spread, "is no mapping from a parameter to a factor")
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
    """The interval of a learned parameter where one, ``high``, must stay above others: on its side of a border.

    The border is the parameter beyond it where that is fixed, and half way between them where both sides are learned.
    """
    learn = layer.learn or {}
    top, least = getattr(layer, high), max(getattr(layer, low) for low in lows)
    border = least if name == high else top
    if high in learn and any(low in learn for low in lows):
        border = (top + least) / 2
    low_end, high_end = bounds(layer.declared[name].inside)  # type: ignore[union-attr]
    return f"({max(low_end, border)!r}, {high_end!r})" if name == high else f"({low_end!r}, {min(high_end, border)!r})"


def params_of(cls: type[Declared]) -> set[str]:
    """Names of the params that a class or one of its bases declares, those to which it gives a plain value included."""
    return {name for base in cls.__mro__ for name, value in vars(base).items() if isinstance(value, Param)}


def _declarations(cls: type[Declared]) -> dict[str, Param | Option]:
    """The settings of a class: its own first, then its bases' in Python's order, less those given a plain value."""
    entries: dict[str, Any] = {}
    for base in cls.__mro__:
        for name, value in vars(base).items():
            entries.setdefault(name, value)
    return {name: value for name, value in entries.items() if isinstance(value, (Param, Option))}


def _constructor(cls: type[Declared]) -> Any:
    hints = get_type_hints(cls)

    def __init__(self: Declared, **settings: Any) -> None:
        nn.Module.__init__(self)
        unknown = sorted(settings.keys() - cls.declared.keys())
        if unknown:
            raise TypeError(f"{cls.__name__} has no setting {unknown[0]!r}; it has {', '.join(cls.declared)}")
        for name, entry in cls.declared.items():
            setattr(self, name, _checked(name, settings.get(name, entry.default), entry, hints[name]))
        self.check()
        self._settle()

    own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    keyword = inspect.Parameter.KEYWORD_ONLY
    arguments = [
        inspect.Parameter(name, keyword, default=entry.default, annotation=hints[name])
        for name, entry in cls.declared.items()
    ]
    __init__.__signature__ = inspect.Signature([own, *arguments])  # type: ignore[attr-defined]
    __init__.__qualname__ = f"{cls.__qualname__}.__init__"
    lines = [f"    {name}: {entry.doc}" for name, entry in cls.declared.items()]
    __init__.__doc__ = "\n".join([f"Make a layer of {cls.__name__}.", "", "Args:", *lines])
    return __init__


def _checked(name: str, value: Any, entry: Param | Option, hint: Any) -> Any:
    if value is None and entry.default is None:
        return None
    if isinstance(entry, Param):
        return number(name, value, entry.inside)
    allowed = (True, False) if hint is bool else get_args(hint) if get_origin(hint) is Literal else None
    if allowed is not None and (value not in allowed or (hint is bool and not isinstance(value, bool))):
        raise SettingError(name, value, f"is none of {', '.join(map(str, allowed))}")
    named = isinstance(hint, type) and hint.__module__ not in ("builtins", "typing")  # an integer passes for a float
    if named and not isinstance(value, hint):
        raise SettingError(name, value, f"is no {hint.__name__}")
    return value
