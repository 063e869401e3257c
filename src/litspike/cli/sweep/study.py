"""The study of a sweep: its trials in a journal that several processes write and a killed one leaves whole."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from litspike.cli.sweep.space import Direction, Space
from litspike.data.extras import library
from litspike.settings import UserError

JOURNAL = "journal.log"
_JOURNAL_LOCK = ".journal.lock"
_NAME = "sweep"
_WARMUP = 4
"""A trial is not pruned in the first of so many parts of its epochs."""


@dataclass(frozen=True)
class Turn:
    """A trial that this process runs."""

    trial: Any
    number: int
    resumed: bool
    """Whether another process, which is gone, began it."""


class Study:
    """An Optuna study in a folder, whose trials are handed out under a lock.

    A trial belongs to a process as long as that holds the trial's lock. One that is running and that nobody holds was
    cut short: the next process that asks for a trial gets it again, with the same values.

    Args:
        folder: the sweep's folder.
        space: what is tried.
        directions: of each metric.
        epochs: number of epochs of a fit, the first of which prune nothing.

    Raises:
        UserError: if Optuna isn't installed, or the folder's journal can't be read.
    """

    def __init__(self, folder: Path, space: Space, directions: list[Direction], epochs: int) -> None:
        self.folder, self.space = folder, space
        self._optuna: Any = library("optuna", "Optuna", "sweep", "A sweep")
        self._optuna.logging.set_verbosity(logging.WARNING)
        journal = library("optuna.storages.journal", "Optuna", "sweep", "A sweep")
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(folder / ".lock")
        with self._lock, _no_warnings(), _readable(folder / JOURNAL):
            # the system releases this lock of a process that was killed; those of Optuna's own stay for a while
            backend = journal.JournalFileBackend(str(folder / JOURNAL), lock_obj=FileLock(folder / _JOURNAL_LOCK))
            self.storage = self._optuna.storages.JournalStorage(backend)
            self._study = self._optuna.create_study(
                storage=self.storage,
                study_name=_NAME,
                load_if_exists=True,
                directions=[f"{direction}imize" for direction in directions],
                pruner=self._optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=max(1, epochs // _WARMUP)),
            )

    @property
    def prunes(self) -> bool:
        """Whether trials are ended early: by one metric alone, as two give no order."""
        return self.space.pruning and len(self._study.directions) == 1

    def trials(self) -> list[Any]:
        """All trials as they are now, each with ``number``, ``state``, ``values`` and ``params``."""
        trials: list[Any] = self._study.get_trials(deepcopy=False)
        return trials

    def best(self) -> list[Any]:
        """The trials that none is better than, the best in the first metric first; of equal ones the one that began
        first.
        """
        found: dict[tuple[float, ...], Any] = {}
        for trial in self._study.best_trials:
            found.setdefault(tuple(trial.values), trial)
        sign = -1 if self._study.directions[0] == self._optuna.study.StudyDirection.MAXIMIZE else 1
        return sorted(found.values(), key=lambda trial: (sign * trial.values[0], trial.number))

    @contextmanager
    def turn(self, trials: int) -> Iterator[Turn | None]:
        """A trial for this process, as long as the context lasts; None where ``trials`` trials are there, or begun."""
        with self._lock:
            found = self._abandoned() or self._new(trials)
        if found is None:
            yield None
            return
        turn, lock = found
        try:
            yield turn
        finally:
            lock.release()

    def tell(self, turn: Turn, values: list[float] | None = None, pruned: bool = False, error: str = "") -> None:
        """Note what a trial came to: its values, that it was pruned, or the error that it ended with."""
        states = self._optuna.trial.TrialState
        if error:
            turn.trial.set_user_attr("error", error)
        state = states.COMPLETE if values is not None else states.PRUNED if pruned else states.FAIL
        self._study.tell(turn.number, values, state)

    def judge(self, turn: Turn, epoch: int, value: float) -> bool:
        """Note a metric of an epoch; whether the trial goes on. Epochs before those of a trial cut short are known."""
        known = self.trials()[turn.number].intermediate_values
        if epoch not in known:
            turn.trial.report(value, epoch)
        return not turn.trial.should_prune()

    def _abandoned(self) -> tuple[Turn, FileLock] | None:
        for frozen in self.trials():
            if frozen.state != self._optuna.trial.TrialState.RUNNING:
                continue
            if (lock := self._held(frozen.number)) is not None:
                study = self.storage.get_study_id_from_name(_NAME)
                identity = self.storage.get_trial_id_from_study_id_trial_number(study, frozen.number)
                return Turn(self._optuna.trial.Trial(self._study, identity), frozen.number, True), lock
        return None

    def _new(self, trials: int) -> tuple[Turn, FileLock] | None:
        number = len(self.trials())
        if number >= trials:
            return None
        lock = self._held(number)
        assert lock is not None
        # the seed follows from the number: what is drawn doesn't depend on which process asks, or on a restart
        seed = int(np.random.SeedSequence([self.space.seed, number]).generate_state(1)[0])
        with _no_warnings():
            self._study.sampler = self._optuna.samplers.TPESampler(seed=seed)
            return Turn(self._study.ask(), number, False), lock

    def _held(self, number: int) -> FileLock | None:
        """The lock of a trial, which this process now holds; None where another one does."""
        folder = self.trial_folder(number)
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            return None
        return lock

    def trial_folder(self, number: int) -> Path:
        """The folder of a trial."""
        return self.folder / "trials" / f"{number:03}"


@contextmanager
def _readable(journal: Path) -> Iterator[None]:
    """Refuse a journal that Optuna fails to read, and cut off a last line that was never finished."""
    if journal.exists() and not journal.is_file():
        raise UserError(f"{journal} is no file: move it away")
    if journal.exists():
        with FileLock(journal.with_name(_JOURNAL_LOCK)), journal.open("rb+") as file:
            content = file.read()
            file.truncate(content.rfind(b"\n") + 1)  # the next line would be added to it
    try:
        yield
    except OSError:
        raise
    except Exception as error:  # whatever a line makes Optuna stumble over
        text = f"{journal} is damaged ({type(error).__name__}): move its folder away, and sweep again"
        raise UserError(text) from error


@contextmanager
def _no_warnings() -> Iterator[None]:
    """Without Optuna's warnings of what may change in it: its version is pinned."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
