"""Checks of what Python code hands over: the arguments of constructors, and the tensors of calls."""

from __future__ import annotations

import functools
import inspect
import os
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, ParamSpec, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np
import torch
from torch import Tensor

from litspike.settings import SettingError, UserError

P = ParamSpec("P")
R = TypeVar("R")

_REMEDIES = {
    "ndarray": "torch.from_numpy makes one",
    "list": "torch.tensor makes one",
    "tuple": "torch.tensor makes one",
    "float": "torch.tensor makes one",
    "int": "torch.tensor makes one",
    "DataFrame": "torch.from_numpy(frame.to_numpy()) makes one",
    "PackedSequence": "torch.nn.utils.rnn.pad_packed_sequence makes one",
    "nested": "its to_padded_tensor(0.0) is one",
    "quantized": "its dequantize() is one",
    "sparse": "its to_dense() is one",
}
_FLOATS = (torch.float32, torch.float64, torch.bfloat16, torch.float16)


class InputError(UserError, TypeError):
    """What a call gets is none of what it takes."""


def check_tensor(owner: object, argument: str, value: Any) -> None:
    """Refuse what is no dense tensor.

    Args:
        owner: the object that is called, or its name.
        argument: name of the call's argument.
        value: what it got.

    Raises:
        InputError: with what came, what is allowed, and how to make it.
    """
    if isinstance(value, Tensor) and value.layout is torch.strided and not (value.is_nested or value.is_quantized):
        return
    if isinstance(value, Tensor):
        kind = "nested" if value.is_nested else "quantized" if value.is_quantized else "sparse"
        given = f"a {kind} tensor"
    else:
        kind = type(value).__name__
        given = found(value)
    remedy = f": {_REMEDIES[kind]}" if kind in _REMEDIES else ""
    raise InputError(f"{_name(owner)}: {argument} is {given}, not a dense torch.Tensor{remedy}")


def check_floats(owner: object, argument: str, value: Any) -> None:
    """Refuse what is no dense tensor of floating-point numbers; raises :class:`InputError`."""
    check_tensor(owner, argument, value)
    if value.dtype not in _FLOATS:
        dtype = str(value.dtype).removeprefix("torch.")
        raise InputError(f"{_name(owner)}: {argument} is {dtype}, not floating-point numbers: write x.float()")


def described(made: object) -> str:
    """An object as it was made, with those of its arguments that it keeps under their names."""
    names = inspect.signature(type(made)).parameters
    settings = (f"{name}={vars(made)[name]!r}" for name in names if name in vars(made))
    return f"{type(made).__name__}({', '.join(settings)})"


def typed(init: Callable[P, R]) -> Callable[P, R]:
    """Let a constructor refuse arguments that aren't what its annotations say, by :func:`check_type`."""
    signature = inspect.signature(init)
    hints: dict[str, Any] = {}

    @functools.wraps(init)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        if not hints:
            hints.update(get_type_hints(init))
        try:
            given = signature.bind(*args, **kwargs).arguments
        except TypeError:
            return init(*args, **kwargs)  # which names itself in Python's words
        for name, value in given.items():
            if name in hints:
                check_type(name, value, hints[name])
        return init(*args, **kwargs)

    return checked


def check_type(setting: str, value: Any, hint: Any) -> None:
    """Refuse a value of another type than its annotation says; numbers are left to the constructor's own checks.

    Raises:
        SettingError: with the value, and what it must be.
    """
    if _is(value, hint):
        return
    choices = [one for one in get_args(hint) if one is not types.NoneType]
    if get_origin(hint) in (Union, types.UnionType) and len(choices) == 1:
        hint = choices[0]  # that it may be None helps nobody whose value isn't
    if get_origin(hint) in (list, tuple, Sequence) and isinstance(value, (list, tuple)):
        for index, entry in enumerate(value):
            check_type(f"{setting}[{index}]", entry, get_args(hint)[0])
    if get_origin(hint) in (dict, Mapping) and isinstance(value, Mapping):
        for key, entry in value.items():
            check_type(f"{setting}.{key}", entry, get_args(hint)[1])
    if isinstance(value, type):
        raise SettingError(setting, value.__name__, f"is a class, not an object: write {value.__name__}(...)")
    none_of = hint is bool or get_origin(hint) is Literal
    raise SettingError(setting, value, f"is none of {_choices(hint)}" if none_of else f"is no {_words(hint)}")


def _is(value: Any, hint: Any) -> bool:
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any:  # a class, which isinstance refuses
        return True
    if origin in (Union, types.UnionType):
        return any(_is(value, one) for one in inner)
    if origin is Literal:
        return any(type(value) is type(one) and value == one for one in inner)
    if origin in (list, tuple, Sequence):
        return isinstance(value, (list, tuple)) and (origin is tuple or all(_is(entry, inner[0]) for entry in value))
    if origin in (dict, Mapping):
        return isinstance(value, Mapping) and all(
            _is(key, inner[0]) and _is(entry, inner[1]) for key, entry in value.items()
        )
    if origin is Callable:
        return callable(value)
    if hint is bool:
        return isinstance(value, (bool, np.bool_))
    if hint is str:
        return isinstance(value, (str, os.PathLike))
    kind = origin or hint
    return not isinstance(kind, type) or kind in (Any, int, float) or isinstance(value, kind)


def _words(hint: Any) -> str:
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(_words(one) for one in inner)
    if origin is Literal:
        return " or ".join(map(str, inner))
    if origin in (list, tuple, Sequence):
        return "list" + (f" of {_words(inner[0])}" if inner else "")
    if origin in (dict, Mapping):
        return f"mapping from {_words(inner[0])} to {_words(inner[1])}"
    if origin is Callable:
        return "function"
    if hint is types.NoneType:
        return "None"
    return getattr(hint, "__name__", str(hint))


def _choices(hint: Any) -> str:
    return ", ".join(map(str, (True, False) if hint is bool else get_args(hint)))


def found(value: Any) -> str:
    """What a value is, for an error."""
    if value is None:
        return "None"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    shape = getattr(value, "shape", None)
    of = f" of shape {list(shape)}" if isinstance(shape, tuple) else ""
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}{of}"


def _name(owner: object) -> str:
    return owner if isinstance(owner, str) else type(owner).__name__
