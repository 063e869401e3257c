"""The progress bar: one for a whole fit, with the time that remains."""

from __future__ import annotations

import math
import time
from functools import cached_property
from typing import Any

from lightning import Trainer
from lightning.pytorch.callbacks import ProgressBar
from rich.console import Console
from rich.progress import Progress

from litspike.terminal import progress_bar

REFRESH_SECONDS = 0.25


class FitProgress(ProgressBar):
    """A live bar over all batches of a fit, or of an evaluation. It needs a terminal.

    Lightning's own bars start anew with each epoch and look up all metrics after each batch: of a fit of 200 epochs of
    50 ms they show neither how far it is nor how long it takes.

    Args:
        console: where the bar is drawn; standard output where None.
    """

    def __init__(self, console: Console | None = None) -> None:
        super().__init__()
        self._given = console
        self._progress: Progress | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in ("_console", "_progress")} | {
            "_progress": None
        }

    @cached_property
    def _console(self) -> Console:
        """Made at its first use, as none can be pickled."""
        return self._given or Console()

    def print(self, *args: Any, **kwargs: Any) -> None:
        self._console.print(*args, **kwargs, highlight=False, markup=False, soft_wrap=True)

    def disable(self) -> None:
        # Lightning calls it on every process but the first
        self._close()
        self._console.quiet = True

    def enable(self) -> None:
        self._console.quiet = False

    def on_train_start(self, trainer: Trainer, *_: Any) -> None:
        epochs = math.inf if trainer.max_epochs in (None, -1) else trainer.max_epochs
        batches = trainer.num_training_batches * float(epochs or 0)
        if trainer.max_steps != -1:
            batches = min(batches, trainer.max_steps * trainer.accumulate_grad_batches)
        self._open("fit", batches, trainer.fit_loop.epoch_loop.total_batch_idx + 1)

    def on_train_epoch_start(self, trainer: Trainer, *_: Any) -> None:
        of = f"/{trainer.max_epochs}" if trainer.max_epochs != -1 else ""
        self._describe(f"epoch {trainer.current_epoch + 1}{of}")

    def on_train_batch_end(self, *_: Any, **__: Any) -> None:
        self._advance()

    on_test_batch_end = on_predict_batch_end = on_train_batch_end

    def on_train_end(self, *_: Any, **__: Any) -> None:
        self._close()

    on_exception = on_test_end = on_predict_end = on_train_end

    def on_validation_start(self, trainer: Trainer, *_: Any) -> None:
        if trainer.state.fn == "validate":
            self._open("validate", sum(map(float, trainer.num_val_batches)))

    def on_validation_batch_end(self, trainer: Trainer, *_: Any) -> None:
        if trainer.state.fn == "validate":
            self._advance()

    def on_validation_end(self, trainer: Trainer, *_: Any) -> None:
        if trainer.state.fn == "validate":
            self._close()

    def on_test_start(self, trainer: Trainer, *_: Any) -> None:
        self._open("test", sum(map(float, trainer.num_test_batches)))

    def on_predict_start(self, trainer: Trainer, *_: Any) -> None:
        self._open("predict", sum(map(float, trainer.num_predict_batches)))

    def _open(self, description: str, batches: float, done: int = 0) -> None:
        # drawn between batches: a thread of its own would take time from training
        self._progress = progress_bar("{task.description}", "batches", console=self._console, auto_refresh=False)
        self._task = self._progress.add_task(
            description, total=None if math.isinf(batches) else batches, completed=done
        )
        self._done, self._next_draw = done, 0.0
        self._progress.start()

    def _describe(self, description: str) -> None:
        if self._progress is not None:
            self._progress.update(self._task, description=description)

    def _advance(self) -> None:
        self._done += 1
        now = time.monotonic()
        if self._progress is not None and now >= self._next_draw:
            self._progress.update(self._task, completed=self._done, refresh=True)
            self._next_draw = now + REFRESH_SECONDS

    def _close(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
