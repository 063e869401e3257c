"""Grids of parameters: `make test` takes enough combinations to have every value, `make test-all` all others."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import pytest


def _name(value: Any) -> str:
    return str(getattr(value, "__name__", value))


def covering(*axes: Sequence[Any]) -> list[tuple[Any, ...]]:
    """As few combinations as have every value of every axis."""
    return [tuple(axis[i % len(axis)] for axis in axes) for i in range(max(map(len, axes)))]


def grid(*axes: Sequence[Any], name: Callable[[Any], str] = _name) -> list[Any]:
    """All combinations for ``parametrize``; those that aren't needed to have every value are marked thorough."""
    needed = covering(*[range(len(axis)) for axis in axes])
    found = []
    for places in itertools.product(*[range(len(axis)) for axis in axes]):
        values = [axis[place] for axis, place in zip(axes, places, strict=True)]
        marks = () if places in needed else pytest.mark.thorough
        found.append(pytest.param(*values, id="-".join(map(name, values)), marks=marks))
    return found


def thorough(*values: Any, id: str | None = None) -> Any:
    """Parameters of one test that is marked thorough."""
    return pytest.param(*values, id=id, marks=pytest.mark.thorough)


def every_nth(values: Sequence[Any], n: int) -> list[Any]:
    """Values of one kind for ``parametrize``, of which all but each n-th are marked slow."""
    return [
        value if index % n == 0 else pytest.param(*_several(value), marks=pytest.mark.slow)
        for index, value in enumerate(values)
    ]


def _several(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)
