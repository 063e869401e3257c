"""Errors that a checkpoint which somebody else wrote leads to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lightning.fabric.utilities.exceptions import MisconfigurationException

from litspike.cli.errors import expected, users_code
from litspike.runs.processes import loss_of_another
from litspike.settings import UserError


@contextmanager
def untrusted_errors(checkpoint: Path) -> Iterator[None]:
    """Report in one line whatever error an untrusted checkpoint leads to: its parts may be of any kind and size."""
    try:
        yield
    except (UserError, MisconfigurationException):
        raise
    except Exception as error:
        if loss_of_another(error) or expected(error) or users_code(error):  # not by what is in the checkpoint
            raise
        reason = " ".join(str(error).split())[:300]
        raise UserError(
            f"{checkpoint.name} was not made by you, and fails: {type(error).__name__}: {reason}"
        ) from error
