"""What a sweep leaves: a table of its trials, the best of them on the console, a picture, and their configurations."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.markup import escape
from rich.table import Table

from litspike.cli.sweep.space import Direction
from litspike.figure_text import written
from litspike.files import read_text, replace_text, replacing
from litspike.installation import program
from litspike.reports.pictures.style import LABEL, TICK, curve, panel, sheet, whole_ticks
from litspike.runs.folder import runs_in
from litspike.terminal import Terminal, from_here

BEST_OF_ONE = 5
"""Number of trials that are shown where one metric puts them in an order."""


@dataclass(frozen=True)
class Result:
    """A trial as it ended.

    Args:
        number: its number, from 0 on.
        state: ``complete``, ``pruned``, ``fail`` or ``running``.
        values: its metrics; none of a trial that isn't complete.
        settings: name → the value that was tried; of a choice, as text.
        seconds: how long it took; 0 while it runs.
        error: why it failed.
    """

    number: int
    state: str
    values: list[float]
    settings: dict[str, Any]
    seconds: float
    error: str

    @classmethod
    def of(cls, trial: Any) -> Result:
        """That of an Optuna trial."""
        seconds = trial.duration.total_seconds() if trial.duration else 0.0
        complete = trial.state.name == "COMPLETE"
        values = list(trial.values) if complete else []
        error = trial.user_attrs.get("error", "")
        return cls(trial.number, trial.state.name.lower(), values, dict(trial.params), seconds, error)


def figure_text(value: float) -> str:
    """A metric's value; large ones as integers, such as numbers of operations."""
    return written(value) if abs(value) < 100 else f"{value:,.0f}" if abs(value) < 1e12 else f"{value:.4g}"


def settings_text(result: Result) -> str:
    """A trial's settings and their values; floats with four digits."""
    names = short(list(result.settings))
    values = {names[name]: value for name, value in result.settings.items()}
    return "  ".join(
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in values.items()
    )


def short(names: list[str]) -> dict[str, str]:
    """Each setting's name by as few of its last parts as tell it from the others."""
    found = {}
    for name in names:
        parts = name.split(".")
        ends = (".".join(parts[-count:]) for count in range(1, len(parts)))
        found[name] = next((end for end in ends if sum(f".{other}".endswith(f".{end}") for other in names) == 1), name)
    return found


def line(result: Result, metrics: list[str], trials: int) -> str:
    """What is printed once a trial has ended."""
    outcome = "  ".join(f"{name} {figure_text(value)}" for name, value in zip(metrics, result.values, strict=False))
    outcome = outcome or {"fail": f"failed: {result.error}"}.get(result.state, result.state)
    took = f"{result.seconds:.0f} s"
    return f"trial {result.number} ({result.number + 1} of {trials}): {outcome}  [{settings_text(result)}]  {took}"


def table(results: list[Result], metrics: list[str]) -> str:
    """All trials as a ``.csv`` text, a row for each."""
    names = list(dict.fromkeys(name for result in results for name in result.settings))
    text = io.StringIO()
    write = csv.writer(text, lineterminator="\n")
    write.writerow(["trial", "state", *metrics, *names, "seconds", "error"])
    for result in results:
        values = [*result.values, *[""] * len(metrics)][: len(metrics)]
        settings = [result.settings.get(name, "") for name in names]
        write.writerow([result.number, result.state, *values, *settings, f"{result.seconds:.1f}", result.error])
    return text.getvalue()


def show(results: list[Result], best: list[Result], metrics: list[str]) -> None:
    """Print how many trials ended how, and the best of them."""
    counts = {state: sum(result.state == state for result in results) for state in ("complete", "pruned", "fail")}
    words = {"complete": "complete", "pruned": "pruned", "fail": "failed"}
    print(f"{len(results)} trials: " + ", ".join(f"{count} {words[state]}" for state, count in counts.items()))
    if not best:
        return
    title = "Pareto front" if len(metrics) > 1 else f"the best {len(best)}"
    shown = Table("trial", *(escape(name.removeprefix("val/")) for name in metrics), "settings", title=title)
    for result in best:
        shown.add_row(*map(escape, [str(result.number), *map(figure_text, result.values), settings_text(result)]))
    Terminal().print(shown)


