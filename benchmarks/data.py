"""Do the loaders keep the network fed? Batches per second of the loader alone, and of training.

    python benchmarks/data.py

Each set is trained by `fit` as `python main.py fit` runs it, without validation and pictures, in a process of its own;
then the same process goes through the same loader without a network. The first epoch of each is not counted. The part
that loading can take of training is the ratio of the two; with workers it goes on beside training. The table has the
best of several runs, since a machine that others use adds time and never takes it away.

The events are drawn: 8000 of them in each recording of 700 units, as many as a word of the Heidelberg digits has. They
go through the cache on disk as real ones do.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from lightning import Callback, LightningModule, Trainer

from litspike.cli.arguments import Call
from litspike.cli.execute import run_command
from litspike.cli.process_state import console_messages
from litspike.data import EventDataModule
from litspike.data.events.binning import Events, Sensor

PROJECT = Path(__file__).resolve().parent.parent
QUIET = "--trainer.limit_val_batches 0 --checkpoint.monitor train/loss --pictures.every 0 --console.epochs false"
SEQUENCES = (
    "--model.encoder litspike.coding.TimeFirst --model.loss litspike.tasks.CrossEntropy "
    "--model.network.sizes {} --calibrate.batches 0 --data {} --data.batch_size {}"
)
EVENTS = SEQUENCES.format("[140,128,20]", "__main__.Words", 64)
SETS = {
    "default": "",
    "digits": f"-c {PROJECT}/configs/digits.yaml",
    "manifolds": SEQUENCES.format("[50,128,10]", "litspike.data.Manifolds", 128),
    "events": EVENTS,
    "events, 2 workers": f"{EVENTS} --data.workers 2",
}


class Drawn:
    """Recordings of random events, each the same whenever it is asked for."""

    files = ()

    def __len__(self) -> int:
        return Words.official["train"]

    def __getitem__(self, index: int) -> Events:
        draws = np.random.default_rng(index)
        return Events(np.sort(draws.integers(0, 1_000_000, 8000)), (draws.integers(0, 700, 8000),))


class Words(EventDataModule):
    """Drawn events in the shape of the Heidelberg digits: 100 bins of 10 ms, 700 units summed by five."""

    sensor = Sensor((700,), spatial=1)
    classes = 20
    official: ClassVar = {"train": 1024}

    def __init__(self, cache: str = "", workers: int = 0, batch_size: int = 64) -> None:
        super().__init__("", cache, 100, 10.0, 5, None, batch_size, 256, workers, 0)

    def recordings(self, split: str) -> tuple[Any, Any]:
        return Drawn(), np.arange(len(Drawn())) % self.classes

    def split_of(self, part: str) -> str:
        return "train"

    def chosen(self, part: str, recordings: Any, labels: Any) -> Any:
        return np.ones(len(labels), bool)

    def _key(self, split: str, recordings: Any) -> bytes:
        return bytes(32)  # no file and no Tonic that it could depend on


class Clock(Callback):
    """Takes the time of every epoch but the first, in batches per second."""

    def __init__(self) -> None:
        self.began, self.speeds = 0.0, []

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.began = time.perf_counter()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.speeds.append(trainer.num_training_batches / (time.perf_counter() - self.began))


def run_job(name: str, epochs: int) -> None:
    """What the process of one set does: fit, then its loader alone."""
    with console_messages(True), tempfile.TemporaryDirectory() as folder:
        arguments = f"fit {QUIET} {SETS[name]} --trainer.callbacks __main__.Clock --trainer.max_epochs {epochs}"
        cache = ["--data.cache", folder] if "Words" in arguments else []
        outcome = run_command(Call([*arguments.split(), *cache, "--logs", folder], PROJECT), PROJECT)
        clock = next(callback for callback in outcome.trainer.callbacks if isinstance(callback, Clock))
        loader, alone = outcome.parts.data.train_dataloader(), []
        for epoch in range(epochs):
            loader.sampler.set_epoch(epoch)
            began = time.perf_counter()
            batches = sum(1 for _ in loader)
            alone.append(batches / (time.perf_counter() - began))
        print(json.dumps({"training": max(clock.speeds[1:]), "loader": max(alone[1:]), "batch": loader.batch_size}))


def measured(name: str, epochs: int) -> dict[str, float]:
    """Run a set in a process of its own."""
    command = [sys.executable, __file__, "--job", name, "--epochs", str(epochs)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def report(epochs: int, repeats: int, names: list[str]) -> None:
    """Print the table."""
    print("| data | batch | loader alone, batches/s | training, batches/s | loading as a part of training |")
    print("|---|---|---|---|---|")
    for name in names:
        results = [measured(name, epochs) for _ in range(repeats)]
        loader, training = (max(result[key] for result in results) for key in ("loader", "training"))
        print(
            f"| {name} | {results[0]['batch']} | {loader:.0f} | {training:.0f} | {training / loader:.1%} |", flush=True
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--sets", nargs="+", choices=list(SETS), default=list(SETS))
    parser.add_argument("--job", choices=list(SETS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job:
        run_job(options.job, options.epochs)
    else:
        report(options.epochs, options.repeats, options.sets)
