"""What each column of a table is: label, feature, or nothing to learn from."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from litspike.data.file_part import is_number
from litspike.data.tables import is_missing

LABELS = (
    *("label", "labels", "target", "targets", "class", "klasse", "kind", "category", "species", "type", "y"),
    *("outcome", "result", "diagnosis", "response"),
)
"""What a label is often called."""
_SEVERAL = re.compile(r"(?:label|target|class|y)[ _-]?\w+", re.IGNORECASE)
_ID = re.compile(r"(?:.*[ _-])?(?:id|uuid|guid|index|idx|nr|no|number|row|key)|unnamed.*|", re.IGNORECASE)
_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}(?:[T ]\d{1,2}:\d{2}.*)?|\d{1,2}:\d{2}(?::\d{2}.*)?")
MOST_CLASSES = 30
"""Integers of so many values, or fewer, may be classes."""


@dataclass(frozen=True)
class Column:
    """The cells of a column, as far as they are not missing.

    Args:
        name: its name.
        cells: those that are there.
        rows: number of rows of the table.
    """

    name: str
    cells: Sequence[Any]
    rows: int

    @classmethod
    def of(cls, name: str, cells: Sequence[Any]) -> Column:
        """The column of a table."""
        return cls(name, [cell for cell in cells if not is_missing(cell)], len(cells))

    @property
    def missing(self) -> int:
        """Number of cells whose value is missing."""
        return self.rows - len(self.cells)

    @property
    def numeric(self) -> bool:
        """Whether each cell is a number."""
        return bool(self.cells) and all(map(is_number, self.cells))

    @property
    def whole(self) -> bool:
        """Whether each cell is an integer."""
        return self.numeric and all(float(cell).is_integer() for cell in self.cells)

    def counts(self) -> Counter[str]:
        """How often each value is there."""
        return Counter(f"{float(cell):.15g}" if self.numeric else str(cell).strip() for cell in self.cells)

    def classes(self) -> bool:
        """Whether its values may be classes: text, or few integers that come again."""
        values = len(self.counts())
        if not self.numeric:
            return values <= max(2, self.rows // 2)
        return self.whole and values <= min(MOST_CLASSES, max(2, self.rows // 5))

    def useless(self) -> str | None:
        """Why nothing can be learned from it; None of a feature."""
        if not self.cells:
            return "is empty"
        values = self.counts()
        if len(values) == 1:
            return "is the same in every row"
        if not self.numeric:
            dates = all(_DATE.fullmatch(str(cell).strip()) for cell in self.cells)
            return "has dates" if dates else "differs in every row" if len(values) == self.rows else "has text"
        return "looks like a number of the row" if self._counts_rows(len(values)) else None

    def _counts_rows(self, values: int) -> bool:
        if values < self.rows or not self.whole:
            return False
        numbers = [float(cell) for cell in self.cells]
        return bool(_ID.fullmatch(self.name.strip())) or all(after - before == 1 for before, after in pairwise(numbers))


def label_of(columns: Sequence[Column]) -> list[str]:
    """The column that is the label, or the several that are, by their names; else the last one that isn't useless."""
    named = [column for column in columns if column.name.strip().lower() in LABELS]
    if named:
        return [named[-1].name]
    several = [column.name for column in columns if _SEVERAL.fullmatch(column.name.strip())]
    if len(several) > 1 and len(several) < len(columns):
        return several
    text = [column for column in columns if not column.numeric and column.classes() and column.useless() == "has text"]
    if len(text) == 1:
        return [text[0].name]
    useful = [column for column in columns if column.useless() in (None, "has text")]
    return [(useful or list(columns))[-1].name]
