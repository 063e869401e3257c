"""The numbers that a declaration holds, such as a surrogate's slope, as arguments of its kernel instead of its text.

Which of a program's literals come from them shows where the step is traced again with other numbers in their place.
One kernel then serves all values. Whatever is taken for such a literal, the program stays that of the step itself.
"""

from __future__ import annotations

import copy
import itertools
import types
from collections.abc import Callable, Iterator, Sequence
from dataclasses import is_dataclass
from typing import Any

import torch

from litspike.engine.ir.nest import Leaf
from litspike.engine.ir.program import Program
from litspike.engine.ir.trace import record, trace

_FACTORS = (1.0137254901960784, 1.0273809523809523)
_APART = 1 / 3571  # a factor of its own for each number, so that two equal ones can be distinguished


def trace_with_numbers(
    step: Callable[..., Any], states: int, leaves: Sequence[Leaf], dtype: torch.dtype
) -> tuple[Program, list[float]]:
    """A step's program, the numbers of its declaration taken as further constants, and these numbers.

    Where they decide what the step does, or that is unknown, they stay in the program as literals.

    Args:
        step: as :func:`litspike.engine.ir.trace.trace` takes it, as are the others; numbers are found where it is the
            method of an object that holds them, itself or in other objects.

    Raises:
        Untraceable: as :func:`litspike.engine.ir.trace.trace`.
    """
    arguments = states, leaves, dtype
    program = trace(step, *arguments)
    for kinds in ((int, float), (float,)):  # some integers are no quantities but counts
        others = [_elsewhere(step, kinds, itertools.count(factor, _APART)) for factor in _FACTORS]
        if others == [step, step]:
            break
        try:
            first, second, own = (record(one, *arguments)[1] for one in (*others, step))
            if not len(first) == len(second) == len(own):
                continue
            slots: dict[tuple[float, ...], int] = {}
            places = [
                slots.setdefault(values, len(slots)) if values[0] != values[1] else None
                for values in zip(first, second, own, strict=True)
            ]
            return record(step, *arguments, places)[0], [values[2] for values in slots]
        except Exception:  # other numbers may be none that the step can take
            continue
    return program, []


def _elsewhere(step: Callable[..., Any], kinds: tuple[type, ...], factors: Iterator[float]) -> Callable[..., Any]:
    """The same step of an object whose numbers are others; the step itself where that holds none."""
    owner = getattr(step, "__self__", None)
    if not isinstance(step, types.MethodType) or not hasattr(owner, "__dict__"):
        return step
    other = _varied_object(owner, kinds, factors)
    return step if other is owner else types.MethodType(step.__func__, other)


def _varied_object(owner: Any, kinds: tuple[type, ...], factors: Iterator[float]) -> Any:
    fields = {name: _varied(value, kinds, factors) for name, value in vars(owner).items()}
    if all(fields[name] is value for name, value in vars(owner).items()):
        return owner
    other = copy.copy(owner)
    vars(other).update(fields)
    return other


def _varied(value: Any, kinds: tuple[type, ...], factors: Iterator[float]) -> Any:
    if type(value) in kinds:
        factor = next(factors)
        return value * factor if value else factor - 1
    if isinstance(value, (tuple, list)) and type(value) in (tuple, list):
        varied = type(value)(_varied(item, kinds, factors) for item in value)
        return varied if any(a is not b for a, b in zip(varied, value, strict=True)) else value
    if hasattr(value, "__dict__") and (is_dataclass(value) or _plain(value)):
        return _varied_object(value, kinds, factors)
    return value


def _plain(value: Any) -> bool:
    """Whether a value is an object that a declaration may hold, and not a class, function, tensor or module."""
    return not (callable(value) or isinstance(value, (type, torch.Tensor, types.ModuleType)))
