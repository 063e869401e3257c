"""What a neuron model declares: its parameters, its options and its states."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, get_type_hints

from torch import nn

from litspike.arguments import check_type
from litspike.neurons.learning import value_of
from litspike.settings import UserError, number

_WIDTH = 112


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

    def __get__(self, module: Any, owner: type) -> Any:
        """The declaration itself on the class, a learned parameter's present value on a module."""
        if module is None:
            return self
        free = module._parameters.get(f"free_{self.name}")
        if free is None:
            if self.name not in (module.learn or {}):
                raise AttributeError(self.name)  # on a layer without its numbers, whose own error is clearer
            problem = f"learn.{self.name} is neuron: make the layer with shaped(*sample_shape) before it is used"
            raise UserError(f"{type(module).__name__}: {problem}")
        return value_of(free, module._intervals[self.name])


@dataclass(frozen=True)
class Option:
    """A choice that changes a model's equation, annotated with the ``Literal`` or ``bool`` it may be."""

    default: Any
    doc: str


def param(default: float | None, inside: str, doc: str, learnable: bool = True) -> Any:
    """Declare a real parameter of a model. Type checkers and editors see the default where it is given by keyword.

    Args:
        default: its value where none is given; None where it may stay unset.
        inside: its interval, as in ``"(0, inf)"``.
        doc: what it is, with its unit; ``help`` and the command line show it.
        learnable: whether ``learn`` may name it.

    Example:
        >>> from litspike.neurons import Neuron, param
        >>> class Scaled(Neuron):
        ...     gain: float = param(default=1.0, inside="(0, inf)", doc="what the input is multiplied by")
        ...     constants = lambda self: (self.gain,)
        ...     step = lambda self, x, gain: (x * gain,)
        >>> Scaled(gain=-1.0)
        Traceback (most recent call last):
        litspike.settings.SettingError: gain: -1.0 is outside (0, inf)
    """
    return Param(default, inside, doc, learnable)


def option(default: Any, doc: str) -> Any:
    """Declare an option of a model: a choice that changes its equation. Its annotation says what it may be.

    Args:
        default: its value where none is given, by keyword as for :func:`param`.
        doc: what it does; ``help`` and the command line show it.

    Example:
        >>> from litspike.neurons import Neuron, option
        >>> class Signed(Neuron):
        ...     inverted: bool = option(default=False, doc="whether the sign of the input changes")
        ...     constants = lambda self: ()
        ...     step = lambda self, x: (-x if self.inverted else x,)
        >>> Signed(inverted="no")
        Traceback (most recent call last):
        litspike.settings.SettingError: inverted: 'no' is none of True, False
    """
    return Option(default, doc)


def declarations(cls: type) -> dict[str, Param | Option]:
    """The settings of a class: its own first, then its bases' in Python's order, less those given a plain value."""
    entries: dict[str, Any] = {}
    for base in cls.__mro__:
        for name, value in vars(base).items():
            entries.setdefault(name, value)
    return {name: value for name, value in entries.items() if isinstance(value, (Param, Option))}


def constructor(cls: Any) -> Any:
    """The ``__init__`` of a class, keyword-only, with what it declares."""
    hints = get_type_hints(cls)

    def __init__(self: Any, **settings: Any) -> None:
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
    __init__.__doc__ = f"Make a layer of {cls.__name__}; its documentation lists the arguments."
    return __init__


def documentation(cls: type, declared: Mapping[str, Param | Option]) -> str:
    """A class's own docstring with a list of its declared arguments, which comes before what it raises."""
    text = inspect.cleandoc(vars(cls).get("__doc__") or f"{cls.__name__} neuron.")
    if re.search(r"^Args:", text, re.MULTILINE):
        return text
    lines = ["Args:"]
    for name, entry in declared.items():
        line = f"{name}: {entry.doc}" + (f". In {entry.inside}" if isinstance(entry, Param) else "")
        lines += textwrap.wrap(f"{line}.", _WIDTH, initial_indent=" " * 4, subsequent_indent=" " * 8)
    arguments = "\n".join(lines)
    after = re.search(r"^(Raises|Source|Example)s?:", text, re.MULTILINE)
    if after is None:
        return f"{text}\n\n{arguments}"
    return f"{text[: after.start()]}{arguments}\n\n{text[after.start() :]}"


def _checked(name: str, value: Any, entry: Param | Option, hint: Any) -> Any:
    if value is None and entry.default is None:
        return None
    if isinstance(entry, Param):
        return number(name, value, entry.inside)
    check_type(name, value, hint)
    return value
