"""How a ``.csv`` file is written, found from its first lines."""

from __future__ import annotations

import csv
import itertools
import re
from pathlib import Path

from litspike.data.file_part import is_number
from litspike.data.tables import Separator, TextForm, is_missing
from litspike.settings import UserError

_SEPARATORS: dict[Separator, str] = {",": ",", ";": ";", "tab": "\t", "|": "|"}
_LINES = 50
"""Lines that are read."""
_WITH_COMMA = re.compile(r"[-+]?\d+,\d+(?:[eE][-+]?\d+)?")


def form_of(path: Path) -> TextForm:
    """The separator that gives most lines one number of columns, the decimal sign, and whether names stand first.

    Raises:
        UserError: if it can't be read, is no UTF-8 text, or is empty.
    """
    lines = _first_lines(path)
    cut = {name: [row for row in csv.reader(lines, delimiter=sign) if row] for name, sign in _SEPARATORS.items()}
    separator = max(cut, key=lambda name: _fit(cut[name]))
    rows = cut[separator]
    decimal = separator != "," and any(_WITH_COMMA.fullmatch(cell.strip()) for row in rows for cell in row)
    return TextForm(separator, "," if decimal else ".", _has_names(rows, decimal))


def _first_lines(path: Path) -> list[str]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = list(itertools.islice(file, _LINES))
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is no UTF-8 text (byte {error.start}): save it as UTF-8") from None
    except OSError as error:
        raise UserError(f"{path} can't be read ({error.strerror or error})") from error
    if not any(line.strip() for line in lines):
        raise UserError(f"{path} is empty")
    return lines


def _fit(rows: list[list[str]]) -> tuple[float, int]:
    """The share of the rows that have as many columns as the first, which must be several; and that number."""
    columns = len(rows[0]) if rows else 0
    if columns < 2:
        return 0.0, columns
    return sum(len(row) == columns for row in rows) / len(rows), columns


def _has_names(rows: list[list[str]], comma: bool) -> bool:
    """Whether the first row is one of names: it has no number in most of the columns that have numbers below it."""
    first, *others = rows

    def number(cell: str) -> bool:
        return is_number(cell.replace(",", ".") if comma else cell)

    below = [column for column in zip(first, *(row for row in others if len(row) == len(first)), strict=True)]
    numeric = [cells for cells in below if cells[1:] and all(number(cell) or is_missing(cell) for cell in cells[1:])]
    if not numeric:
        return True
    return sum(number(cells[0]) or is_missing(cells[0]) for cells in numeric) * 2 < len(numeric)
