"""The subcommand that draws a checkpoint into files: a validation that somebody looks at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning import Trainer

from litspike.callbacks import AnimationFile, PictureFiles, Pictures


class DrawingTrainer(Trainer):
    """Lightning's trainer, with a method for each subcommand of ours: the command line's have one of their name."""

    def picture(self, *args: Any, **kwargs: Any) -> Any:
        """Draw pictures of a network and its neurons, on the validation data, into files."""
        return self.validate(*args, **kwargs)

    def export(self, model: Any = None, ckpt_path: str | None = None, datamodule: Any = None) -> None:
        """Write a network in another format, run what was written, and compare it with the network."""
        raise NotImplementedError("it is done without a trainer's loop")


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
