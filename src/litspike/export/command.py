"""The export of a task: written, run by the format's own reader on the test part, compared, and put in its place."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from rich.table import Table
from torch import Tensor

from litspike.export.artefact import Artefact, Run, Subject
from litspike.export.fidelity import Fidelity, check_exact
from litspike.export.folder import REPORT, hashes, replacing_folder
from litspike.figure_text import written
from litspike.files import replace_json
from litspike.settings import UserError
from litspike.tasks.batches import check_finite, pair
from litspike.tasks.task import Task

LONGEST = 60.0
"""Seconds that a proof takes at most; at least one sample is run."""
_MOST_AT_ONCE = 64


class TestPart(NamedTuple):
    """The samples that a proof may run on."""

    batches: Iterable[Any]
    """Samples [B, *] and their targets."""
    complete: bool
    """Whether they are all that there are."""


def export(
    task: Task,
    data: TestPart,
    make: Callable[[Subject, str], Artefact],
    name: str,
    folder: Path,
    about: dict[str, Any],
) -> dict[str, Any]:
    """Write a task in a format, prove what was written, and put it into ``export/FORMAT/`` of a folder.

    Args:
        task: the trained task, on the CPU.
        data: what the proof runs on.
        make: makes the artefact of a subject and a name.
        name: what the files are called by.
        folder: the run's.
        about: what the report says of where the task comes from.

    Returns:
        The report.

    Raises:
        UserError: if the format can't say the network, or what was written isn't the network.
    """
    each = iter(data.batches)
    first = next(each, None)
    if first is None:
        raise UserError("export: the test data are empty: there is nothing to prove it on")
    x = pair(first)[0]
    check_finite("test", x)
    subject = Subject(task, x)
    artefact = make(subject, name)
    place = folder / "export" / artefact.format
    with replacing_folder(place) as draft:
        artefact.write(draft)
        report = {
            "format": artefact.format,
            "written": datetime.now(UTC).isoformat(timespec="seconds"),
            **about,
            **_proved(artefact, draft, _slices(first, each), data.complete),
            "facts": artefact.facts(draft),
            "bytes": sum(path.stat().st_size for path in draft.iterdir()),
            "files": hashes(draft),
        }
        replace_json(draft / REPORT, report)
    return report


def _slices(first: Any, rest: Iterator[Any]) -> Iterator[tuple[Tensor, Tensor]]:
    """The batches in pieces that grow: how long one takes is not known before."""
    size, batch = 1, first
    while batch is not None:
        x, y = pair(batch)
        start = 0
        while start < len(x):
            yield x[start : start + size], y[start : start + size]
            start += size
            size = min(2 * size, _MOST_AT_ONCE)
        batch = next(rest, None)


def _proved(
    artefact: Artefact, folder: Path, batches: Iterator[tuple[Tensor, Tensor]], complete: bool
) -> dict[str, Any]:
    """Run what was written beside the task, for LONGEST at most."""
    subject = artefact.subject
    fidelity, exact = Fidelity(artefact.format, subject.task, subject.labels), artefact.exact()
    began = time.monotonic()
    with artefact.reader(folder) as run:
        for x, y in batches:
            if fidelity.samples and time.monotonic() - began > LONGEST:
                complete = False
                break
            fidelity.add(subject.run(x), _checked(artefact, run, exact, x), y)
    against = {} if exact is None else {"bit_for_bit": exact[0]}
    return {**fidelity.summary(), "all_of_the_test_part": complete, **against}


def _checked(artefact: Artefact, run: Run, exact: tuple[str, Run] | None, x: Tensor) -> Any:
    answer = run(x)
    if exact is not None:
        check_exact(artefact.format, artefact.subject.labels, exact[1](x), answer, exact[0])
    return answer


def show(report: dict[str, Any], say: Callable[[Any], object]) -> None:
    """Print a report: a table of layers and answers, one of metrics, and what else is to be known.

    Args:
        report: what :func:`export` gave.
        say: prints a table or a line.
    """
    name, count = report["format"], report["samples"]
    part = "all of the test part" if report["all_of_the_test_part"] else "the first of the test part"
    table = Table(
        "layer", "equal spikes", "largest difference", title=f"{name}, {count} sample{'s' * (count != 1)}: {part}"
    )
    for layer in report["layers"]:
        table.add_row(layer["layer"], _share(layer), written(layer["largest_difference"]))
    for answer in ("outputs", "values"):
        largest, of = report[answer]["largest_difference"], report[answer]["largest_number"]
        table.add_row(answer, "", f"{written(largest)} (of {written(of)} at most)")
    say(table)
    metrics = Table("metric", "litspike", name)
    for metric, of in report["metrics"].items():
        metrics.add_row(metric, written(of["litspike"]), written(of[name]))
    say(metrics)
    for line in _lines(report):
        say(line)


def _lines(report: dict[str, Any]) -> Iterator[str]:
    if "bit_for_bit" in report:
        yield f"every bit is that of {report['bit_for_bit']}"
    for fact, value in report["facts"].items():
        yield f"{fact}: {written(value) if isinstance(value, float) else value}"


def _share(difference: dict[str, Any]) -> str:
    """The share of equal numbers in words: no rounding hides a difference."""
    if difference["unequal"] == 0:
        return "all"
    return f"{difference['equal']:.4%} ({difference['unequal']:,} of {difference['numbers']:,} differ)"
