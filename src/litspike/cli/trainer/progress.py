"""Which progress bar a command shows: the user's own, litspike's in a fit, or none where there is no terminal."""

from __future__ import annotations

import sys
from typing import Any

from lightning import Callback
from lightning.pytorch.callbacks import ProgressBar

from litspike.callbacks import FitProgress
from litspike.cli.check.trainer import as_list


def choose_bar(settings: dict[str, Any]) -> list[Callback]:
    """The bar to add to a trainer's callbacks, if any; what the trainer's settings say of bars is made to agree.

    Args:
        settings: the trainer's, which are changed.
    """
    callbacks = as_list(settings["callbacks"])
    own = any(isinstance(callback, ProgressBar) for callback in callbacks)
    if settings["enable_progress_bar"] is False:
        return []
    if not sys.stdout.isatty():  # what is no terminal gets no control characters
        settings["enable_progress_bar"] = False
        settings["callbacks"] = [callback for callback in callbacks if not isinstance(callback, ProgressBar)]
        return []
    return [] if own else [FitProgress()]
