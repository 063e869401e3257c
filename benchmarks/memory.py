"""What each further layer of a chain adds to the peak memory of a training step.

    python benchmarks/memory.py  # less than a minute

Linear(N→N) and LIF, over and over, about 5% of the neuron-steps firing; forward and backward with the gradients of all
weights. Each number of layers runs in a process of its own, whose greatest resident memory after its first step, taken
on a sequence of 2 steps, is subtracted. What a layer has whatever the length of the sequence, its weight and the
gradient of it, is subtracted too.
"""

from __future__ import annotations

import argparse
import datetime
import os
import resource
import subprocess
import sys

import torch
from layer import processor

from litspike.networks import SpikingSequential
from litspike.neurons import LIF
from litspike.surrogates import ArcTan, Rectangle, Surrogate

SURROGATES: dict[str, Surrogate] = {"ArcTan": ArcTan(), "Rectangle": Rectangle()}
RATE, SPREAD = 0.05, 0.5


def step(network: torch.nn.Module, steps: int, batch: int, size: int) -> float:
    """One training step; the share of the last layer's neuron-steps that fire."""
    output, _ = network((torch.rand(steps, batch, size) < RATE).float())
    output.sum().backward()
    network.zero_grad(set_to_none=False)
    return float(output.mean())


def peak(layers: int, surrogate: str, steps: int, batch: int, size: int) -> tuple[int, float]:
    """Bytes that one step adds to the greatest resident memory, and the share of the neuron-steps that fire."""
    torch.manual_seed(0)
    neuron = LIF(decay=0.9, surrogate=SURROGATES[surrogate], engine="fused")
    parts: list[torch.nn.Module] = []
    for _ in range(layers):
        linear = torch.nn.Linear(size, size, bias=False)
        torch.nn.init.normal_(linear.weight, std=SPREAD / (RATE * size) ** 0.5)
        parts += [linear, neuron.shaped(size)]
    network = SpikingSequential(parts)
    step(network, 2, batch, size)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rate = step(network, steps, batch, size)
    unit = 1 if sys.platform == "darwin" else 1024
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit, rate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=1000, metavar="N", help="neurons of a layer")
    parser.add_argument("--steps", type=int, default=200, metavar="T")
    parser.add_argument("--batch", type=int, default=32, metavar="B")
    parser.add_argument("--layers", type=int, nargs=2, default=[2, 6], metavar="L", help="few and many")
    parser.add_argument("--one", nargs=2, metavar=("L", "SURROGATE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    sizes = options.steps, options.batch, options.size
    if options.one:
        print(*peak(int(options.one[0]), options.one[1], *sizes))
        return
    print(f"{datetime.date.today()}, {processor()}, {torch.get_num_threads()} threads, torch {torch.__version__}\n")
    few, many = options.layers
    print(
        f"| surrogate | fire | {few} layers, MB | {many} layers, MB | bytes a neuron and step for each further layer |"
    )
    print("|---|---|---|---|---|")
    for surrogate in SURROGATES:
        found = []
        for layers in options.layers:
            command = [sys.executable, __file__, "--one", str(layers), surrogate]
            command += ["--size", str(options.size), "--steps", str(options.steps), "--batch", str(options.batch)]
            answer = subprocess.run(command, check=True, capture_output=True, text=True, env=dict(os.environ)).stdout
            found.append(list(map(float, answer.split())))
        (first, _), (second, rate) = found
        each = (second - first) / (many - few) / (options.steps * options.batch * options.size)
        print(f"| {surrogate} | {rate:.1%} | {first / 1e6:.0f} | {second / 1e6:.0f} | {each:.2f} |", flush=True)


if __name__ == "__main__":
    main()
