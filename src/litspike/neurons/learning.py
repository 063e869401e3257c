"""Learned parameters: a free real number in the module, and the value inside the parameter's interval made from it.

The value is ``low + exp(free)`` in an interval without an upper end, so that one step of an optimizer is a relative
change and a change of units changes nothing; ``low + (high − low) · sigmoid(free)`` between two ends; ``free`` itself
on the whole line.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from litspike.settings import SettingError, bounds

_RANGE = 40.0
"""Where a free number no longer takes effect: single precision holds e^±40 and their squares."""


def free_of(setting: str, value: float, interval: str) -> float:
    """The free number that :func:`value_of` turns into ``value``.

    Args:
        setting: the parameter's name, for the error.
        value: the initial value.
        interval: the parameter's interval, whose ends a learned value never reaches.

    Raises:
        SettingError: if ``value`` is an end of the interval, or too near to it.
    """
    low, high = bounds(interval)
    if not low < value < high:
        raise SettingError(
            setting, value, f"can't be learned from there: a learned one lies inside ({low:g}, {high:g})"
        )
    if math.isinf(low) and math.isinf(high):
        return value
    if math.isinf(high):
        free = math.log(value - low)
    elif math.isinf(low):
        free = math.log(high - value)
    else:
        free = math.log((value - low) / (high - value))
    if abs(free) > _RANGE:
        raise SettingError(
            setting, value, f"can't be learned from there: it is too near to an end of ({low:g}, {high:g})"
        )
    return free


def value_of(free: Tensor, interval: str) -> Tensor:
    """The value inside ``interval`` that belongs to ``free``; same shape. Rounding never puts it on an end.

    It is in float32 where ``free`` is in half precision, which would put no value between 0.992 and 1.
    """
    if free.dtype.itemsize < 4:
        free = free.float()
    low, high = bounds(interval)
    if math.isinf(low) and math.isinf(high):
        return free.clamp(-math.exp(_RANGE), math.exp(_RANGE))
    free = free.clamp(-_RANGE, _RANGE)  # or else an infinite value times a gradient of 0 would be NaN
    if math.isinf(high):
        value = low + free.exp()
    elif math.isinf(low):
        value = high - free.exp()
    else:
        value = low + (high - low) * free.sigmoid()
    number = torch.finfo(free.dtype)
    least = number.min if math.isinf(low) else low + max(abs(low) * number.eps, number.tiny)
    most = number.max if math.isinf(high) else high - max(abs(high) * number.eps, number.tiny)
    return value.clamp(least, most)
