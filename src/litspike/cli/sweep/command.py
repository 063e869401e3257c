"""What ``sweep`` does: checks the space, runs trials until there are enough, and reports."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from litspike.cli.arguments import Call
from litspike.cli.check.monitors import best_mode
from litspike.cli.command import Command, configured, make
from litspike.cli.errors import expected
from litspike.cli.process_state import restored
from litspike.cli.seeds import count_of_seeds
from litspike.cli.subcommands.fit import Interrupted
from litspike.cli.sweep import report
from litspike.cli.sweep.space import OPERATIONS, Direction, Space, find, read
from litspike.cli.sweep.study import Study, Turn
from litspike.cli.sweep.trial import Fits, Pruned, Pruning, Runner
from litspike.runs.folder import logs_folder
from litspike.runs.processes import place
from litspike.runs.signals import Stopped
from litspike.settings import SettingError, UserError, integer
from litspike.tasks import Task
from litspike.terminal import from_here, one_line

OWN = ("--space", "--trials", "--seeds", "--logs")
"""The options of a sweep, which its fits don't get."""
_MONITOR = "checkpoint.monitor"


def sweep(call: Call, home: Path, run: Runner) -> int:
    """Try settings from a space, each in a fit on training and validation data; the test data are not read.

    The same command line goes on with the same study: it counts what is there, and takes up what was cut short. Several
    processes may do so at a time.

    Args:
        call: the command line.
        home: folder with ``configs/`` and ``logs/``.
        run: what runs a command line of a trial.

    Returns:
        0 if a trial is complete, else 1.

    Raises:
        UserError: before any training, if the space, a setting in it or the command line makes no sense; if the sweep
            is interrupted.
    """
    space = read(find(call.option("--space"), call.configs, home))
    trials = _trials(call, space)
    _check_call(call, space)
    seeds = None if call.option("--seeds") is None else count_of_seeds(call)
    plan = _plan(call, space, home)
    folder = sweep_folder(call, space, home)
    fits = Fits(plan.arguments, list(plan.metrics), seeds, home, run)
    study = Study(folder, space, list(plan.metrics.values()), plan.epochs)
    print(f"sweep: {from_here(folder)} ({trials} trials of {', '.join(space.settings)})", flush=True)
    with _says_it_goes_on(study):
        _run(study, fits, trials)
    results = [report.Result.of(trial) for trial in study.trials()]
    front = [report.Result.of(trial) for trial in study.best()]
    runs = {result.number: fits.folders(study.trial_folder(result.number))[0] for result in results}
    report.write(folder, results, front, plan.metrics, runs)
    if not front:
        failed = [result for result in results if result.error]
        raise UserError("sweep: no trial is complete" + (f"; the last failed: {failed[-1].error}" if failed else ""))
    return 0


def sweep_folder(call: Call, space: Space, home: Path) -> Path:
    """The folder of a sweep. Other settings, or another text in its files, make it another sweep; more trials don't."""
    subject = [call.without(*OWN), call.option("--seeds"), repr((space.settings, space.metrics, space.seed))]
    subject += [Path(path).read_text(encoding="utf-8") for path in call.configs if Path(path).is_file()]
    text = hashlib.sha256(json.dumps(subject).encode()).hexdigest()[:8]
    return logs_folder(call.logs, home) / f"{call.experiment or 'default'}.sweep-{text}"


def _trials(call: Call, space: Space) -> int:
    given = call.option("--trials")
    if given is None:
        return space.trials
    if not given.isdigit():
        raise SettingError("trials", given, "is not an integer")
    return integer("trials", int(given))


def _check_call(call: Call, space: Space) -> None:
    """Refuse what a sweep can't have on its command line."""
    if (starter := place().starter) is not None:
        raise UserError(
            f"sweep: it starts its own fits: leave {starter} out; the same command in several places shares"
        )
    if call.option("--ckpt_path") is not None:
        raise UserError("ckpt_path: a sweep starts anew; the same command goes on with it")
    for name in call.options:
        if name in space.names():
            raise UserError(f"{name}: it is typed, and the space {space.path} tries it too: leave one of them out")


