"""What is printed: lines for all processes of a training, and the console that tables are printed on."""

from __future__ import annotations

import sys
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

if TYPE_CHECKING:
    from lightning import Trainer
    from rich.progress import Progress

MOST_CHARACTERS = 1000
"""Length of the longest line that is printed of an error."""


class Terminal(Console):
    """Rich's console, whose user hears of a pipe that nobody reads: Rich itself ends the process."""

    def on_broken_pipe(self) -> None:
        """Raise the error that is being handled."""
        raise


def say(trainer: Trainer, line: str) -> None:
    """Print a line, once for all processes, above the progress bar where there is one."""
    if trainer.is_global_zero:
        bar = trainer.progress_bar_callback
        if bar is None:
            sys.stdout.write(f"{line}\n")  # in one piece, and whoever reads it through a pipe sees it now
            sys.stdout.flush()
        else:
            bar.print(line)


def progress_bar(description: str, things: str, console: Console | None = None, **settings: Any) -> Progress:
    """Rich's bar that counts things, with the time until now and the time that remains; it is gone at the end.

    Args:
        description: at its head; ``{task.description}`` is what the task is called at the moment.
        things: what is counted.
        console: where it is drawn; standard output where None.
        settings: further arguments of :class:`rich.progress.Progress`.
    """
    from rich import progress  # slow to import

    return progress.Progress(
        progress.TextColumn(description),
        *(progress.BarColumn(), progress.MofNCompleteColumn(), progress.TextColumn(things)),
        *(progress.TimeElapsedColumn(), progress.TextColumn("remaining"), progress.TimeRemainingColumn()),
        console=console or Console(),
        transient=True,
        **settings,
    )


def from_here(path: Path) -> Path:
    """A path as it is printed: from the current folder on, where it lies inside it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def one_line(text: str) -> str:
    """A text in one line of bounded length, without control characters."""
    text = " ".join(text.split())
    text = "".join(f"\\x{ord(sign):02x}" if unicodedata.category(sign) in ("Cc", "Cf", "Cs") else sign for sign in text)
    return text if len(text) <= MOST_CHARACTERS else f"{text[: MOST_CHARACTERS - 2]} …"
