"""The page of a comparison: one HTML file that needs nothing beside it."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING

from litspike.reports.compare.tables import Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: 1rem 0; }
th, td { border-bottom: 1px solid #ddd; padding: .3rem .9rem .3rem 0; text-align: left; vertical-align: top; }
img { max-width: 100%; }
"""


def page(
    subjects: Sequence[str],
    tables: dict[str, list[Row]],
    pictures: dict[str, Figure],
    notes: Sequence[str],
) -> str:
    """The page as HTML.

    Args:
        subjects: a line for each thing compared; the tables call them A, B, C and so on.
        tables: title → rows.
        pictures: title → picture.
        notes: lines at its end.
    """
    lines = ["<!doctype html>", '<html lang="en">', '<meta charset="utf-8">', "<title>Comparison of runs</title>"]
    lines += [f"<style>{STYLE}</style>", "<h1>Comparison of runs</h1>"]
    lines += [f"<p><b>{letter(place)}</b> {escape(name)}</p>" for place, name in enumerate(subjects)]
    for title, rows in tables.items():
        lines += [f"<h2>{escape(title)}</h2>", *_table(rows, len(subjects))]
    for title, figure in pictures.items():
        lines += [f"<h2>{escape(title)}</h2>", f'<img alt="{escape(title)}" src="{_address(figure)}">']
    return "\n".join([*lines, *(f"<p>{escape(note)}</p>" for note in notes), "</html>", ""])


def letter(place: int) -> str:
    """What a subject is called in the tables: A, B, … Z, and then 27, 28, …."""
    return chr(ord("A") + place) if place < 26 else str(place + 1)


def _table(rows: list[Row], subjects: int) -> Iterator[str]:
    if not rows:
        yield "<p>None.</p>"
        return
    yield f"<table><tr><th></th>{''.join(f'<th>{letter(place)}</th>' for place in range(subjects))}</tr>"
    for row in rows:
        yield f"<tr><td>{escape(row.name)}</td>{''.join(f'<td>{escape(value)}</td>' for value in row.values)}</tr>"
    yield "</table>"


def _address(figure: Figure) -> str:
    """The picture itself, as an address."""
    drawn = io.BytesIO()
    figure.savefig(drawn, format="svg")
    return f"data:image/svg+xml;base64,{base64.b64encode(drawn.getvalue()).decode()}"
