"""A step with a hashable cache key."""

from __future__ import annotations

import itertools
from typing import Any
from weakref import WeakValueDictionary

from litspike.engine.reference import Step

_numbers = itertools.count()
_rules: WeakValueDictionary[int, Rule] = WeakValueDictionary()


class Rule:
    """A step with a hashable cache key: what it depends on beside its arguments.

    The hash is computed once, and again in another process, as hashes of strings and classes differ there.

    Args:
        step: one time step, elementwise and pure.
        parts: what it depends on; equal parts must mean equal steps.
    """

    def __init__(self, step: Step, parts: tuple[Any, ...]) -> None:
        self.step, self.parts = step, parts
        self._hash = hash(parts)
        self.number = next(_numbers)
        _rules[self.number] = self

    @staticmethod
    def of(number: int) -> Rule:
        """The rule that has this ``number``, which a compiler takes for a constant where it can't take the rule."""
        return _rules[number]

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Rule) and self.parts == other.parts)

    def __reduce__(self) -> tuple[Any, ...]:
        return Rule, (self.step, self.parts)
