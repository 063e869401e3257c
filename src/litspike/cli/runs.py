"""Run folders: each run writes to one of its own, and says there how far it came.

logs/EXPERIMENT/2026-01-31_12-00-00/
    config.yaml                   the run's full configuration
    run.json                      its status, its beginning and end, its best checkpoint
    checkpoints/best.ckpt         the epoch that was best on the validation data
    checkpoints/last.ckpt         the newest complete epoch, at most a second old
    receipt.json, receipt.md      what the newest test found, and what it costs
    anytime.csv, anytime.png      its answer after each time step
    events.out.tfevents.*         what TensorBoard shows
"""

from __future__ import annotations

import json
import shutil
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from litspike.files import replace_text
from litspike.settings import UserError

BEST, LAST = "best", "last"


class Run:
    """One run's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = FileLock(folder / ".lock", timeout=0)

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
                folder.mkdir(parents=True)
                (folder / "checkpoints").mkdir()
            except FileExistsError:
                if folder.is_dir():
                    continue  # another run began in the same second
                raise _unwritable(logs, f"{folder.parent} is no folder") from None
            except OSError as error:
                raise _unwritable(logs, error.strerror) from None
            return cls(folder)
        raise _unwritable(logs, "a thousand runs began in one second")

    @classmethod
    def of(cls, checkpoint: Path) -> Run | None:
        """The run that a checkpoint lies in; None where it lies elsewhere."""
        folder = checkpoint.resolve().parent.parent
        return cls(folder) if (folder / "run.json").is_file() else None

    def __enter__(self) -> Run:
        try:
            self._lock.acquire()
        except Timeout:
            raise UserError(f"{self.folder} is being written by another process") from None
        return self

    def __exit__(self, *_: Any) -> None:
        self._lock.release()

    def checkpoint(self, name: str) -> Path:
        """Path of the checkpoint ``best`` or ``last``."""
        return self.folder / "checkpoints" / f"{name}.ckpt"

    def record(self) -> dict[str, Any]:
        """What the run says of itself; empty where it says nothing readable."""
        try:
            record = json.loads((self.folder / "run.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return record if isinstance(record, dict) else {}

    def note(self, **entries: Any) -> None:
        """Write entries, such as the status, into the run's record, whole or not at all."""
        record = {**self.record(), **entries}
        if "status" in entries:
            record["changed"] = datetime.now().isoformat()
        replace_text(self.folder / "run.json", json.dumps(record, indent=2) + "\n")

    def discard(self) -> None:
        """Remove the folder of a run that never began to train."""
        shutil.rmtree(self.folder, ignore_errors=True)


def logs_folder(given: str | None, home: Path) -> Path:
    """The folder of all runs: the one given, or ``logs/`` in the home."""
    return Path(given).expanduser().resolve() if given else home / "logs"


def runs_in(logs: Path) -> list[Run]:
    """The runs in a folder of logs, whatever their experiment."""
    return [Run(path.parent) for path in sorted(logs.glob("*/*/run.json"))]


def tested(logs: Path) -> Run | None:
    """The first run in a folder of logs that was trained and tested; None where there is none yet."""
    return next((run for run in runs_in(logs) if "test/loss" in run.record().get("figures", {})), None)


def newest(logs: Path, experiment: str | None, name: str) -> Path:
    """The checkpoint ``best`` of the newest finished run, or ``last`` of the newest run there is.

    Args:
        logs: folder of all runs.
        experiment: look at the runs of this experiment alone; at all where None.
        name: ``best`` or ``last``.

    Raises:
        UserError: if there is no such run.
    """
    runs = [Run(path.parent) for path in logs.glob(f"{experiment or '*'}/*/run.json")]
    records = sorted(((run.record().get("changed", ""), run) for run in runs), key=lambda pair: pair[0], reverse=True)
    for _, run in records:
        if run.checkpoint(name).is_file() and (name == LAST or run.record().get("status") == "finished"):
            return run.checkpoint(name)
    where = logs / experiment if experiment else logs
    train = f"python main.py fit{f' -c configs/{experiment}.yaml' if experiment else ''}"
    if name == LAST:
        raise UserError(f"no run to go on with in {where}: begin one with `{train}`")
    unfinished = [run.folder.name for _, run in records if run.checkpoint(LAST).is_file()]
    onward = f"; {unfinished[0]} did not finish, go on with it by `{train} --ckpt_path last`" if unfinished else ""
    raise UserError(f"no finished run in {where}: train first with `{train}`{onward}")


def _unwritable(logs: Path, why: object) -> UserError:
    return UserError(f"logs: {logs} can't be written ({why}): name another folder with --logs")
