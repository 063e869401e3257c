"""Time series in ``.ts`` files, the text format of the UCR and UEA archives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from litspike.data.file_part import FilePart, check_numbers, is_number
from litspike.data.npz import padded
from litspike.settings import UserError

_YES, _NO = "true", "false"


@dataclass
class _Header:
    """What the lines before the data say."""

    classes: list[str] | None = None
    """Names of the classes; None where the data have none."""
    targets: bool = False
    """Whether a number to be met stands at the end of each line."""

    @property
    def labelled(self) -> bool:
        """Whether something stands at the end of each line that is no series."""
        return self.targets or self.classes is not None


def read_ts(path: Path, missing: bool = False) -> FilePart:
    """Read a ``.ts`` file: a line for each sample, its features (dimensions) separated by colons, the class or the
    target after the last one, and the steps of a feature separated by commas.

    Args:
        path: the file.
        missing: whether ``?`` or NaN stands for a value that is missing.

    Returns:
        Sequences [N, T, F], their lengths where they differ, and the names of their classes [N, 1] or targets [N, 1],
        if the file has any. Classes are names though they look like numbers, which archives count from 1 or −1 on.

    Raises:
        UserError: that names the file and the line: if it can't be read, has time stamps, features of different
            lengths or numbers of them, a class that its header doesn't name, or a value that is no finite number.

    Source: https://www.aeon-toolkit.org, "The .ts file format".
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is no UTF-8 text (byte {error.start})") from error
    except OSError as error:
        raise UserError(f"{path} can't be read ({error.strerror or error})") from error
    header, lines = _split(path, text)
    samples: list[NDArray[Any]] = []
    labels: list[Any] = []
    numbers: list[int] = []
    for number, line in lines:
        *series, last = line.split(":") if header.labelled else (*line.split(":"), "")
        place = f"{path}, line {number}"
        samples.append(_series(place, series))
        if len(samples[-1][0]) != len(samples[0][0]):
            raise UserError(f"{place} has {len(samples[-1][0])} features, the first sample {len(samples[0][0])}")
        labels.append(_label(place, last.strip(), header))
        numbers.append(number)
    if not samples:
        raise UserError(f"{path} has no line of data after @data")

    def place_of(index: int) -> str:
        return f"{path}, line {numbers[index]}"

    lengths = np.array([len(sample) for sample in samples])
    x = padded(np.concatenate(samples), lengths)
    check_numbers(x, lambda at: f"{place_of(at[0])}, feature {at[2]}, step {at[1]}", missing)
    y = np.array(labels, object if header.classes is not None else float)[:, None] if header.labelled else None
    differ = len(set(lengths.tolist())) > 1
    shown = {} if y is None else {"label": y[:, 0]}
    return FilePart(x, y, str(path), place_of, lengths=lengths if differ else None, columns=shown)


def _split(path: Path, text: str) -> tuple[_Header, Iterator[tuple[int, str]]]:
    """The header, and the lines of data with their numbers."""
    header, lines = _Header(), enumerate(text.splitlines(), start=1)
    for number, line in lines:
        word = line.strip()
        if not word or word.startswith(("#", "%")):
            continue
        if not word.startswith("@"):
            raise UserError(f"{path}, line {number}: data begin before a line that says @data")
        name, *values = word[1:].split()
        if name.lower() == "data":
            return header, ((at, row.strip()) for at, row in lines if row.strip() and row.strip()[0] not in "#%")
        _take(f"{path}, line {number}", header, name.lower(), values)
    raise UserError(f"{path} has no line that says @data: is it a .ts file?")


def _take(place: str, header: _Header, name: str, values: list[str]) -> None:
    value = values[0].lower() if values else ""
    if name in ("classlabel", "targetlabel", "timestamps") and value not in (_YES, _NO):
        raise UserError(f"{place}: @{name} must say true or false, not {value!r:.40}")
    if name == "timestamps" and value == _YES:
        raise UserError(f"{place}: series with time stamps are not read: leave them out where the steps are equal")
    if name == "classlabel" and value == _YES:
        header.classes = values[1:]
        if not header.classes:
            raise UserError(f"{place}: @classLabel true names no class")
    if name == "targetlabel":
        header.targets = value == _YES


def _series(place: str, series: list[str]) -> NDArray[Any]:
    """One sample, [T, F]."""
    if not series:
        raise UserError(f"{place} has no series: a colon separates it from the label")
    rows = [row.split(",") for row in series]
    for index, row in enumerate(rows):
        if len(row) != len(rows[0]):
            raise UserError(f"{place}: feature {index} has {len(row)} steps, feature 0 has {len(rows[0])}")
    values = ["nan" if cell.strip() == "?" else cell for row in rows for cell in row]
    if not all(map(is_number, values)):
        wrong = next(cell for cell in values if not is_number(cell)).strip()
        raise UserError(f"{place}: {f'{wrong[:40]!r} is no number' if wrong else 'a value is empty'}")
    return np.array(values, dtype=np.float64).reshape(len(rows), -1).T


def _label(place: str, value: str, header: _Header) -> Any:
    if header.classes is not None and value not in header.classes:
        raise UserError(f"{place}: the class {value!r:.40} is none that @classLabel names, {', '.join(header.classes)}")
    if header.targets and not (is_number(value) and np.isfinite(float(value))):
        raise UserError(f"{place}: the target {value!r:.40} is no finite number")
    return float(value) if header.targets else value
