"""Tables with a column for each feature: ``.csv`` files, arrays in ``.npy`` files, ``.parquet`` files through pandas.

A ``.csv`` file is read by Python's own reader: pandas isn't needed for it, and doesn't say in which line a row is.
"""

from __future__ import annotations

import csv
import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from litspike.data.extras import library
from litspike.data.file_part import FilePart, check_numbers, class_name, is_number
from litspike.settings import UserError

_PARTS = ("train", "val", "test")
_SHOWN = 10
_DECIMAL = re.compile(r"[+-]?\d+,\d+")
_MISSING = ("", "nan", "na", "n/a", "null", "none", "?", "-")
"""What a cell says whose value is missing, whatever its case."""


Separator = Literal[",", ";", "tab", "|"]
Decimal = Literal[".", ","]


@dataclass(frozen=True)
class TextForm:
    """How a ``.csv`` file is written.

    Args:
        separator: what stands between the columns.
        decimal: the sign before a number's decimals; with a comma ``1.234,5`` is no number.
        header: whether the first line has the names of the columns; else they are called 0, 1, 2, …
    """

    separator: Separator = ","
    decimal: Decimal = "."
    header: bool = True

    @property
    def sign(self) -> str:
        """The separator as it stands in the file."""
        return "\t" if self.separator == "tab" else self.separator


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

    def check_names(self, names: Sequence[str], remedy: str = "") -> None:
        """Refuse a name that no column has, with what to do about it."""
        for name in names:
            if name not in self.columns:
                has = ", ".join(map(repr, list(self.columns)[:_SHOWN])) + ", …" * (len(self.columns) > _SHOWN)
                plain = {other.casefold(): other for other in self.columns}
                near = difflib.get_close_matches(name.casefold(), plain, n=1)
                remedy = f"; did you mean {plain[near[0]]!r}?" if near else remedy
                raise UserError(f"{self.path} has no column {name!r}; it has {has}{remedy}")

    def samples(
        self,
        label: Sequence[str],
        ignore: Sequence[str],
        length: str | None = None,
        features: Sequence[str] | None = None,
        missing: bool = False,
        named: bool = False,
    ) -> FilePart:
        """All rows as samples [N, F] and labels [N, D], or names of classes [N, 1].

        Args:
            label: the columns that are labels or targets; not read where ``features`` are named.
            ignore: columns that are neither label nor feature, where they are there.
            length: the column that says how many steps a row has; cells after them may be empty.
            features: the columns that are features; None: all others.
            missing: whether an empty cell, or one that says so, is a value that is missing.
            named: whether the label is a name though it looks like a number.

        Raises:
            UserError: if a column is missing, no feature is left or a cell is no finite number.
        """
        if features is None:
            self.check_names(label, ": set data.label to the one of the labels")
        names = features or [name for name in self.columns if name not in (*label, *ignore, length)]
        if not names:
            raise UserError(f"{self.path} has no column of features beside {', '.join(map(repr, label))}")
        self.check_names(names if length is None else [*names, length])
        lengths = None if length is None else self._lengths(length)
        x = _numbers(names, self.columns, self.place, missing or lengths is not None, _of_a_feature)
        y = None
        if features is None:
            self._check_labelled(label)
            y = self._names(label[0], named) if len(label) == 1 else None
            y = _numbers(label, self.columns, self.place, remedy=_of_a_label) if y is None else y
        shown = {name: np.asarray(column, object) for name, column in self.columns.items()}
        return FilePart(x, y, str(self.path), self.place, tuple(names), lengths, shown)

    def _check_labelled(self, label: Sequence[str]) -> None:
        for name in label:
            row = next((row for row, cell in enumerate(self.columns[name]) if is_missing(cell)), None)
            if row is not None:
                cell = str(self.columns[name][row]).strip()
                shown = f"has {cell!r}, which stands for a missing value" if cell else "is empty"
                raise UserError(f"{self.place(row)}, column {name!r} {shown}: take rows without a label out")

    def _names(self, label: str, named: bool) -> NDArray[Any] | None:
        """Names of classes [N, 1]; None of a column with a number in it."""
        cells = [class_name(cell) for cell in self.columns[label]]
        text = all(isinstance(cell, str) for cell in self.columns[label])
        if not named and (not text or any(map(is_number, cells))):
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
        parts = np.array([str(cell).strip() for cell in self.columns[split]])
        unknown = np.flatnonzero(~np.isin(parts, _PARTS))
        if len(unknown):
            row = int(unknown[0])
            raise UserError(f"{self.place(row)}, column {split!r}: {parts[row]!s:.40} is none of {', '.join(_PARTS)}")
        if "train" not in parts:
            raise UserError(f"{self.path}, column {split!r} says train in no row")
        return {part: samples.take(np.flatnonzero(parts == part)) for part in _PARTS if part in parts}


def is_missing(cell: Any) -> bool:
    """Whether a cell says that its value is missing."""
    return str(cell).strip().lower() in _MISSING


