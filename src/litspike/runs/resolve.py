"""Which checkpoint a command means, where it names none, or only a folder."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from litspike.installation import TRAINED, program, trained, trained_names
from litspike.runs.folder import BEST, FINISHED, LAST, Run, runs_in
from litspike.settings import UserError


@dataclass(frozen=True)
class CheckpointRequest:
    """What a command asks for.

    Args:
        given: a file, a run's folder, an experiment's folder or name, ``best`` or ``last``, or ``zoo:NAME``; None for
            the newest run.
        preferred: which checkpoint of a run's folder is taken, in order of preference.
        experiment: whose runs are searched; None for all.
        training: the command that trains what is asked for.
    """

    given: str | None
    preferred: tuple[str, ...]
    experiment: str | None
    training: str


def find(request: CheckpointRequest, logs: Path, setting: str = "ckpt_path") -> Path:
    """The checkpoint file that a command line means: a file, ``best`` or ``last`` of a folder or of the newest run.

    Of an experiment's folder or name it is that of its newest run.

    Args:
        request: what the command asks for.
        logs: folder of all runs.
        setting: what says so, for the error.

    Raises:
        UserError: if there is no such file, or the newest run has nothing to take. Never another run instead.
    """
    given = request.given
    if given is not None and not given.strip():
        raise UserError(f"{setting}: it is empty: name a checkpoint, a run's folder, best or last, or leave it out")
    name = BEST if given is None else given
    if name in (BEST, LAST):
        return _of_the_newest(request, logs, name)
    if name.startswith(TRAINED):
        return _of_the_zoo(name.removeprefix(TRAINED), setting)
    path = Path(os.path.expanduser(name))
    if (experiment := experiment_folder(path, logs)) is not None:
        of_it = replace(request, experiment=experiment.name)
        return _of_the_newest(of_it, experiment.parent, request.preferred[0])
    if os.path.isdir(path):
        run = Run(path)
        files = map(run.checkpoint, request.preferred)
        path = next((file for file in files if file.is_file()), run.checkpoint(BEST))
        if not path.is_file() and run.checkpoint(LAST).is_file():
            raise UserError(f"{setting}: {run.folder} has no best checkpoint: name {run.checkpoint(LAST)}")
    if not os.path.isfile(path):
        raise UserError(f"{setting}: there is no file {path}")
    return path.resolve()


def _of_the_zoo(name: str, setting: str) -> Path:
    if name not in trained_names():
        there = ", ".join(trained_names())
        raise UserError(f"{setting}: the zoo has no network that is called {name!r}; it has {there}")
    return trained(name).resolve()


def experiment_folder(path: Path, logs: Path) -> Path | None:
    """The folder of an experiment's runs that a path or a name in the folder of all runs means; None of any other."""
    for folder in (path, logs / path):
        with suppress(OSError):
            if not (folder / "run.json").exists() and folder.is_dir() and any(folder.glob("*/run.json")):
                return folder.resolve()
    return None


def newest_finished(logs: Path, experiment: str) -> Run:
    """The newest run of an experiment that came to its end and has a best checkpoint.

    Raises:
        UserError: if there is none.
    """
    for run in _by_age(logs, experiment):
        if run.checkpoint(BEST).is_file() and is_finished(run):
            return run
    raise UserError(f"no finished run in {logs / experiment}: train first with `{program()} fit`")


def is_finished(run: Run) -> bool:
    """Whether a run came to its end: as its record says, or, where it was killed before that, its last checkpoint."""
    if run.record().get("status") == FINISHED:
        return True
    if not run.checkpoint(LAST).is_file():
        return False
    from litspike.runs import checkpoints  # torch and Lightning take seconds to import, and comparing seldom needs them

    try:
        return checkpoints.is_complete(checkpoints.read(run.checkpoint(LAST)))
    except UserError:
        return False


def _by_age(logs: Path, experiment: str | None) -> list[Run]:
    """The runs, the one that was active last first."""
    return sorted(runs_in(logs, experiment), key=lambda run: (run.active(), run.folder), reverse=True)


def _of_the_newest(request: CheckpointRequest, logs: Path, name: str) -> Path:
    runs = _by_age(logs, request.experiment)
    if not runs:
        where = logs / request.experiment if request.experiment else logs
        what = "no run to go on with" if name == LAST else "no run"
        raise UserError(f"{what} in {where}: train first with `{request.training}`")
    run, *older = runs
    if run.checkpoint(name).is_file() and (name == LAST or is_finished(run)):
        return run.checkpoint(name)
    before = next((other.folder for other in older if other.checkpoint(name).is_file()), None)
    of_another = f"; or name another run, such as {before}" if before else ""
    raise UserError(f"the newest run, {run.folder}, {_why_not(run, name, request.training)}{of_another}")


def _why_not(run: Run, name: str, training: str) -> str:
    """Why a run has nothing to take, and what to do."""
    best, last = run.checkpoint(BEST).is_file(), run.checkpoint(LAST).is_file()
    as_it_is = f"--ckpt_path {run.folder if best else run.checkpoint(LAST)}"
    if run.is_running():
        return "is still running: wait for its end" + (f", or take it as it is by {as_it_is}" if best or last else "")
    if not best and not last:
        why = "it was trained without any" if is_finished(run) else "no epoch of it was complete"
        return f"has no checkpoint, for {why}: train again with `{training}`"
    if name == LAST:
        return f"has lost its last checkpoint: train again with `{training}`, or take the best one by {as_it_is}"
    if not is_finished(run):
        return f"did not finish, go on with it by `{training} --ckpt_path last`, or take it as it is by {as_it_is}"
    return f"has no best checkpoint, for no epoch of it was validated: take the last one by {as_it_is}"
