"""Training steps on sequences of 10³ to 10⁵ time steps: time a step and memory, whole and in pieces.

    python benchmarks/long.py

Linear(32→256), LIF, Linear(256→256), LIF, Linear(256→10), a batch of 8, input spikes at 5%, forward and backward with a
random gradient of the output, in a process of its own each. "Added" is what the peak of memory grows by over a training
step of 100 time steps, less input, output and its gradient; times are the least of three runs.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time

import torch

from litspike import LIF, Perceptron
from litspike.networks import run_network

INPUTS, HIDDEN, OUTPUTS, BATCH = 32, 256, 10, 8


def training_step(network: Perceptron, x: torch.Tensor, upstream: torch.Tensor, steps: int | None) -> float:
    """Seconds of one forward and backward pass."""
    begin = time.perf_counter()
    output, _ = run_network(network, x, steps=steps)
    output.backward(upstream)
    network.zero_grad()
    return time.perf_counter() - begin


def one(length: int, steps: int | None) -> None:
    """Print microseconds a time step and MB that are added."""
    torch.manual_seed(0)
    network = Perceptron([INPUTS, HIDDEN, HIDDEN, OUTPUTS], LIF())

    def given(length: int) -> tuple[torch.Tensor, torch.Tensor]:
        return (torch.rand(length, BATCH, INPUTS) < 0.05).float(), torch.randn(length, BATCH, OUTPUTS)

    training_step(network, *given(100), steps=None)
    x, upstream = given(length)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    seconds = min(training_step(network, x, upstream, steps) for _ in range(3))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{seconds / length * 1e6:.1f} {peak - before - upstream.nbytes / 1e6:.0f}")


def report() -> None:
    """Print a row for each length, whole and in pieces."""
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    print("| T | taken | µs a time step | MB added |")
    print("|---|---|---|---|")
    for length in (1000, 10_000, 100_000):
        for taken, steps in (("whole", length), ("as by default", 0)):
            if (length, taken) == (1000, "as by default"):
                continue  # it is whole
            done = subprocess.run([sys.executable, __file__, str(length), str(steps)], capture_output=True, text=True)
            found = done.stdout.split() if done.returncode == 0 else ["–", "–"]
            print(f"| {length} | {taken} | {found[0]} | {found[1]} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("length", type=int, nargs="?")
    parser.add_argument("steps", type=int, nargs="?", default=0)
    given = parser.parse_args()
    if given.length is None:
        report()
    else:
        one(given.length, given.steps or None)
