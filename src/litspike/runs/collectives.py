"""What several processes decide and bring together. Samples are dealt out to them in turn, and come back so.

Whether to communicate may depend on nothing that only some processes have, such as a logger, a folder or a clock: the
others would wait for ever. It is decided by the settings, by the counters of the training, or by :func:`as_the_first`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lightning import Trainer
from torch import Tensor, distributed
from torchmetrics.utilities.distributed import gather_all_tensors


def as_the_first(trainer: Trainer, decision: bool) -> bool:
    """What the first process decides. All have to call it."""
    return bool(trainer.strategy.broadcast(decision))


def same_everywhere(trainer: Trainer, value: Any) -> bool:
    """Whether every process has the same value. All have to call it."""
    return trainer.strategy.reduce_boolean_decision(trainer.strategy.broadcast(value) == value)


def at_the_first(trainer: Trainer, value: Any) -> list[Any]:
    """Every process's value, by rank, where this is the first process; nothing elsewhere. All have to call it.

    Of a process that ends after an error it is its own value alone: the others may be anywhere, or gone.
    """
    if trainer.interrupted or not (distributed.is_available() and distributed.is_initialized()):
        return [value]
    values = [None] * distributed.get_world_size() if distributed.get_rank() == 0 else None
    distributed.gather_object(value, values)
    return values or []


def samples_of_all(samples: Tensor) -> Tensor:
    r"""The samples [B, \*] of every process in the order in which they were dealt out. All have to call it."""
    parts: Sequence[Tensor] = [samples]
    if distributed.is_available() and distributed.is_initialized():
        parts = gather_all_tensors(samples)
    together = samples.new_empty(sum(map(len, parts)), *samples.shape[1:])
    for rank, part in enumerate(parts):
        together[rank :: len(parts)] = part
    return together


def rows_of_all(trainer: Trainer, rows: list[Any]) -> list[Any]:
    """The rows of every process in the order in which their samples were dealt out, where this is the first process;
    nothing elsewhere. All have to call it.
    """
    parts = at_the_first(trainer, rows)
    together: list[Any] = [None] * sum(map(len, parts))
    for rank, part in enumerate(parts):
        together[rank :: len(parts)] = part
    return together
