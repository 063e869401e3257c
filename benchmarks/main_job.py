"""The main job beside the bare loop of the article: wall-clock, and memory after 200 epochs beside that after 2.

    python benchmarks/main_job.py

The bare loop is the article's, at one time step, without logging, validation or checkpoints. Ours is the whole of
`fit` at 16 time steps, as `python main.py fit` runs it, with all of them. Both do 20,000 optimiser steps, one after
the other, each in a process of its own; the time is taken inside (after imports) and outside (the whole process).
The table has the least of several runs, since a machine that others use adds time and never takes it away.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent


def bare_loop(epochs: int) -> None:
    """The article's training, as its description has it."""
    import torch
    from torch import nn
    from torch.utils.data import DataLoader, TensorDataset

    class SpikingNeuron(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.membrane: torch.Tensor | float = 0.0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.membrane = self.membrane + x
            spike = (self.membrane >= 1.0).float()
            self.membrane = self.membrane * (1 - spike) * 0.9
            return spike

    torch.manual_seed(0)
    x = torch.randn(1000, 2)
    loader = DataLoader(TensorDataset(x, (x.sum(1, keepdim=True) > 0).float()), batch_size=10, shuffle=True)
    network = nn.Sequential(nn.Linear(2, 10), SpikingNeuron(), nn.Linear(10, 1))
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    criterion = nn.BCEWithLogitsLoss()
    for _ in range(epochs):
        for points, labels in loader:
            optimizer.zero_grad()
            loss = criterion(network(points), labels)
            loss.backward()
            optimizer.step()


def ours(epochs: int) -> None:
    """The whole of `fit`."""
    from litspike.cli import main

    with tempfile.TemporaryDirectory() as logs:
        status = main(["fit", "--trainer.max_epochs", str(epochs), "--logs", logs], home=PROJECT)
    assert status == 0


def measured(job: str, epochs: int) -> dict[str, float]:
    """Run a job in a process of its own: seconds inside, seconds of the whole process, and peak memory in MB."""
    start = time.perf_counter()
    command = [sys.executable, __file__, "--job", job, "--epochs", str(epochs)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    whole = time.perf_counter() - start
    return {**json.loads(done.stdout.splitlines()[-1]), "whole": whole}


def run_job(job: str, epochs: int) -> None:
    """What the process of one job does."""
    if job == "bare":
        import torch  # noqa: F401  # before the clock starts
    else:
        import litspike.cli.execute  # noqa: F401  # before the clock starts
    start = time.perf_counter()
    {"bare": bare_loop, "ours": ours}[job](epochs)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"inside": time.perf_counter() - start, "memory": memory}))


def report(epochs: int, repeats: int) -> None:
    """Print the table."""
    results = [{job: measured(job, epochs) for job in ("bare", "ours")} for _ in range(repeats)]
    bare, fit = (
        {name: min(result[job][name] for result in results) for name in results[0][job]} for job in ("bare", "ours")
    )
    short = measured("ours", 2)
    print(f"{epochs * 100} steps{'bare loop, T=1':>22}{'fit, T=16':>12}{'ratio':>8}")
    for name in ("inside", "whole"):
        label = {"inside": "after imports, s", "whole": "whole process, s"}[name]
        print(f"{label:<16}{bare[name]:>17.2f}{fit[name]:>12.2f}{fit[name] / bare[name]:>8.2f}")
    print(f"{'a step, ms':<16}{bare['inside'] / epochs * 10:>17.3f}{fit['inside'] / epochs * 10:>12.3f}")
    print(f"peak memory of fit: {short['memory']:.0f} MB after 2 epochs, {fit['memory']:.0f} MB after {epochs}")
    key = "inside"
    for job in ("bare", "ours"):
        print(f"{job}, each of {repeats} runs, s: {', '.join(f'{result[job][key]:.2f}' for result in results)}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--job", choices=["bare", "ours"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job:
        run_job(options.job, options.epochs)
    else:
        report(options.epochs, options.repeats)
