"""Pictures of what a network does, in TensorBoard or in files."""

from __future__ import annotations

import gc
import warnings
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lightning import Callback, LightningModule, Trainer

from litspike.arguments import typed
from litspike.files import replacing
from litspike.loggers import boards, position
from litspike.reports.pictures.collect import ValidationSamples
from litspike.runs.collectives import as_the_first, at_the_first
from litspike.settings import LitspikeWarning, UserError, integer
from litspike.tasks.batches import unpack
from litspike.tasks.task import Task

if TYPE_CHECKING:
    from litspike.reports.pictures.draw import Named

MOST_LAYERS = 6
"""Layers whose spikes TensorBoard gets at each drawing, evenly spaced where there are more."""


class Drawing(Callback):
    """Base of what draws a validation: the spikes of each layer, membrane potentials, one sample through the network,
    the confusion matrix, the decision boundary of a plane, and learned parameters of the neurons.

    Each picture shows the network from rest, on validation samples. What is needed beyond the validation itself is
    two passes of a few samples, in evaluation mode and without touching any random state. A picture that can't be
    made warns and stops nothing.

    Args:
        samples: the most validation samples whose spikes are shown, as many of each class as of another.
        most_layers: the most layers whose spikes are shown; all where None.

    Raises:
        SettingError: if samples is below 1.
    """

    def __init__(self, samples: int, most_layers: int | None) -> None:
        self.samples, self.most_layers = integer("samples", samples), most_layers
        self._collected: ValidationSamples | None = None
        self._value: Any = None
        self._stop: Callable[[], None] | None = None
        self._problem: Exception | None = None

    @abstractmethod
    def due(self, trainer: Trainer) -> bool:
        """Whether the validation that begins is to be drawn; the first process is asked."""

    @abstractmethod
    def epoch(self, trainer: Trainer) -> int:
        """Epochs that the network has been trained for."""

    @abstractmethod
    def put(self, trainer: Trainer, name: str, figure: Any) -> None:
        """Show a picture, or write it."""

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._end()
        if isinstance(pl_module, Task) and as_the_first(trainer, self.due(trainer)):
            self._collected, self._problem = ValidationSamples(pl_module.loss, self.samples), None
            self._stop = pl_module.readout.register_forward_hook(self._listen).remove

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:  # fmt: skip
        if self._collected is None or self._problem is not None:
            return
        try:
            x, y, lengths = unpack(batch)
            self._collected.add(x, y, self._value, lengths)
        except Exception as error:  # a picture is not worth a run
            self._problem = error

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        collected, problem = self._collected, self._problem
        self._end()
        if collected is None:
            return
        counts = at_the_first(trainer, collected.confusion)  # every process has to call this, also after an error
        if not trainer.is_global_zero:
            return
        epoch = self.epoch(trainer)
        if problem is not None:
            warnings.warn(f"no picture of epoch {epoch}: {problem}", LitspikeWarning, stacklevel=2)
            return
        collected.confusion = sum(count for count in counts if count is not None) if collected.grouped else None
        with _uncollected():
            for name, draw in self._pictures(trainer, pl_module, collected, epoch):
                try:
                    if (figure := draw()) is not None:
                        self.put(trainer, name, figure)
                except UserError:
                    raise
                except Exception as error:  # nor is the next one
                    warnings.warn(f"no picture of epoch {epoch}: {name}: {error}", LitspikeWarning, stacklevel=2)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._end()

    def _pictures(self, trainer: Trainer, module: Any, collected: ValidationSamples, epoch: int) -> Iterator[Named]:
        try:
            yield from self.drawings(module, collected, f"epoch {epoch}{_score(trainer)}")
        except Exception as error:
            warnings.warn(f"no picture of epoch {epoch}: {error}", LitspikeWarning, stacklevel=2)

    def drawings(self, module: Any, collected: ValidationSamples, about: str) -> Iterator[Named]:
        """Name of each picture, and what draws it."""
        from litspike.reports.pictures.draw import pictures_of  # matplotlib is slow to import

        return pictures_of(module, collected, self.most_layers, about)

    def _listen(self, readout: Any, inputs: Any, value: Any) -> None:
        self._value = value.detach()

    def _end(self) -> None:
        if self._stop is not None:
            self._stop()
        self._collected = self._value = self._stop = None


