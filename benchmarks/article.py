"""What the sound network learns, and what the article's learns as it is printed: five seeds each.

    python benchmarks/article.py

Every seed sets the points, the weights and the order of the batches. Each run is a whole `fit`; its best checkpoint
(on validation) is then tested on 10,000 fresh points.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from contextlib import ExitStack
from pathlib import Path

import torch

from litspike.cli.arguments import Call
from litspike.cli.command import Outcome, Parts, configured, make
from litspike.cli.execute import run_command
from litspike.cli.process_state import console_messages

PROJECT = Path(__file__).resolve().parent.parent
SILENT = ["--console.epochs", "false", "--console.table", "false", "--pictures.every", "0"]


def one_seed(config: str, seed: int, epochs: int, logs: str) -> tuple[float, float, float]:
    """Training accuracy of the last epoch, accuracy on fresh points, largest change of a first-layer weight."""

    def call(command: str, *more: str) -> Outcome:
        return run_command(Call([command, "--logs", logs, *SILENT, *more], PROJECT), PROJECT)

    seeds = ["--seed_everything", str(seed), "--data.seed", str(seed), "--data.test_points", "10000"]
    chosen = ["-c", str(PROJECT / "configs" / f"{config}.yaml"), *seeds]
    with ExitStack() as limits:
        before = first_layer(make(configured(Call(["fit", *chosen], PROJECT), PROJECT, limits)))
    fit = call("fit", *chosen, "--trainer.max_epochs", str(epochs))
    test = call("test")
    moved = float((first_layer(fit.parts) - before).abs().max())
    return (
        float(fit.trainer.callback_metrics["train/accuracy"]),
        float(test.trainer.callback_metrics["test/accuracy"]),
        moved,
    )


def first_layer(parts: Parts) -> torch.Tensor:
    """A copy of the first layer's weights."""
    return next(parts.model.parameters()).detach().clone()


def report(seeds: int, epochs: int) -> None:
    """Print a row a seed and the mean, for each configuration."""
    print(
        "| configuration | seed | training accuracy | on 10,000 fresh points | largest change of a first-layer weight |"
    )
    print("|---|---|---|---|---|")
    for config in ("default", "article"):
        rows = []
        for seed in range(seeds):
            with tempfile.TemporaryDirectory() as logs:
                rows.append(one_seed(config, seed, epochs, logs))
            print(f"| {config} | {seed} | {rows[-1][0]:.4f} | {rows[-1][1]:.4f} | {rows[-1][2]:.3f} |", flush=True)
        means = [statistics.mean(column) for column in zip(*rows, strict=True)]
        print(f"| **{config}** | **mean** | **{means[0]:.4f}** | **{means[1]:.4f}** | **{means[2]:.3f}** |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=200)
    options = parser.parse_args()
    with console_messages(True):
        report(options.seeds, options.epochs)