@dataclass(frozen=True)
class _Plan:
    """What the trials have in common, found before any of them runs."""

    arguments: list[str]
    metrics: dict[str, Direction]
    epochs: int


def _plan(call: Call, space: Space, home: Path) -> _Plan:
    """Parse and make the corners of the space, so that a mistake in it is reported before any training."""
    arguments = call.without(*OWN)
    judged = next((name for name in space.metrics or () if name != OPERATIONS), None)
    if judged is not None and _MONITOR not in call.options and "monitor" not in (call.in_files("checkpoint") or {}):
        arguments = [*arguments, f"--{_MONITOR}={judged}"]
    plan = None
    for name, own in space.corners():
        command = _parsed(Call(["fit", *arguments, *own], home), home)
        with restored(), _naming(name, space):
            model = make(command).model
        if plan is None:
            _check_config(command)
            metrics = space.metrics or {str(command.config[_MONITOR]): command.config.get("checkpoint.mode")}
            if isinstance(model, Task):
                _check_metrics(metrics, model)
            found: dict[str, Direction] = {
                metric: direction or ("min" if metric == OPERATIONS else best_mode(model, metric))
                for metric, direction in metrics.items()
            }
            epochs = command.config.get("trainer.max_epochs") or 0
            plan = _Plan(arguments, found, int(epochs))
    assert plan is not None
    return plan


def _check_config(command: Command) -> None:
    """Refuse fits that keep nothing to judge them by."""
    if command.config.get("trainer.fast_dev_run"):
        raise UserError("trainer.fast_dev_run: it keeps nothing by which a trial could be judged: leave it out")
    if command.config.get("trainer.enable_checkpointing") is False:
        raise UserError("trainer.enable_checkpointing: a sweep judges a trial by its best checkpoint: leave it on")


def _parsed(call: Call, home: Path) -> Command:
    with ExitStack() as limits:
        return configured(call, home, limits)


@contextmanager
def _naming(name: str, space: Space) -> Iterator[None]:
    """Say which setting of the space a class refused."""
    try:
        yield
    except UserError as error:
        raise UserError(f"space: {name}: {error}" if name not in str(error) else f"space: {error}") from error


def _check_metrics(metrics: dict[str, Direction | None], model: Task) -> None:
    known = [name for name in model.logged() if name.startswith("val/")]
    for metric in metrics:
        if metric not in (*known, OPERATIONS):
            raise SettingError("space: metric", metric, f"is none of {', '.join([*known, OPERATIONS])}")


@contextmanager
def _says_it_goes_on(study: Study) -> Iterator[None]:
    """Say of an interruption that the study is kept."""
    try:
        yield
    except (Stopped, Interrupted, KeyboardInterrupt) as stopped:
        words = stopped.words if isinstance(stopped, Stopped) else str(stopped).partition(":")[0] or "interrupted"
        done = sum(trial.state.is_finished() for trial in study.trials())
        kept = "1 trial is kept" if done == 1 else f"{done} trials are kept"
        stop = UserError(f"{words}: {kept}, the same command goes on ({from_here(study.folder)})")
        stop.status = getattr(stopped, "status", 130)
        raise stop from None


def _run(study: Study, fits: Fits, trials: int) -> None:
    """Run trials until there are enough."""
    while True:
        with study.turn(trials) as turn:
            if turn is None:
                return
            if turn.resumed:
                print(f"trial {turn.number}: was cut short, and goes on", flush=True)
            _run_one(study, fits, turn)
            print(report.line(report.Result.of(study.trials()[turn.number]), fits.metrics, trials), flush=True)


def _run_one(study: Study, fits: Fits, turn: Turn) -> None:
    """Run one trial, and note what it came to, a mistake or an unexpected error too."""
    pruning = Pruning(fits.metrics[0], partial(study.judge, turn)) if study.prunes else None
    own = study.space.arguments(turn.trial)
    try:
        values = fits.values(own, study.trial_folder(turn.number), pruning)
    except Pruned:
        study.tell(turn, pruned=True)
    except Interrupted:
        raise
    except Exception as error:  # the next trial may do better
        message = str(error) if isinstance(error, UserError) else expected(error)
        study.tell(turn, error=one_line(message or f"{type(error).__name__}: {error}"))
    else:
        study.tell(turn, values)
