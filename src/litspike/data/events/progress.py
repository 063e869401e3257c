"""A bar over the recordings that are being binned."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

T = TypeVar("T")


def shown(recordings: Iterable[T], total: int) -> Iterator[T]:
    """The recordings one after another, counted by a bar where standard output is a terminal, and just so elsewhere."""
    bar = Progress(
        TextColumn("binning"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("recordings"),
        TimeElapsedColumn(),
        TextColumn("remaining"),
        TimeRemainingColumn(),
        console=Console(),
        transient=True,
        disable=not sys.stdout.isatty(),  # rich itself believes FORCE_COLOR, where a log file would get the bar
    )
    with bar:
        yield from bar.track(recordings, total)
