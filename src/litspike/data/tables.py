"""Tables with a named column for each feature: ``.csv`` files, and ``.parquet`` files through pandas.

A ``.csv`` file is read by Python's own reader: pandas isn't needed for it, and doesn't say in which line a row is.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from litspike.data.extras import library
from litspike.data.file_part import FilePart, check_numbers, is_number
from litspike.settings import UserError

_PARTS = ("train", "val", "test")
_MISSING = ("", "nan", "na", "n/a", "null", "none", "?", "-")
"""What a cell says whose value is missing, whatever its case."""


@dataclass(frozen=True)
class Table:
    """The cells of a table, of which each row is a sample.

    Args:
        path: the file.
        columns: name → cells.
        place: from the index of a row to where it is, such as ``flowers.csv, line 7``.
    """

    path: Path
    columns: dict[str, Any]
    place: Callable[[int], str]

    def check_names(self, names: Sequence[str]) -> None:
        """Refuse a name that no column has."""
        for name in names:
            if name not in self.columns:
                has = ", ".join(map(repr, list(self.columns)[:10]))
                raise UserError(f"{self.path} has no column {name!r}; it has {has}")

    def samples(
        self,
        label: Sequence[str],
        ignore: Sequence[str],
        length: str | None = None,
        features: Sequence[str] | None = None,
        missing: bool = False,
    ) -> FilePart:
        """All rows as samples [N, F] and labels [N, D], or names of classes [N, 1].

        Args:
            label: the columns that are labels or targets; where ``features`` are named they may be missing.
            ignore: columns that are neither label nor feature, where they are there.
            length: the column that says how many steps a row has; cells after them may be empty.
            features: the columns that are features; None: all others.
            missing: whether an empty cell, or one that says so, is a value that is missing.

        Raises:
            UserError: if a column is missing, no feature is left or a cell is no finite number.
        """
        there = [name for name in label if name in self.columns]
        if features is None or there:
            self.check_names(label)
        names = features or [name for name in self.columns if name not in (*label, *ignore, length)]
        if not names:
            raise UserError(f"{self.path} has no column of features beside {', '.join(map(repr, label))}")
        self.check_names(names if length is None else [*names, length])
        lengths = None if length is None else self._lengths(length)
        x = _numbers(names, self.columns, self.place, missing or lengths is not None)
        y = None
        if there:
            y = self._names(label[0]) if len(label) == 1 else None
            y = _numbers(label, self.columns, self.place) if y is None else y
        shown = {name: np.asarray(column, object) for name, column in self.columns.items()}
        return FilePart(x, y, str(self.path), self.place, tuple(names), lengths, shown)

    def _names(self, label: str) -> NDArray[Any] | None:
        """Names of classes [N, 1]; None of a column with a number in it, or an empty cell."""
        cells = [str(cell).strip() for cell in self.columns[label]]
        text = all(isinstance(cell, str) for cell in self.columns[label])
        if not text or any(cell.lower() in _MISSING or is_number(cell) for cell in cells):
            return None
        return np.array(cells, object)[:, None]

    def _lengths(self, column: str) -> NDArray[np.int64]:
        values = _numbers([column], self.columns, self.place)[:, 0]
        wrong = (values < 1) | (values != np.round(values))
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise UserError(f"{self.place(row)}, column {column!r}: {values[row]:g} is no number of steps")
        return values.astype(np.int64)

    def parts(self, samples: FilePart, split: str) -> dict[str, FilePart]:
        """The samples by what the column ``split`` says: ``train``, ``val`` or ``test``.

        Raises:
            UserError: if that column is missing, says anything else or ``train`` nowhere.
        """
        self.check_names([split])
        said = np.array([str(cell).strip() for cell in self.columns[split]])
        unknown = np.flatnonzero(~np.isin(said, _PARTS))
        if len(unknown):
            row = int(unknown[0])
            raise UserError(f"{self.place(row)}, column {split!r}: {said[row]!s:.40} is none of {', '.join(_PARTS)}")
        if "train" not in said:
            raise UserError(f"{self.path}, column {split!r} says train in no row")
        return {part: samples.take(np.flatnonzero(said == part)) for part in _PARTS if part in said}


def read_table(path: Path) -> Table:
    """Read a ``.csv`` file (UTF-8, commas, names of the columns in its first line) or a ``.parquet`` file.

    Raises:
        UserError: that names the file, and the line where there is one: if it can't be read, is empty, or has a row of
            another length; if pandas is missing, which ``.parquet`` needs.
    """
    try:
        path.open("rb").close()  # pandas would not say why it can't
        return _read_csv(path) if path.suffix.lower() == ".csv" else _read_parquet(path)
    except OSError as error:
        raise UserError(f"{path} can't be read ({error.strerror or error})") from error


def _read_csv(path: Path) -> Table:
    rows: list[list[str]] = []
    lines: list[int] = []
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file)
        try:
            names = [name.strip() for name in next(reader, [])]
            for row in reader:
                if not row:
                    continue
                if len(row) != len(names):
                    raise UserError(f"{path}, line {reader.line_num} has {len(row)} values, but {len(names)} columns")
                rows.append(row)
                lines.append(reader.line_num)
        except (csv.Error, UnicodeDecodeError) as error:
            raise UserError(
                f"{path}, near line {reader.line_num + 1} is no UTF-8 text with commas ({error})"
            ) from error
    if not names or not rows:
        raise UserError(f"{path} is empty" if not names else f"{path} has a line of names, but no row of values")
    _check_names(path, names)
    columns = dict(zip(names, zip(*rows, strict=True), strict=True))
    return Table(path, columns, lambda index: f"{path}, line {lines[index]}")


def _check_names(path: Path, names: list[str]) -> None:
    if all(is_number(name) for name in names):
        raise UserError(f"{path}, line 1 has numbers; it must have the names of the columns")
    if len(names) == 1 and ";" in names[0]:
        raise UserError(f"{path}, line 1 has semicolons; the columns must be separated by commas")
    for index, name in enumerate(names):
        if name in names[:index]:
            raise UserError(f"{path}, line 1 names the column {name!r} twice")


def _read_parquet(path: Path) -> Table:
    pandas = library("pandas", "pandas", "data", "A .parquet file")
    library("pyarrow", "pyarrow", "data", "A .parquet file")
    try:
        frame = pandas.read_parquet(path, engine="pyarrow")
    except OSError:
        raise
    except Exception as error:  # pyarrow's errors have no common class below this one
        raise UserError(f"{path} is damaged or no .parquet file ({str(error).splitlines()[0]})") from error
    if frame.empty:
        raise UserError(f"{path} is empty")
    columns = {str(name): frame.iloc[:, index] for index, name in enumerate(frame.columns)}
    return Table(path, columns, lambda index: f"{path}, row {index}")


def _numbers(
    names: Sequence[str], columns: dict[str, Any], place: Callable[[int], str], missing: bool = False
) -> NDArray[Any]:
    values = np.empty((len(columns[names[0]]), len(names)))
    for index, name in enumerate(names):
        column = columns[name]
        if missing and isinstance(column, tuple):
            column = tuple("nan" if str(cell).strip().lower() in _MISSING else cell for cell in column)
        try:
            # a nullable column of pandas says what its missing values become; a column of text is a tuple
            numeric = column.to_numpy(dtype=np.float64, na_value=np.nan) if hasattr(column, "to_numpy") else column
            if getattr(getattr(column, "dtype", None), "kind", "f") in "mM":
                raise ValueError("dates")
            if isinstance(column, tuple) and not all(map(is_number, column)):  # NumPy reads 1_0 as 10
                raise ValueError("no numbers")
            values[:, index] = np.asarray(numeric, dtype=np.float64)
        except (ValueError, TypeError):
            row, cell = next((row, cell) for row, cell in enumerate(column) if not is_number(cell))
            shown = "is empty" if str(cell).strip() == "" else f"has {str(cell)[:40]!r}, which is no number"
            raise UserError(f"{place(row)}, column {name!r} {shown}") from None
    check_numbers(values, lambda at: f"{place(at[0])}, column {names[at[1]]!r}", missing)
    return values
