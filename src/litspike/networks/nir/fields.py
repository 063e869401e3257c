"""Fields of a node in NIR, in the form in which layers take them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from litspike.networks.nir.dialects import Unreadable
from litspike.networks.nir.file import Array

Shape = tuple[int, ...]
MOST_NUMBERS = 1 << 26
"""Numbers that a layer may put out for a sample and step, or keep as its state."""


def tensor(name: str, value: Any) -> Tensor:
    """A field in single precision."""
    if isinstance(value, str):
        raise Unreadable(f"{name}: {value!r}, where numbers should be")
    with np.errstate(over="ignore"):
        numbers: Array = np.require(np.asarray(value).astype(np.float32, copy=False), requirements="W")
    if not bool(np.isfinite(numbers).all()):
        raise Unreadable(f"{name} holds a number that is not finite in single precision")
    return torch.from_numpy(numbers)


def integer(name: str, value: Any) -> int:
    """A field that is one integer."""
    numbers = np.asarray(value) if np.size(value) == 1 else np.zeros(0)
    if numbers.size != 1 or numbers.dtype.kind not in "iuf":
        raise Unreadable(f"{name}: {str(value)[:50]!r} is no integer")
    number = float(numbers.reshape(-1)[0])
    if not math.isfinite(number) or number != int(number) or abs(number) > MOST_NUMBERS:
        raise Unreadable(f"{name}: {number:g} is no integer that is read")
    return int(number)


def sizes(name: str, value: Any, count: int, least: int) -> Shape:
    """One integer for each dimension, from one for all or one for each."""
    if isinstance(value, str) or np.size(value) not in (1, count):
        raise Unreadable(f"{name}: {str(value)[:50]!r}, where {count} sizes should be")
    numbers = np.asarray(value).reshape(-1)
    sizes = tuple(integer(name, number) for number in numbers)
    if min(sizes) < least:
        raise Unreadable(f"{name}: {min(sizes)} is below {least}")
    return sizes if len(sizes) == count else sizes * count


def shape_of(value: Any) -> Shape:
    """That of an Input or Output."""
    if isinstance(value, str) or not 0 < np.size(value) <= 6:
        raise Unreadable("shape: it has no sizes, or more than six")
    shape = tuple(integer("shape", number) for number in np.asarray(value).reshape(-1))
    if min(shape) < 1:
        raise Unreadable(f"shape: {list(shape)}")
    return shape
