"""What tells one step from another."""

from __future__ import annotations

from typing import Any


class Key(tuple[Any, ...]):
    """A tuple that works out its hash once.

    A copy in another process works it out anew, since the hashes of strings and classes are those of their process.
    """

    def __hash__(self) -> int:
        """The tuple's hash."""
        try:
            return self._hash
        except AttributeError:
            self._hash = super().__hash__()
            return self._hash

    def __reduce__(self) -> tuple[Any, ...]:
        """How to copy and pickle it: without its hash."""
        return Key, (tuple(self),)