class Pictures(Drawing):
    """Draws the network at intervals of a fit, for TensorBoard; nothing where its logger isn't there.

    Args:
        every: epochs from one drawing to the next; the last epoch is drawn too, in place of one less than half as many
            before it. 0 draws none.
        samples: the most validation samples whose spikes are shown, as many of each class as of another.
        format: kind of the files that ``main.py picture`` writes; ``gif`` draws one sample alone, step by step.

    Raises:
        SettingError: if every is below 0, samples below 1 or the format unknown.
    """

    @typed
    def __init__(self, every: int = 100, samples: int = 10, format: Literal["png", "svg", "gif"] = "png") -> None:
        super().__init__(samples, MOST_LAYERS)
        self.every, self.format = integer("every", every, 0), format

    def due(self, trainer: Trainer) -> bool:
        """Every so many epochs of a fit."""
        if not self.every or trainer.sanity_checking or trainer.state.fn != "fit":
            return False
        if not boards(trainer):
            return False
        epoch, last = self.epoch(trainer), trainer.max_epochs
        near = last is not None and 0 < last - epoch < self.every / 2
        return epoch == last or (epoch % self.every == 0 and not near)

    def epoch(self, trainer: Trainer) -> int:
        """The epoch that is being trained, from 1."""
        return trainer.current_epoch + 1

    def put(self, trainer: Trainer, name: str, figure: Any) -> None:
        """Show a picture in TensorBoard."""
        from litspike.reports.pictures.style import pixels

        for board in boards(trainer):
            board.experiment.add_image(name, pixels(figure), position(trainer), dataformats="HWC")


class PictureFiles(Drawing):
    """Draws every validation into files of a folder, such as ``confusion-matrix.png``.

    Args:
        folder: made where it isn't there; a file of the same name is replaced.
        format: ``png``, ``svg`` or ``gif``.
        samples: as in :class:`Pictures`.
        epoch: epochs that the network was trained for.

    Raises:
        UserError: if a file can't be written.
    """

    def __init__(self, folder: Path, format: Literal["png", "svg", "gif"], samples: int, epoch: int) -> None:
        super().__init__(samples, None)
        self.folder, self.format, self._epoch = folder, format, epoch
        self.paths: list[Path] = []
        """The files written."""

    def due(self, trainer: Trainer) -> bool:
        """At each validation that is none of a fit."""
        return trainer.state.fn == "validate"

    def epoch(self, trainer: Trainer) -> int:
        """What was given."""
        return self._epoch

    def put(self, trainer: Trainer, name: str, figure: Any) -> None:
        """Write a picture into its file."""
        path = self.folder / f"{name.replace('/', ' ').replace(' ', '-')}.{self.format}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with replacing(path) as draft:
                self.save(figure, draft)
        except OSError as error:
            raise UserError(f"{path} can't be written ({error.strerror})") from error
        self.paths.append(path)

    def save(self, figure: Any, path: Path) -> None:
        """Write a figure."""
        from litspike.reports.pictures.style import save

        save(figure, path, self.format)


class AnimationFile(PictureFiles):
    """Draws one sample of every validation, time step by time step, into ``one-sample.gif`` of a folder.

    Args:
        folder: as in :class:`PictureFiles`.
        samples: as in :class:`Pictures`; the sample is the one of these in which most happens.
        epoch: epochs that the network was trained for.

    Raises:
        UserError: if the file can't be written.
    """

    def __init__(self, folder: Path, samples: int, epoch: int) -> None:
        super().__init__(folder, "gif", samples, epoch)

    def drawings(self, module: Any, collected: ValidationSamples, about: str) -> Iterator[Named]:
        from litspike.reports.pictures.draw import ONE_SAMPLE, animation_of

        yield ONE_SAMPLE, lambda: animation_of(module, collected, about)

    def save(self, figure: Any, path: Path) -> None:
        from litspike.reports.pictures.style import save_frames

        save_frames(figure, path)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Hold the garbage collector back: a figure's many small objects would send it through all of torch's again."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def _score(trainer: Trainer) -> str:
    """The metric of the validation that says most."""
    for name in ("accuracy", "rmse", "loss"):
        if f"val/{name}" in trainer.callback_metrics:
            return f", validation {name} {float(trainer.callback_metrics[f'val/{name}']):.3g}"
    return ""
