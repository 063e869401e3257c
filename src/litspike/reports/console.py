"""What a run says on the console: a line for each epoch, a table at the end of a test."""

from __future__ import annotations

import time

from lightning import Callback, LightningModule, Trainer
from rich.table import Table

from litspike.figure_text import interval, written
from litspike.metrics import wilson_interval
from litspike.terminal import Terminal, say

STAGES = ("train", "val", "test")


class Console(Callback):
    """Prints the metrics of every epoch, and a table of those of a validation or test.

    Args:
        epochs: print a line with loss and accuracy for each epoch of a fit.
        table: print a table of the metrics at the end of validate and test.
    """

    def __init__(self, epochs: bool = True, table: bool = True) -> None:
        self.epochs, self.table = epochs, table
        self._due: str | None = None
        self._stages: list[str] = []

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # a fit that resumes inside an epoch never gets on_train_epoch_start
        self._stages, self._began = ["train"], time.monotonic()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # the metrics of the epoch before are complete only now
        self._print_due(trainer)
        self._stages, self._began = ["train"], time.monotonic()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn == "validate":
            self._print_table(trainer, pl_module, "val")
        elif trainer.is_last_batch:
            self._stages.append("val")
        elif self.epochs and not trainer.sanity_checking:
            say(trainer, f"{_epoch(trainer)} step {trainer.global_step}  {_text(trainer, 'val')}")

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # the module logs its metrics after this hook
        self._due = _epoch(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._print_due(trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        # an epoch may have been complete
        self._print_due(trainer)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._print_table(trainer, pl_module, "test")

    def _print_due(self, trainer: Trainer) -> None:
        if self._due is None or not self.epochs or not trainer.is_global_zero:
            return
        parts = [self._due, *(_text(trainer, stage) for stage in self._stages)]
        parts.append(f"{time.monotonic() - self._began:.2f} s")
        self._due = None
        say(trainer, "  ".join(parts))

    def _print_table(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if not self.table or not trainer.is_global_zero:
            return
        samples = getattr(pl_module, "samples", {}).get(stage, 0)
        metrics = logged(trainer, stage)
        title = f"{stage}, {samples} samples" if samples else stage
        counted = samples if "accuracy" in metrics else 0
        table = Table("metric", "value", *(["95% interval (Wilson)"] if counted else []), title=title)
        for name, value in metrics.items():
            there = counted and name == "accuracy"
            about = [interval(*wilson_interval(round(value * counted), counted))] if there else []
            table.add_row(name, written(value), *about)
        Terminal().print(table)


def _epoch(trainer: Trainer) -> str:
    of = f"/{trainer.max_epochs}" if trainer.max_epochs != -1 else ""
    return f"epoch {trainer.current_epoch + 1:{len(str(trainer.max_epochs))}d}{of}"


def _text(trainer: Trainer, stage: str) -> str:
    """The metrics of a stage in a line."""
    return " ".join([stage, *(f"{name} {written(value)}" for name, value in logged(trainer, stage).items())])


def logged(trainer: Trainer, stage: str) -> dict[str, float]:
    """The metrics of a stage by name, from the newest ``stage/name``, or ``stage_name``, that was logged."""
    metrics, beginnings = trainer.callback_metrics, (f"{stage}/", f"{stage}_")
    return {name[len(stage) + 1 :]: float(value) for name, value in metrics.items() if name.startswith(beginnings)}
