"""Run folders: each run writes to one of its own, and says there how far it came.

logs/EXPERIMENT/2026-01-31_12-00-00/
    config.yaml                   the run's full configuration
    run.json                      its status, when that changed, its newest metrics and those of its best checkpoint
    checkpoints/best.ckpt         the epoch that was best on the validation data
    checkpoints/last.ckpt         the newest complete epoch, at most a second old
    receipt.json, receipt.md      what the newest test found, and what it costs
    anytime.csv, anytime.png      its answer after each time step
    events.out.tfevents.*         what TensorBoard shows
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from litspike.files import free_name, read_json, read_text, remove_abandoned, replace_checked_json
from litspike.installation import ZOO
from litspike.settings import UserError

BEST, LAST = "best", "last"
FINISHED = "finished"
STATUSES = ("initializing", "running", "interrupted", FINISHED)
"""Lightning's names for how far a fit came."""
PATIENCE = 1.0
"""Seconds to wait for the lock: another process may hold it for a moment, to see whether the run goes on."""
_WRITTEN_BY_THE_FIT = re.compile(r"config\.yaml|run\.json|.+\.ckpt")


class Run:
    """One run's folder.

    Args:
        folder: the folder, which need not be there.
        made: the folders that this process made for it, the innermost first.
    """

    def __init__(self, folder: Path, made: tuple[Path, ...] = ()) -> None:
        self.folder = folder
        self._made = made
        self._lock = FileLock(folder / ".lock", timeout=PATIENCE)

    @classmethod
    def create(cls, logs: Path, experiment: str) -> Run:
        """Make the folder of a new run, which no other run has or gets.

        Raises:
            UserError: if it can't be made.
        """
        started = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
        for attempt in range(1, 1000):
            folder = logs / experiment / (started if attempt == 1 else f"{started}_{attempt}")
            try:
                made = _make(folder)
            except FileExistsError:
                if os.path.isdir(folder):
                    continue  # another run began in the same second
                raise _unwritable(logs, f"{folder.parent} is no folder") from None
            except FileNotFoundError:
                continue  # another run, refused at this moment, took the experiment's empty folder away
            except OSError as error:
                raise _unwritable(logs, error.strerror) from None
            return cls(folder, made)
        raise _unwritable(logs, "a thousand runs began in one second")

    @classmethod
    def of(cls, checkpoint: Path, config: str | None) -> Run | None:
        """The run that a checkpoint lies in; None where it lies elsewhere, in a folder of somebody else's.

        Args:
            checkpoint: its file.
            config: the configuration in it. It identifies the run's folder where ``run.json`` is damaged or missing.
        """
        place = checkpoint.resolve().parent
        run = cls(place.parent)
        if place.name != "checkpoints":
            return None
        return run if run.record() or (config and config == _text(run.folder / "config.yaml")) else None

    def __enter__(self) -> Run:
        try:
            self._lock.acquire()
        except Timeout:
            raise UserError(f"{self.folder} is being written by another process") from None
        except OSError as error:
            raise UserError(f"{self.folder} can't be written ({error.strerror})") from None
        hparams = self.folder / "hparams.yaml"  # which Lightning would write, and wait for a pipe
        if os.path.lexists(hparams) and not os.path.isfile(hparams):
            self._lock.release()
            raise UserError(f"{hparams} can't be written: something is there that is no file")
        for folder in (self.folder, self.checkpoint(LAST).parent):
            remove_abandoned(folder, _WRITTEN_BY_THE_FIT)
        return self

    def __exit__(self, *_: Any) -> None:
        with suppress(OSError):  # the folder was deleted meanwhile
            self._lock.release()

    def is_running(self) -> bool:
        """Whether a process is training it now, as far as its lock can be seen from here."""
        lock = FileLock(self.folder / ".lock", timeout=0)
        if not os.path.isfile(lock.lock_file):
            return False
        try:
            with lock:
                return False
        except Timeout:
            return True
        except OSError:  # a folder that is only read
            return False

    def checkpoint(self, name: str) -> Path:
        """Path of the checkpoint ``best`` or ``last``."""
        return self.folder / "checkpoints" / f"{name}.ckpt"

    def record(self) -> dict[str, Any]:
        """What the run says of itself; empty where it says nothing readable, or somebody else wrote it."""
        record = read_json(self.folder / "run.json")
        if record.get("status") not in STATUSES:
            return {}
        return {**record, "figures": _figures(record.get("figures")), "best": _figures(record.get("best"))}

    def note(self, **entries: Any) -> None:
        """Write entries, such as the status, into the run's record, whole or not at all.

        A record that can't be read is kept beside it, as ``run.before-1.json``.

        Raises:
            UserError: if it can't be written.
        """
        path, before = self.folder / "run.json", self.record()
        record = {"status": "interrupted", **before, **entries}
        if "status" in entries:
            record["changed"] = datetime.now(UTC).isoformat()
        elif not before:
            record["changed"] = datetime.fromtimestamp(self.active(), UTC).isoformat()
        record = {name: value for name, value in record.items() if value != {}}
        try:
            if not before and (_text(path) is None or str(_text(path)).strip("\0 \n")):
                with suppress(FileNotFoundError):
                    path.rename(free_name(path))
            replace_checked_json(path, record)  # of an edited one any text
        except OSError as error:
            raise UserError(f"{path} can't be written ({error.strerror}): what was complete before is kept") from error

    def active(self) -> float:
        """When it last did something: began, ended or was found to go on, in seconds since 1970."""
        record = self.record()
        changed = _seconds(record.get("changed"))
        if changed and record["status"] == FINISHED:
            return changed
        names = ["checkpoints/last.ckpt"] if changed else [".", "checkpoints", "checkpoints/last.ckpt", "config.yaml"]
        return max([changed, *(_written(self.folder / name) for name in names)])

    def discard(self) -> None:
        """Remove what this process made of a run that never began to train.

        Only where it made the folder, and nothing is in it that it didn't write: anything else keeps all of it.
        """
        if not self._made or not os.path.isdir(self.folder):
            return
        ours = re.compile(
            rf"\.lock|config\.yaml|run\.json|hparams\.yaml|events\.out\.tfevents\..*\.{os.getpid()}\.\d+"
            rf"|\..+\.{os.getpid()}"
        )
        found = [path for path in self.folder.rglob("*") if path not in self._made]
        if any(path.parent != self.folder or not ours.fullmatch(path.name) for path in found):
            return
        with suppress(OSError):  # a folder that isn't empty stays
            for path in found:
                path.unlink()
            for folder in self._made:
                folder.rmdir()


