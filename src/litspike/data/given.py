"""Where in an epoch a loader was when a checkpoint was written."""

from __future__ import annotations

from typing import Any, NamedTuple

from litspike.settings import UserError


class Given(NamedTuple):
    """How many batches of an epoch were given."""

    epoch: int
    batches: int

    @classmethod
    def of(cls, state: Any) -> Given:
        """What a checkpoint says; raises :class:`UserError` where it says nothing of the kind."""
        numbers: list[Any] = [state.get(name) for name in cls._fields] if isinstance(state, dict) else []
        if not numbers or any(type(number) is not int or number < 0 for number in numbers):
            raise UserError(f"ckpt_path: the checkpoint doesn't say which batches were given (it has {state!r:.100})")
        return cls(*numbers)

    def left_out(self, epoch: int) -> int:
        """How many batches another epoch, or the same gone on with, doesn't begin with."""
        return self.batches if self.epoch == epoch else 0
