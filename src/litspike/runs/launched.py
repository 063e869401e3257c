"""The processes that Lightning starts from this one: watched while they train, and left together."""

from __future__ import annotations

import signal
import subprocess
import threading
from contextlib import suppress

from lightning import Trainer
from lightning.pytorch.strategies.launchers import _SubprocessScriptLauncher
from torch import distributed

from litspike.runs import signals
from litspike.runs.signals import Lost, lose

SECONDS = 5
"""How long this process may take to notice by itself that another one is gone."""
AT_ONCE = 2
"""How long it may take to end where nothing has begun."""
PATIENCE = 60
"""How long this process waits for the end of those that have nothing left to do."""


class Others:
    """The other processes of a trainer, where Lightning starts them.

    Lightning would watch them as well, and kill this process up to five seconds after one of them is gone, before it
    has said so and kept what it has. Here it is stopped as by a signal: it ends by itself, or some seconds later.

    Args:
        trainer: the trainer, before it starts them.
    """

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer
        self.processes: list[subprocess.Popen[bytes]] = []
        self._over = threading.Event()
        launcher = trainer.strategy.launcher
        if isinstance(launcher, _SubprocessScriptLauncher):
            self._launcher, self._start = launcher, launcher._call_children_scripts
            launcher._call_children_scripts = self._start_watched  # type: ignore[method-assign]

    def _start_watched(self) -> None:
        self._start()
        self.processes, self._launcher.procs = self._launcher.procs, []  # of none Lightning's watch ends at once
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
        said = 0 < status < 128  # a mistake that it alone met; nothing has to be kept yet
        lose(Lost(None if said else f"process {rank}, which was to train with this one, {_ended(status)}", AT_ONCE))

    def end_together(self) -> None:
        """Leave the others when all of them have said everything: gloo aborts one that is spoken to no more."""
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
