"""Chains of learning-rate schedules from a configuration: torch's take schedules, each of which needs the optimizer."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from jsonargparse import add_instantiator
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ChainedScheduler, LRScheduler, SequentialLR

Maker = Callable[[Optimizer], LRScheduler]


def take_chains() -> None:
    """Let jsonargparse read the schedules in a chain as it reads a schedule: by class and settings.

    What it reads is the signature of torch's class, which is given the optimizer first and, for each schedule, what
    makes it. Nothing changes for those who call the class.
    """
    for kind in (SequentialLR, ChainedScheduler):
        init: Any = kind.__init__
        parameters = dict(inspect.signature(init).parameters)
        schedules = parameters["schedulers"].replace(annotation=list[Maker])
        optimizer = inspect.Parameter("optimizer", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Optimizer)
        rest = [parameter for name, parameter in parameters.items() if name not in ("self", "optimizer", "schedulers")]
        init.__signature__ = inspect.Signature([parameters["self"], optimizer, schedules, *rest])
        init.__annotations__ = {**init.__annotations__, "schedulers": list[Maker], "optimizer": Optimizer}
        add_instantiator(_chain, kind)


def _chain(class_type: type[Any], optimizer: Any, *, schedulers: list[Maker], **settings: Any) -> Any:
    """A chain of schedules of one optimizer."""
    return class_type(optimizer=optimizer, schedulers=[make(optimizer) for make in schedulers], **settings)