def picture(results: list[Result], front: list[Result], metrics: dict[str, Direction]) -> Figure:
    """Two metrics of all trials over each other with the Pareto front, or one by trial with the best until then."""
    names = list(metrics)
    complete = [result for result in results if result.values]
    figure = sheet(6.4, 4.4, f"{len(complete)} complete trials")
    axes = panel(figure, 0.8, 0.65, 0.3, 0.5)
    if len(names) > 1:
        upwards, across = zip(*(result.values for result in complete), strict=True)
        _points(axes, across, upwards)
        ordered = sorted(front, key=lambda result: result.values[1])
        upwards, across = zip(*(result.values for result in ordered), strict=True)
        curve(axes, across, upwards, 0, "Pareto front")
        for result in ordered:
            place = result.values[1], result.values[0]
            axes.annotate(str(result.number), place, (4, -9), fontsize=TICK, textcoords="offset points")
        axes.set_xlabel(names[1], fontsize=LABEL)
        values = [result.values[1] for result in complete]
        if min(values) > 0 and max(values) > 10 * min(values):
            axes.set_xscale("log")
    else:
        best_of = min if metrics[names[0]] == "min" else max
        numbers = [result.number for result in complete]
        values = [result.values[0] for result in complete]
        _points(axes, numbers, values)
        until = [best_of(values[: at + 1]) for at in range(len(values))]
        curve(axes, [float(number) for number in numbers], until, 0, "best until then")
        axes.set_xlabel("trial", fontsize=LABEL)
        whole_ticks(axes, y=False)
    axes.set_ylabel(names[0], fontsize=LABEL)
    axes.legend(fontsize=TICK)
    return figure


def _points(axes: Axes, x: Sequence[float], y: Sequence[float]) -> None:
    axes.plot(x, y, "o", color="#999999", markersize=4, label="trial")


def configurations(folder: Path, best: list[Result], metrics: list[str], runs: dict[int, Path]) -> list[Path]:
    """Write the whole configuration of each of the best trials into ``best/``, for ``fit -c``.

    Those of trials that are no longer among the best are removed.

    Args:
        folder: the sweep's.
        best: the trials.
        metrics: names of the metrics.
        runs: each trial → the folder that its first fit's run is in.
    """
    place = folder / "best"
    place.mkdir(exist_ok=True)
    paths = []
    for result in best:
        path = place / f"trial-{result.number}.yaml"
        (run,) = runs_in(runs[result.number])[:1]
        figures = ", ".join(f"{name} {figure_text(value)}" for name, value in zip(metrics, result.values, strict=True))
        head = f"# Trial {result.number} of {folder.name}: {figures}.\n#   {program()} fit -c {from_here(path)}\n"
        replace_text(path, head + read_text(run.folder / "config.yaml"))
        paths.append(path)
    for number in runs:
        if (old := place / f"trial-{number}.yaml") not in paths:
            old.unlink(missing_ok=True)
    return paths


def write(
    folder: Path, results: list[Result], front: list[Result], metrics: dict[str, Direction], runs: dict[int, Path]
) -> None:
    """Write table, picture and configurations, and print what is where.

    Args:
        folder: the sweep's.
        results: all trials.
        front: those that none is better than; with one metric, the best.
        metrics: name → which value is best.
        runs: trial → the folder that its first fit's run is in.
    """
    names = list(metrics)
    complete = sorted((result for result in results if result.values), key=lambda result: result.values[0])
    ordered = complete if metrics[names[0]] == "min" else complete[::-1]
    best = front if len(names) > 1 else ordered[:BEST_OF_ONE]
    replace_text(folder / "trials.csv", table(results, names))
    show(results, best, names)
    print(f"trials: {from_here(folder / 'trials.csv')}")
    if not best:
        return
    path = folder / ("front.png" if len(names) > 1 else "trials.png")
    with replacing(path) as draft:
        picture(results, front, metrics).savefig(draft, format="png")
    print(f"picture: {from_here(path)}")
    paths = configurations(folder, best, names, runs)
    print(f"configurations: {from_here(paths[0].parent)}\ntrain one: {program()} fit -c {from_here(paths[0])}")