def read_table(path: Path, form: TextForm = TextForm()) -> Table:  # it is frozen
    """Read a ``.csv`` file (UTF-8), the rows and columns of an ``.npy`` file, or a ``.parquet`` file.

    Raises:
        UserError: that names the file, and the line where there is one: if it can't be read, is empty, or has a row of
            another length; if pandas is missing, which ``.parquet`` needs.
    """
    try:
        path.open("rb").close()  # pandas would not say why it can't
        suffix = path.suffix.lower()
        return (
            _read_csv(path, form) if suffix == ".csv" else _read_npy(path) if suffix == ".npy" else _read_parquet(path)
        )
    except OSError as error:
        raise UserError(f"{path} can't be read ({error.strerror or error})") from error


def _read_csv(path: Path, form: TextForm) -> Table:
    names: list[str] = []
    rows: list[list[str]] = []
    lines: list[int] = []
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file, delimiter=form.sign)
        try:
            for row in reader:
                if not names:
                    names = [name.strip() if form.header else str(at) for at, name in enumerate(row)]
                    if form.header or not row:
                        continue
                if not row:
                    continue
                if len(row) != len(names):
                    if form.header:
                        _check_names(path, names, form)
                    raise UserError(f"{path}, line {reader.line_num} has {len(row)} values, but {len(names)} columns")
                rows.append([_with_point(cell) for cell in row] if form.decimal == "," else row)
                lines.append(reader.line_num)
        except (csv.Error, UnicodeDecodeError) as error:
            place, sign = f"{path}, near line {reader.line_num + 1}", form.separator
            raise UserError(f"{place} is no UTF-8 text with {sign!r} between columns: save it so ({error})") from error
    if not names or not rows:
        raise UserError(f"{path} is empty" if not names else f"{path} has a line of names, but no row of values")
    if form.header:
        _check_names(path, names, form)
    columns = dict(zip(names, zip(*rows, strict=True), strict=True))
    return Table(path, columns, lambda index: f"{path}, line {lines[index]}")


def _with_point(cell: str) -> str:
    """A number with a decimal comma as one with a point; any other text as it is."""
    pointed = cell.replace(",", ".")
    return pointed if "." not in cell and is_number(pointed) else cell


def _read_npy(path: Path) -> Table:
    try:
        values = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise UserError(f"{path} is damaged or no .npy file of numbers ({str(error).splitlines()[0]})") from error
    if not isinstance(values, np.ndarray):
        raise UserError(f"{path} is no .npy file: an archive of several arrays is called .npz")
    if values.dtype.names and values.ndim == 1:
        columns = {name: values[name] for name in values.dtype.names}
    elif values.ndim == 2 and values.dtype.kind in "biufUS":
        columns = {str(at): values[:, at] for at in range(values.shape[1])}
    else:
        raise UserError(f"{path}: the shape {list(values.shape)} is no table; save x and y together with numpy.savez")
    if not values.size:
        raise UserError(f"{path} is empty")
    columns = {name: tuple(map(str, cells)) if cells.dtype.kind in "US" else cells for name, cells in columns.items()}
    return Table(path, columns, lambda index: f"{path}, row {index}")


def _check_names(path: Path, names: list[str], form: TextForm) -> None:
    if any("\0" in name for name in names):
        raise UserError(f"{path}, line 1 is no UTF-8 text, but as UTF-16 has it: save it as UTF-8")
    if all(is_number(name) for name in names):
        raise UserError(f"{path}, line 1 has numbers, and no names of the columns: set data.header to false")
    for sign, other in ((";", "';'"), ("\t", "tab"), ("|", "'|'"), (",", "','")):
        if len(names) == 1 and sign in names[0] and sign != form.sign:
            raise UserError(f"{path}, line 1 has no {form.separator!r} between columns: set data.separator to {other}")
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


def _of_a_feature(column: Any, cell: Any) -> str:
    """What to do about a cell of a feature that is no number."""
    if str(cell).strip() == "":
        return ": set data.missing to mean or median to fill it"
    return "" if any(map(is_number, column)) else ": name a column that is no feature in data.ignore"


def _of_a_label(column: Any, cell: Any) -> str:
    """What to do about a label that is no number, beside others that are."""
    return ": set data.classes to names if labels are names" if any(map(is_number, column)) else ""


def _numbers(
    names: Sequence[str],
    columns: dict[str, Any],
    place: Callable[[int], str],
    missing: bool = False,
    remedy: Callable[[Any, Any], str] = lambda column, cell: "",
) -> NDArray[Any]:
    values = np.empty((len(columns[names[0]]), len(names)))
    for index, name in enumerate(names):
        column = columns[name]
        if missing and isinstance(column, tuple):
            column = tuple("nan" if is_missing(cell) else cell for cell in column)
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
            comma = _DECIMAL.fullmatch(str(cell).strip())
            todo = ": set data.decimal to ','" if comma else remedy(column, cell)
            raise UserError(f"{place(row)}, column {name!r} {shown}{todo}") from None
    check_numbers(values, lambda at: f"{place(at[0])}, column {names[at[1]]!r}", missing)
    return values
