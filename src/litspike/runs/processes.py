"""The processes that train together: which of them this one is, who speaks, and what they have to agree on.

Lightning starts the others itself, by running the same command line again, or torchrun or SLURM's srun started them
all. The first process has the run's folder and the console; the others train.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from lightning import Callback, LightningModule, Trainer
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.pytorch.strategies import ParallelStrategy
from torch import distributed
from torchmetrics import Metric

from litspike.internals.lightning import spawns_or_forks
from litspike.internals.torch import process_store
from litspike.runs.signals import PARENT
from litspike.settings import UserError

SECONDS = 5
"""How long a process that ends waits for what the others have to say."""
_LEFT, _REASON, _HEARD = "litspike/left", "litspike/said", "litspike/heard/"


@dataclass(frozen=True)
class Place:
    """Where this process stands among those that were started with it."""

    first: bool = True
    """Whether it is the first of all."""
    first_here: bool = True
    """Whether it is the first on its machine, or the only one that runs its command line yet."""
    starter: str | None = None
    """What started all of them: torchrun or SLURM; None where it was the user, or Lightning."""
    size: int = 1
    """How many the starter started."""


def place() -> Place:
    """Read this process's place from the environment, as Lightning does."""
    if TorchElasticEnvironment.detect():
        torchrun = TorchElasticEnvironment()
        return Place(torchrun.global_rank() == 0, torchrun.local_rank() == 0, "torchrun", torchrun.world_size())
    if SLURMEnvironment.detect():  # to make one checks the variables, which the trainer's does
        rank, here, size = (int(os.environ.get(f"SLURM_{name}", 0)) for name in ("PROCID", "LOCALID", "NTASKS"))
        return Place(rank == 0, here == 0, "SLURM", size)
    lightning = LightningEnvironment()
    return Place(lightning.node_rank() == 0 and lightning.local_rank() == 0)


def check(trainer: Trainer) -> None:
    """Refuse a trainer that the processes started don't suit.

    Raises:
        UserError: if their number is not the trainer's, or its strategy starts processes that run no command line.
    """
    strategy, here = trainer.strategy, place()
    if spawns_or_forks(trainer):
        raise UserError("trainer.strategy: processes that are spawned or forked have no command line: set ddp")
    if here.starter and here.size != trainer.world_size:
        raise UserError(
            f"trainer.devices: {here.starter} started {here.size} processes, and trainer.devices times "
            f"trainer.num_nodes is {trainer.world_size}: make them equal"
        )
    alone = isinstance(getattr(strategy, "cluster_environment", None), LightningEnvironment)
    if alone and trainer.num_nodes > 1 and "MASTER_ADDR" not in os.environ:
        raise UserError(
            f"trainer.num_nodes: {trainer.num_nodes} machines meet at the first one's address, and no MASTER_ADDR is "
            "set: start them by torchrun or srun, or set it with MASTER_PORT and NODE_RANK on each"
        )
    if isinstance(strategy, ParallelStrategy) and strategy.cluster_environment is not None:
        try:
            strategy.cluster_environment.validate_settings(trainer.num_devices, trainer.num_nodes)
        except ValueError as error:
            raise UserError(f"trainer.devices: {error}") from error


class SameEverywhere(Callback):
    """Checks that all processes found the same checkpoint and have as many batches, since each finds them by itself.

    Raises:
        UserError: before anything runs, in each process that found something else than the first.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        theirs = trainer.strategy.broadcast(str(self.path))
        if theirs != str(self.path):
            raise UserError(f"ckpt_path: process {trainer.global_rank} found {self.path}, the first one {theirs}")

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compare the batches of training with those of the first process, which would be waited for."""
        for module in pl_module.modules():
            if isinstance(module, Metric) and trainer.world_size > 1:  # saving after an error asks for what it comes to
                module.distributed_available_fn = _unless_interrupted(
                    trainer, module.distributed_available_fn, lambda: False
                )
        self._compare("training", trainer, trainer.num_training_batches)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._compare("validation", trainer, trainer.num_val_batches)

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._compare("test", trainer, trainer.num_test_batches)

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._compare("prediction", trainer, trainer.num_predict_batches)

    def _compare(self, part: str, trainer: Trainer, batches: object) -> None:
        theirs = trainer.strategy.broadcast(batches)
        if theirs != batches:
            raise UserError(
                f"data: process {trainer.global_rank} has {batches} batches of {part}, the first one {theirs}: "
                "deal out as many to each"
            )


