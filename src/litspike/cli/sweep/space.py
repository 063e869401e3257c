"""The space of a sweep: which settings are tried, between what bounds, and what the trials are judged by."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from litspike.cli import configurations
from litspike.installation import CONFIGURATIONS
from litspike.runs import yaml_text
from litspike.seeding import seed_in_range
from litspike.settings import SettingError, UserError, integer

OPERATIONS = "val/synaptic_operations"
"""The metric that no fit logs: synaptic operations a sample of the validation data, of the best checkpoint."""
FOLDER = "spaces"
"""Folder of spaces beside the configurations, each with a configuration's name."""
_KEYS = ("metric", "trials", "pruning", "seed", "space")
_RANGE = ("low", "high", "log", "step")
_TRIALS = 30

Direction = Literal["min", "max"]


class Suggests(Protocol):
    """What a choice is asked of: an Optuna trial."""

    def suggest_int(self, name: str, low: int, high: int, *, step: int, log: bool) -> int: ...
    def suggest_float(self, name: str, low: float, high: float, *, step: float | None, log: bool) -> float: ...
    def suggest_categorical(self, name: str, choices: list[str]) -> Any: ...


@dataclass(frozen=True)
class Range:
    """The numbers from ``low`` to ``high``; integers where both are."""

    low: float
    high: float
    log: bool = False
    step: float | None = None

    def examples(self) -> list[Any]:
        """Values that have to be allowed if all are."""
        return [self.low, self.high]

    def suggested(self, name: str, trial: Suggests) -> Any:
        """The value for a trial."""
        if isinstance(self.low, int) and isinstance(self.high, int):
            return trial.suggest_int(name, self.low, self.high, step=int(self.step or 1), log=self.log)
        return trial.suggest_float(name, self.low, self.high, step=self.step, log=self.log)


@dataclass(frozen=True)
class Choices:
    """A list of values, of any kind."""

    values: list[Any]

    def examples(self) -> list[Any]:
        """All of them."""
        return self.values

    def suggested(self, name: str, trial: Suggests) -> Any:
        """The value for a trial; Optuna keeps plain values alone, so that it gets each as text."""
        texts = [yaml_text.in_one_line(value) for value in self.values]
        return self.values[texts.index(trial.suggest_categorical(name, texts))]


@dataclass(frozen=True)
class Space:
    """What a sweep tries and is judged by.

    Args:
        path: the file that says so.
        settings: name of each setting that is tried → its values; several names, with commas between them, get the
            same value.
        metrics: one metric or two of the validation data → whether the least or the greatest is best; None: as the
            metric itself says. None: the one that chooses the best checkpoint.
        trials: number of trials.
        pruning: whether a trial that does worse than half of the others did is ended.
        seed: seed of what is drawn.
    """

    path: Path
    settings: dict[str, Range | Choices]
    metrics: dict[str, Direction | None] | None
    trials: int
    pruning: bool
    seed: int

    def arguments(self, trial: Suggests) -> list[str]:
        """A trial's values, as arguments of the command line."""
        return arguments({name: values.suggested(name, trial) for name, values in self.settings.items()})

    def names(self) -> list[str]:
        """Each setting that is tried, by its name on the command line."""
        return [one for name in self.settings for one in _separate(name)]

    def corners(self) -> Iterator[tuple[str, list[str]]]:
        """Each setting in turn at each of its examples, with the others at their first: its name and the arguments."""
        first = {name: values.examples()[0] for name, values in self.settings.items()}
        for name, values in self.settings.items():
            for value in values.examples():
                yield name, arguments({**first, name: value})


def arguments(values: dict[str, Any]) -> list[str]:
    """Settings and their values, as arguments of the command line."""
    texts = {name: value if isinstance(value, str) else yaml_text.in_one_line(value) for name, value in values.items()}
    return [f"--{one}={text}" for name, text in texts.items() for one in _separate(name)]


def _separate(name: str) -> list[str]:
    return [one.strip() for one in name.split(",")]


