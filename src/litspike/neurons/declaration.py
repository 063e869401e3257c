"""What a neuron model declares: its parameters, its options and its states."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, dataclass_transform, get_args, get_origin, get_type_hints

from torch import nn

from litspike.settings import SettingError, number


@dataclass(frozen=True)
class Param:
    """A real parameter of a model: its default and the interval that it must lie in."""

    default: float | None
    inside: str
    doc: str


@dataclass(frozen=True)
class Option:
    """A choice that changes a model's equation, annotated with the ``Literal`` or ``bool`` it may be."""

    default: Any
    doc: str


def param(default: float | None, inside: str, doc: str) -> Any:
    """Declare a real parameter.

    Args:
        default: its value where none is given; None where it may stay unset.
        inside: its interval, as in ``"(0, inf)"``.
        doc: what it is, with its unit; the help of the command line shows it.
    """
    return Param(default, inside, doc)


def option(default: Any, doc: str) -> Any:
    """Declare an option: its default and what it does. Its annotation says what it may be."""
    return Option(default, doc)


@dataclass_transform(kw_only_default=True, field_specifiers=(param, option))
class Declared(nn.Module):
    """A module whose constructor follows from the params and options that its class declares.

    Every subclass gets a keyword-only ``__init__`` with them as typed arguments, which checks each value, stores
    it as an attribute of that name and then calls :meth:`check`.
    """

    declared: ClassVar[dict[str, Param | Option]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Collect the declarations of the class and give it its constructor."""
        super().__init_subclass__(**kwargs)
        own = {name: value for name, value in vars(cls).items() if isinstance(value, (Param, Option))}
        cls.declared = {**own, **cls.declared}
        if "__init__" not in vars(cls):
            cls.__init__ = _constructor(cls)  # type: ignore[method-assign]

    def check(self) -> None:
        """Check what depends on more than one setting; a model overrides it where it has such settings."""

    def extra_repr(self) -> str:
        """The settings, as the module's printed form shows them."""
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in self.declared)


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
    if allowed is not None and value not in allowed:
        raise SettingError(name, value, f"is none of {', '.join(map(str, allowed))}")
    return value