def silent_after_an_error(trainer: Trainer) -> None:
    """Let a process that ends after an error ask the others nothing more: they may be anywhere, or gone.

    Callbacks that save a checkpoint then would wait for them.
    """
    strategy: Any = trainer.strategy
    for name, answer in (
        ("barrier", lambda *_, **__: None),
        *((name, lambda value, *_, **__: value) for name in ("broadcast", "reduce", "reduce_boolean_decision")),
    ):
        setattr(strategy, name, _unless_interrupted(trainer, getattr(strategy, name), answer))


def _unless_interrupted(trainer: Trainer, ask: Callable[..., Any], answer: Callable[..., Any]) -> Callable[..., Any]:
    def asks(*args: Any, **kwargs: Any) -> Any:
        return (answer if trainer.interrupted else ask)(*args, **kwargs)

    return asks


def line_to_print(line: str, lost: bool = False) -> str | None:
    """What this process has to say of why all of them end, in one line; None where another one says it.

    The first process speaks, and says what another one left for it. The others speak where the first is gone.

    Before the processes know each other it is the first on each machine that speaks; one that Lightning started does
    so too, for the first found nothing wrong with the command line that both run.

    Args:
        line: why this process ends.
        lost: whether it ends because another one did.
    """
    if not (distributed.is_available() and distributed.is_initialized()):
        return line if place().first_here or place().starter is None else None
    store, rank, wait = process_store(), distributed.get_rank(), timedelta(seconds=SECONDS)
    store.set_timeout(wait)
    if rank == 0:
        reason = store.get(_LEFT).decode() if lost and store.check([_LEFT]) else line
        store.set(_REASON, reason)
        if place().starter:  # it holds the store in which they find the reason
            with suppress(RuntimeError):
                store.wait([f"{_HEARD}{other}" for other in range(1, distributed.get_world_size())], wait)
        return reason
    try:
        if not lost:
            store.set(_LEFT, line)
        store.wait([_REASON if lost else _LEFT], wait)
        store.set(f"{_HEARD}{rank}", "")
        return None
    except RuntimeError:
        return line


def loss_of_another(error: Exception) -> str | None:
    """What an error says of a process that is gone or no longer answers; None where it is about something else.

    gloo raises plain RuntimeErrors, which name the file of its own that they come from.

    Raises:
        UserError: if the port on which processes meet isn't free.
    """
    text = " ".join(str(error).split())
    if isinstance(error, distributed.DistError) and (taken := re.search(r"port: (\d+).*EADDRINUSE", text)):
        raise UserError(f"trainer: port {taken[1]} is used by another program: set MASTER_PORT to a free one")
    if isinstance(error, distributed.DistError) or (isinstance(error, RuntimeError) and "/gloo/" in text):
        return re.split(r"\. (?:This is typically|Exception raised)", text)[0].rpartition("] ")[2] or text
    return None


@contextmanager
def repeatable(args: list[str]) -> Iterator[None]:
    """Run one command line, and leave the process as it was: what Lightning starts gets these arguments, and the next
    command starts processes of its own.
    """
    argv, environment = sys.argv, dict(os.environ)
    if place().first_here:
        os.environ[PARENT] = str(os.getpid())
    sys.argv = [argv[0], *args]
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # of a lost process torch tells its stack, beside the error
    try:
        yield
    finally:
        if distributed.is_available() and distributed.is_initialized():
            distributed.destroy_process_group()
        sys.argv = argv
        for name in os.environ.keys() - environment.keys():
            del os.environ[name]
        os.environ.update(environment)
