"""The console that tables are printed on."""

from __future__ import annotations

from rich.console import Console


class Terminal(Console):
    """Rich's console, whose user hears of a pipe that nobody reads: Rich itself ends the process."""

    def on_broken_pipe(self) -> None:
        """Raise the error that is being handled."""
        raise