def _make(folder: Path) -> tuple[Path, ...]:
    """Make a run's new folder and those above it that are missing; what was made, the innermost first."""
    above = [parent for parent in folder.parents if not os.path.isdir(parent)]
    made: list[Path] = []
    try:
        for path in [*reversed(above), folder, folder / "checkpoints"]:
            try:
                path.mkdir()
            except FileExistsError:  # another process was faster, which is right for those above
                if path not in above or not os.path.isdir(path):
                    raise
            else:
                made.insert(0, path)
    except OSError:
        with suppress(OSError):
            for path in made:
                path.rmdir()
        raise
    return tuple(made)


def logs_folder(given: str | None, home: Path) -> Path:
    """The folder of all runs: the one given, or ``logs/`` in the home."""
    return Path(os.path.realpath(os.path.expanduser(given))) if given else home / "logs"


def results_of(checkpoint: Path, logs: Path) -> Path:
    """The folder for what is found out about a checkpoint that lies in no run: files beside it are somebody else's.

    Of one that comes with litspike it is a folder in ``logs/zoo/``.
    """
    if checkpoint.is_relative_to(ZOO):
        return logs / ZOO.name / checkpoint.stem
    return checkpoint.with_name(f"{checkpoint.stem}.litspike")


def runs_in(logs: Path, experiment: str | None = None) -> list[Run]:
    """The runs in a folder of logs, of one experiment or whatever theirs is, in the order of their names."""
    of = [logs / experiment] if experiment else _folders(logs)
    return [Run(folder) for path in of for folder in _folders(path) if _is_run(folder)]


def _folders(path: Path) -> list[Path]:
    try:
        return sorted(Path(entry.path) for entry in os.scandir(path) if os.path.isdir(entry.path))
    except OSError:
        return []


def _is_run(folder: Path) -> bool:
    return any(os.path.exists(folder / name) for name in ("run.json", "checkpoints"))


def tested(logs: Path) -> Run | None:
    """The first run in a folder of logs that was trained and tested; None where there is none yet."""
    return next(
        (run for run in runs_in(logs) if any(name.startswith("test/") for name in run.record().get("figures", {}))),
        None,
    )


def _text(path: Path) -> str | None:
    try:
        return read_text(path)
    except (OSError, ValueError):
        return None


def _figures(record: Any) -> dict[str, float]:
    """The metrics in a record, without what is none."""
    entries = record.items() if isinstance(record, dict) else ()
    return {
        name: float(value)
        for name, value in entries
        if type(value) is float or (type(value) is int and abs(value) < 1e300)
    }


def _seconds(changed: Any) -> float:
    try:
        return datetime.fromisoformat(changed).timestamp()
    except (TypeError, ValueError, OverflowError, OSError):
        return 0.0


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _unwritable(logs: Path, why: object) -> UserError:
    return UserError(f"logs: {logs} can't be written ({why}): name another folder with --logs")
