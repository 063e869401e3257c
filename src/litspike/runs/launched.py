"""The processes that Lightning starts from this one: watched while they train, and left together."""

from __future__ import annotations

import signal
import subprocess
import threading
from contextlib import suppress

from lightning import Trainer
from torch import distributed

from litspike.internals.lightning import after_launch
from litspike.runs import signals
from litspike.runs.signals import Lost, lose

SECONDS = 5
"""How long this process may take to notice by itself that another one is gone."""
AT_ONCE = 2
"""How long it may take to end where nothing has begun."""
PATIENCE = 60
"""How long this process waits for the end of those that have nothing left to do."""


class LaunchedProcesses:
    """The other processes of a trainer, where Lightning starts them.

    When one of them is gone this process is stopped as by a signal: it ends by itself, or some seconds later.

    Args:
        trainer: the trainer, before it starts them.
    """

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer
        self.processes: list[subprocess.Popen[bytes]] = []
        self._over = threading.Event()
        after_launch(trainer, self._watch_all)

    def _watch_all(self, processes: list[subprocess.Popen[bytes]]) -> None:
        self.processes = processes
        for rank, process in enumerate(self.processes, 1):
            threading.Thread(target=self._watch, args=(rank, process), daemon=True, name="litspike others").start()

    def _watch(self, rank: int, process: subprocess.Popen[bytes]) -> None:
        status = process.wait()
        joined = distributed.is_available() and distributed.is_initialized()
        if self._over.wait(SECONDS if joined else 0) or (self.trainer.interrupted and self._over.wait(PATIENCE)):
            return
        if joined:
            lose(Lost(f"process {rank}, which trained with this one, {_ended(status)}", signals.SECONDS))
            return
        alone = 0 < status < 128  # a mistake that it alone met; nothing has to be kept yet
        lose(Lost(None if alone else f"process {rank}, which was to train with this one, {_ended(status)}", AT_ONCE))

    def end_together(self) -> None:
        """Leave the others when all of them have sent everything: gloo aborts one whose peer is gone."""
        if not (distributed.is_available() and distributed.is_initialized()):
            return
        self.trainer.strategy.barrier("end")
        self._over.set()
        distributed.destroy_process_group()
        for process in self.processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(PATIENCE)
        self.end()

    def end(self) -> None:
        """End those that are left, as after an error here that they would wait to hear of."""
        self._over.set()
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.wait()


def _ended(status: int) -> str:
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"was killed by signal {-status}"
