"""One trial of a sweep: a fit from one seed or several, what it comes to on the validation data, and its early end."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning import Callback, LightningModule, Trainer
from torch import nn

from litspike.cli.arguments import Call
from litspike.cli.command import Outcome
from litspike.cli.process_state import restored
from litspike.cli.seeds import arguments_of, begun_in, finished_in
from litspike.cli.sweep.space import OPERATIONS
from litspike.coding.valid import valid_steps
from litspike.metrics import Operations
from litspike.runs import checkpoints
from litspike.runs.folder import BEST, Run
from litspike.runs.processes import repeatable
from litspike.settings import UserError
from litspike.tasks.batches import unpack

Runner = Callable[[Call, Path, list[Callback]], Outcome]
"""Runs one command line in a home, with callbacks of its own."""


class Pruned(Exception):
    """A trial was ended since others did better."""


@dataclass(frozen=True)
class Fits:
    """What all trials of a sweep share.

    Args:
        arguments: those of the sweep that are a fit's.
        metrics: names of the metrics.
        seeds: number of seeds of each trial; None: the configuration's own seed.
        home: folder with ``configs/``.
        run: what runs a command line.
    """

    arguments: list[str]
    metrics: list[str]
    seeds: int | None
    home: Path
    run: Runner

    def values(self, own: list[str], folder: Path, pruning: Callback | None) -> list[float]:
        """Train with a trial's own arguments, and return the metrics of the best checkpoint; of several seeds the mean.

        A fit that was cut short goes on, and one that is finished isn't run again.

        Args:
            own: the trial's arguments.
            folder: the trial's folder; what the fits print goes into its ``output.txt``.
            pruning: ends the fit of the first seed early.

        Raises:
            UserError: if a metric is NaN or infinite, or a fit fails.
            Pruned: if it was ended early.
        """
        found = []
        folder.mkdir(parents=True, exist_ok=True)
        for seed, logs in enumerate(self.folders(folder)):
            seeds = [] if self.seeds is None else arguments_of(seed)
            callbacks = [pruning] if pruning is not None and seed == 0 else []
            with _printing_into(folder / "output.txt"):
                found.append(self._of_one(own, seeds, logs, callbacks))
        return [sum(values) / len(found) for values in zip(*found, strict=True)]

    def folders(self, folder: Path) -> list[Path]:
        """The folder of runs of each seed of a trial."""
        return [folder] if self.seeds is None else [folder / f"seed-{seed}" for seed in range(self.seeds)]

    def _of_one(self, own: list[str], seeds: list[str], logs: Path, callbacks: list[Callback]) -> list[float]:
        placed = ["--logs", str(logs)]
        if finished_in(logs) is None:
            begun = begun_in(logs)
            start = ["--ckpt_path", str(begun)] if begun else seeds
            self._command(["fit", *start, *self.arguments, *own, *placed], callbacks)
        run = finished_in(logs)
        if run is None or not run.checkpoint(BEST).is_file():
            raise UserError(f"the fit left no best checkpoint in {logs}: was a part of it switched off?")
        return [self._metric(name, run, placed) for name in self.metrics]

    def _metric(self, name: str, run: Run, placed: list[str]) -> float:
        best = run.checkpoint(BEST)
        if name == OPERATIONS:
            counting = ValidationOperations()
            self._command(["validate", "--ckpt_path", str(best), *placed], [counting])
            value = counting.each
        else:
            value = checkpoints.figures(checkpoints.read(best)).get(name, math.nan)
        if not math.isfinite(value):
            raise UserError(f"{name} is {value}")
        return value

    def _command(self, args: list[str], callbacks: list[Callback]) -> None:
        with repeatable(args), restored():
            self.run(Call(args, self.home), self.home, callbacks)


class ValidationOperations(Callback):
    """Counts the synaptic operations of a sample in a pass over the validation data."""

    def __init__(self) -> None:
        self.each = math.nan
        """Multiply–accumulates and accumulates a sample, once the pass is done."""
        self._hooks, self._passes = ExitStack(), ExitStack()
        self._operations: Operations | None = None
        self._lengths: Any = None

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        network: Any = getattr(pl_module, "network", None)
        if not isinstance(network, nn.Module):
            raise UserError(f"{OPERATIONS}: {type(pl_module).__name__} has no network whose operations are counted")
        self._hooks.callback(network.register_forward_pre_hook(self._begin).remove)
        self._hooks.callback(network.register_forward_hook(lambda *_: self._passes.close()).remove)

    def on_validation_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, *_: Any) -> None:
        self._lengths = unpack(batch)[2]

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._hooks.close()
        if self._operations is not None:
            counts = self._operations.compute().values()
            self.each = float(sum(float(count[kind].sum()) for count in counts for kind in ("macs", "acs")))

    def _begin(self, network: nn.Module, arguments: tuple[Any, ...]) -> None:
        steps, samples = arguments[0].shape[:2]
        if self._operations is None:
            self._operations = Operations(network, steps).to(arguments[0].device)
        valid = None if self._lengths is None else valid_steps(steps, self._lengths)
        self._passes.enter_context(self._operations.counted(samples, valid))


class Pruning(Callback):
    """Reports the metric of each validation, and ends a fit that should be.

    Args:
        metric: its name.
        judge: gets the epoch and the value; whether to go on.
    """

    def __init__(self, metric: str, judge: Callable[[int, float], bool]) -> None:
        self.metric, self.judge = metric, judge

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Judge, in a fit of one process: of several only the first would end."""
        value = trainer.callback_metrics.get(self.metric)
        if trainer.sanity_checking or trainer.state.fn != "fit" or trainer.world_size > 1 or value is None:
            return
        if math.isfinite(value) and not self.judge(trainer.current_epoch, float(value)):
            raise Pruned


@contextmanager
def _printing_into(path: Path) -> Iterator[None]:
    with path.open("a", encoding="utf-8") as file, redirect_stdout(file), redirect_stderr(file):
        yield