def find(given: str | None, configs: list[str], home: Path) -> Path:
    """The file of a space: the one that was named, or else the one with the name of the configuration.

    By its name a space is looked for in ``configs/spaces/`` of the home, then among litspike's own.

    Args:
        given: a file or a name; None where none was typed.
        configs: the configuration files of the command line.
        home: folder with ``configs/``.

    Raises:
        UserError: if there is none.
    """
    if given is not None and Path(given).is_file():
        return Path(given)
    name = given if given is not None else Path(configs[-1]).stem if configs else configurations.default(home).stem
    for folder in (home / "configs" / FOLDER, CONFIGURATIONS / FOLDER):
        path = folder / name if name.endswith(".yaml") else folder / f"{name}.yaml"
        if path.is_file():
            return path
    own = ", ".join(sorted(path.stem for path in (CONFIGURATIONS / FOLDER).glob("*.yaml")))
    remedy = f"name a YAML file by --space; litspike has spaces for {own}"
    raise UserError(f"space: there is no file {given}: {remedy}" if given else f"space: {name} has none: {remedy}")


def read(path: Path) -> Space:
    """Read a space.

    Raises:
        UserError: with the file and the key, if it says anything else than a space.
    """
    content = yaml_text.read(path)
    _check_keys(f"space: {path}", content, _KEYS)
    settings = content.get("space")
    if not isinstance(settings, dict) or not settings:
        form = "model.optimizer.lr: {low: 0.001, high: 0.1}"
        raise UserError(f"space: {path}: the key space must name the settings to try, as {form}")
    pruning = content.get("pruning", True)
    if not isinstance(pruning, bool):
        raise SettingError("space: pruning", pruning, "must be true or false")
    return Space(
        path,
        {str(name): _values(str(name), given) for name, given in settings.items()},
        _metrics(content.get("metric")),
        integer("space: trials", content.get("trials", _TRIALS)),
        pruning,
        seed_in_range("space: seed", content.get("seed", 0)),
    )


def _check_keys(place: str, given: dict[Any, Any], known: tuple[str, ...]) -> None:
    for key in given:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            meant = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
            raise UserError(f"{place} has no key {key!r:.60}; {meant}")


def _metrics(given: Any) -> dict[str, Direction | None] | None:
    if given is None:
        return None
    named = given if isinstance(given, dict) else dict.fromkeys(given if isinstance(given, list) else [given])
    if not 1 <= len(named) <= 2 or (isinstance(given, list) and len(given) != len(named)):
        raise SettingError("space: metric", given, "must be one metric or two")
    for name, direction in named.items():
        if not isinstance(name, str) or not name.startswith("val/"):
            raise SettingError("space: metric", name, "is no metric of validation, such as val/accuracy")
        if direction not in (None, "min", "max"):
            raise SettingError(f"space: metric: {name}", direction, "must be min or max")
    return named


def _values(name: str, given: Any) -> Range | Choices:
    place = f"space: {name}"
    if isinstance(given, list):
        given = {"choices": given}
    if not isinstance(given, dict):
        raise SettingError(place, given, "must be {low: …, high: …} or {choices: […]}")
    if "choices" in given:
        _check_keys(place, given, ("choices",))
        values = given["choices"]
        if not isinstance(values, list) or len({yaml_text.in_one_line(value) for value in values}) < 2:
            raise SettingError(f"{place}: choices", values, "must be a list of two values or more")
        return Choices([*{yaml_text.in_one_line(value): value for value in values}.values()])
    _check_keys(place, given, _RANGE)
    return _range(place, given)


def _range(place: str, given: dict[str, Any]) -> Range:
    for key in ("low", "high"):
        if key not in given:
            raise UserError(f"{place} has no {key}: give low and high, or choices")
    for key in ("low", "high", "step"):
        value = given.get(key)
        wrong = isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value)
        if key in given and wrong:
            raise SettingError(f"{place}: {key}", value, "is not a number")
    low, high, step, log = given["low"], given["high"], given.get("step"), given.get("log", False)
    if low >= high:
        raise SettingError(f"{place}: low", low, f"is not below high, {high}")
    if not isinstance(log, bool):
        raise SettingError(f"{place}: log", log, "must be true or false")
    if log and low <= 0:
        raise SettingError(f"{place}: low", low, "has no logarithm: log needs a low above 0")
    if step is not None and (log or step <= 0 or step > high - low):
        raise SettingError(f"{place}: step", step, "must be above 0, at most high − low, and not beside log")
    if isinstance(low, int) and isinstance(high, int) and not isinstance(step, int | None):
        raise SettingError(f"{place}: step", step, "is not an integer, as low and high are")
    return Range(low, high, log, step)
