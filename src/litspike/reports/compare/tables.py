"""The tables of a comparison: what the runs' receipts say, and in which settings the runs differ."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from litspike.figure_text import interval, written
from litspike.reports.compare.collect import Subject
from litspike.settings import named_settings

MISSING = "–"

COSTS = {
    "test samples": ("samples",),
    "parameters": ("parameters", "all"),
    "time steps": ("time_steps",),
    "multiply–accumulates a sample": ("operations", "macs"),
    "accumulates a sample": ("operations", "acs"),
    "energy a sample, arithmetic alone, nJ": ("energy", "with_spikes"),
    "… without spikes, one pass, nJ": ("energy", "without_spikes_one_pass"),
    "… without spikes, every step, nJ": ("energy", "without_spikes_every_step"),
    "… with memory, nJ": ("energy", "with_memory", "total"),
    "… with memory, without spikes, same bits, nJ": ("energy", "without_spikes_same_bits", "total"),
    "spikes per neuron and step": ("energy", "firing_rate"),
    "… below which spikes win": ("energy", "spikes_win_below"),
    "latency of one sample, ms": ("latency", "milliseconds"),
    "latency of one streamed step, µs": ("latency", "streamed_step_microseconds"),
    "step with 99% of the final score": ("anytime", "earliest_step_with_99_percent"),
}
"""What a row is called → where a receipt has it."""


class Row(NamedTuple):
    """A line of a table: its name, and a text for each subject."""

    name: str
    values: list[str]


def metrics(subjects: Sequence[Subject]) -> list[Row]:
    """The metrics of test, validation and training; the test's with their 95% intervals, where these are known.

    Of several seeds it is their mean, with the interval of that mean.
    """
    found = [_metrics(subject) for subject in subjects]
    names = sorted({name for of_one in found for name in of_one}, key=_order)
    return [Row(name, [of_one.get(name, MISSING) for of_one in found]) for name in names]


def _order(name: str) -> tuple[int, str]:
    stages = ("test", "val", "train")
    stage = name.split("/")[0]
    return stages.index(stage) if stage in stages else len(stages), name


def _metrics(subject: Subject) -> dict[str, str]:
    records = [run.record() for run in subject.runs]
    names = _labels(records)
    if subject.figures:
        several = subject.figures
        return {names(name): _with_interval(of["mean"], of.get("interval")) for name, of in several.items()}
    shown = {**records[0].get("figures", {}), **records[0].get("best", {})}
    found = {names(name): _with_interval(value, None) for name, value in shown.items()}
    for receipt in subject.receipts():
        for name, metric in receipt.get("figures", {}).items():
            found[f"test/{name}"] = _with_interval(metric["value"], metric.get("interval"))
    return found


def _labels(records: list[dict[str, Any]]) -> Callable[[str], str]:
    """What a metric is called: whether it is of the best checkpoint, which was tested, where the records say so."""
    known = all(record.get("best") for record in records)
    of = {"val": " of the best checkpoint", "train": " of the last epoch"} if known else {}
    return lambda name: name + of.get(name.split("/")[0], "")


def _with_interval(value: float, ends: Sequence[float] | None) -> str:
    return written(value) + (f" ({interval(*ends)})" if ends else "")


def costs(subjects: Sequence[Subject]) -> list[Row]:
    """What the receipts say of size, operations, energy, time and firing; of several seeds the mean."""
    receipts = [subject.receipts() for subject in subjects]
    layers = dict.fromkeys(layer for several in receipts for receipt in several for layer in receipt.get("layers", {}))
    places = {**COSTS, **{f"firing rate of {layer}": ("layers", layer, "rate") for layer in layers}}
    rows = [Row(name, [_mean(several, place) for several in receipts]) for name, place in places.items()]
    return [row for row in rows if any(value != MISSING for value in row.values)]


def _mean(receipts: list[dict[str, Any]], place: tuple[str, ...]) -> str:
    found = [value for receipt in receipts if isinstance(value := _at(receipt, place), int | float | str)]
    if any(isinstance(value, str) for value in found):  # no mean has a word in it
        return ", ".join(dict.fromkeys(value if isinstance(value, str) else f"{value:,.4g}" for value in found))
    values = [value for value in found if not isinstance(value, str)]
    if not values:
        return MISSING
    mean = statistics.fmean(values)
    return f"{mean:,.0f}" if mean == round(mean) else f"{mean:,.4g}"


def _at(content: Any, place: tuple[str, ...]) -> Any:
    for key in place:
        content = content.get(key) if isinstance(content, dict) else None
    return content


def differences(subjects: Sequence[Subject]) -> list[Row]:
    """The settings in which the runs differ; of several seeds, what all of them were set to."""
    found = [[_settings(one) for one in subject.configurations()] for subject in subjects]
    names = dict.fromkeys(name for several in found for settings in several for name in settings)
    rows = []
    for name in names:
        values = [", ".join(dict.fromkeys(settings.get(name, MISSING) for settings in several)) for several in found]
        if len(set(values)) > 1:
            rows.append(Row(name, values))
    return rows


def _plain(value: Any) -> str:
    """A setting as text; 1 and 1.0 are the same."""
    if isinstance(value, list):
        return f"[{', '.join(map(_plain, value))}]"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "null" if value is None else str(value)


def _settings(configuration: dict[str, Any]) -> dict[str, str]:
    """Every single setting, as the command line names it; a class by the name of what it is for."""
    return {
        name.removesuffix(".class_path"): _plain(value)
        for name, value in named_settings(configuration)
        if not isinstance(value, dict)
    }
