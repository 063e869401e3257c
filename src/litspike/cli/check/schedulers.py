"""Before a fit: its schedulers can be made and take their first steps."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from litspike.seeding import isolated
from litspike.settings import UserError
from litspike.tasks.optimizers import REFUSALS
from litspike.tasks.task import Task


def check_schedulers(task: Task) -> None:
    """Refuse a scheduler that can't be made or fails at once, on an optimizer that is thrown away."""
    with isolated(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the optimizer takes no step before the scheduler
        try:
            for scheduler in _schedulers(task.configure_optimizers()):
                for _ in range(2):
                    scheduler.step(0.0) if isinstance(scheduler, ReduceLROnPlateau) else scheduler.step()
        except UserError:
            raise
        except REFUSALS as error:
            raise UserError(f"model.scheduler: {str(error) or type(error).__name__}") from error


def _schedulers(made: Any) -> Iterator[LRScheduler]:
    """The schedulers in what a task's ``configure_optimizers`` gives."""
    if isinstance(made, LRScheduler):
        yield made
    elif isinstance(made, (dict, list, tuple)):
        for entry in made.values() if isinstance(made, dict) else made:
            yield from _schedulers(entry)
