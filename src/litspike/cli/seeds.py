"""``fit --seeds N``: the same experiment from N seeds, and what their figures say together."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.table import Table

from litspike.cli.arguments import Call
from litspike.cli.errors import print_error
from litspike.figure_text import interval, written
from litspike.files import replace_checked_json
from litspike.metrics import mean_interval, most_of
from litspike.runs.folder import BEST, LAST, Run, logs_folder, runs_in, tested
from litspike.runs.processes import place
from litspike.runs.resolve import is_finished
from litspike.settings import SettingError, UserError, integer
from litspike.terminal import Terminal, from_here

Command = Callable[[list[str], Path], int]
"""Runs one command line in a home, and returns its exit status."""


def run_seeds(call: Call, home: Path, command: Command, start: str = "spawn") -> int:
    """Fit and test from each seed, one after another, each in a process of its own; then report.

    The seed sets weights, batches and, where the data have one, ``data.seed``. Seeds that are done are not run again,
    and one that was cut short goes on, so that the same command continues where it was stopped.

    Args:
        call: the command line, with ``--seeds N``.
        home: folder with ``configs/`` and ``logs/``.
        command: what runs one command line.
        start: how a process is started, as :func:`multiprocessing.get_context` calls it.

    Returns:
        0 if all seeds succeeded, else 1.

    Raises:
        UserError: if N is no number from 2 on, the command line sets a seed or a checkpoint itself, or several
            processes were started to run it.
    """
    if (starter := place().starter) is not None:
        raise UserError(f"seeds: --seeds starts its own processes: leave {starter} out, trainer.devices is enough")
    count = count_of_seeds(call)
    group = group_folder(call, home)
    arguments = _arguments(call)
    for seed in range(count):
        print(f"seed {seed} ({seed + 1} of {count}): {from_here(group / str(seed))}", flush=True)
        if not tested(group / str(seed)):
            context: Any = multiprocessing.get_context(start)
            process = context.Process(target=_one_seed, args=(arguments, group / str(seed), seed, home, command))
            process.start()
            try:
                process.join()
            except BaseException:  # it keeps what it has, and then so does this one
                process.terminate()
                process.join()
                raise
    records = {seed: run.record() for seed in range(count) if (run := tested(group / str(seed)))}
    results = {seed: {**record["figures"], **record["best"]} for seed, record in records.items()}
    return _report(results, count, group)


def group_folder(call: Call, home: Path) -> Path:
    """The folder of all seeds of a command line: theirs are inside it, and ``seeds.json``, what they come to together.

    A command line with other settings, or the same with another text in its configuration files, has another one.
    """
    logs = logs_folder(call.logs, home)
    return logs / f"{call.experiment or 'default'}.seeds-{_fingerprint(_arguments(call), call.configs)}"


def _arguments(call: Call) -> list[str]:
    """The arguments that each seed gets."""
    return call.without("--seeds", "--logs")


def count_of_seeds(call: Call) -> int:
    """The number that ``--seeds`` says.

    Raises:
        UserError: if it is none from 2 on, or the command line sets beside it what it sets.
    """
    for option in ("--seed_everything", "--data.seed", "--ckpt_path"):
        if call.option(option) is not None:
            raise UserError(f"seeds: {option} can't be set beside --seeds, which sets it")
    if call.option("--trainer.fast_dev_run") not in (None, "false", "0"):
        raise UserError("trainer.fast_dev_run: it tries one fit and keeps nothing: leave it or --seeds out")
    text = call.option("--seeds") or ""
    if not text.isdigit():
        raise SettingError("seeds", text, "is not an integer")
    return integer("seeds", int(text), 2)


def _fingerprint(arguments: list[str], configs: list[str]) -> str:
    """A short text that changes with what is run."""
    subject = [arguments, *(Path(path).read_text(encoding="utf-8") for path in configs if Path(path).is_file())]
    return hashlib.sha256(json.dumps(subject).encode()).hexdigest()[:8]


def finished_in(logs: Path) -> Run | None:
    """The first run in a folder of logs that came to its end; None where there is none."""
    return next((run for run in runs_in(logs) if is_finished(run)), None)


def begun_in(logs: Path) -> Path | None:
    """The last checkpoint of the first run in a folder of logs that has one; None where there is none."""
    return next((run.checkpoint(LAST) for run in runs_in(logs) if run.checkpoint(LAST).is_file()), None)


def arguments_of(seed: int) -> list[str]:
    """The arguments that set a seed everywhere."""
    return ["--seed_everything", str(seed), "--data.seed", str(seed)]


def _one_seed(arguments: list[str], folder: Path, seed: int, home: Path, command: Command) -> None:
    """What the process of one seed does."""
    logs = ["--logs", str(folder)]
    if finished_in(folder) is None:
        begun = begun_in(folder)
        start = ["--ckpt_path", str(begun)] if begun else arguments_of(seed)
        status = command(["fit", *start, *arguments, *logs], home)
        if status:
            sys.exit(status)
    done = finished_in(folder)
    if done is None:
        print_error(f"seeds: the fit of seed {seed} left no finished run in {folder}")
        sys.exit(1)
    name = BEST if done.checkpoint(BEST).is_file() else LAST  # the last one where no epoch was validated
    sys.exit(command(["test", "--ckpt_path", str(done.checkpoint(name)), *logs], home))


def _report(results: dict[int, dict[str, float]], count: int, group: Path) -> int:
    names = list(dict.fromkeys(name for figures in results.values() for name in figures))
    summary: dict[str, Any] = {}
    table = Table("metric", "mean", "standard deviation", "95% interval of the mean", title=f"{len(results)} seeds")
    for name in names:
        values = [figures[name] for figures in results.values() if name in figures]
        summary[name] = {"values": values, "mean": statistics.fmean(values)}
        row = [name, written(summary[name]["mean"]), "", ""]
        if len(values) > 1:
            ends = mean_interval(values, most=most_of(name))
            summary[name] |= {"standard_deviation": statistics.stdev(values), "interval": ends}
            row[2:] = [written(statistics.stdev(values)), interval(*ends)]
        table.add_row(*row)
    if results:
        Terminal().print(table)
        path = group / "seeds.json"
        replace_checked_json(path, {"seeds": sorted(results), "figures": summary})
        print(f"written: {from_here(path)}")
    missing = sorted(set(range(count)) - results.keys())
    if missing:
        seeds = ", ".join(map(str, missing))
        print(f"litspike: no result of seed {seeds}: the same command runs the missing ones again", file=sys.stderr)
    return 1 if missing else 0
