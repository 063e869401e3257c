"""The subcommand that draws a checkpoint into files: a validation that somebody looks at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning import Trainer

from litspike.callbacks import AnimationFile, PictureFiles, Pictures


class DrawingTrainer(Trainer):
    """Lightning's trainer, with a method for our subcommand: each of the command line's has one of its name."""

    def picture(self, *args: Any, **kwargs: Any) -> Any:
        """Draw pictures of a network and its neurons, on the validation data, into files."""
        return self.validate(*args, **kwargs)


def picture_files(settings: Pictures, folder: Path, epochs: int) -> PictureFiles:
    """What draws into ``pictures/`` of a folder, as the settings have it.

    Args:
        settings: those of the pictures of a fit.
        folder: the run's, or that of a checkpoint without one.
        epochs: how many the checkpoint was trained for.
    """
    if settings.format == "gif":
        return AnimationFile(folder / "pictures", settings.samples, epochs)
    return PictureFiles(folder / "pictures", settings.format, settings.samples, epochs)
