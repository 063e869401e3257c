"""A step of a stream beside the dense step that torch takes: one sample, one time step, Linear(N→N) and LIF.

    python benchmarks/stream.py

Times are the least and the median of 2000 steps of fresh input spikes at a density, in microseconds. "Dense" is the
product alone, as torch.nn.functional.linear takes it; "network" is the network called with T = 1 and its state.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from litspike import LIF, SpikingSequential
from litspike.networks import Stream

STEPS = 2000


def times(job: Callable[[Tensor], object], steps: list[Tensor]) -> tuple[float, float]:
    """Least and median time of a job on each step, in microseconds."""
    found = []
    for number in range(STEPS):
        step = steps[number % len(steps)]
        begin = time.perf_counter()
        job(step)
        found.append((time.perf_counter() - begin) * 1e6)
    return min(found), statistics.median(found[STEPS // 10 :])


def report() -> None:
    """Print a row for each size and density."""
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    print("| N | density | dense µs | Stream µs | part of dense | network µs |")
    print("|---|---|---|---|---|---|")
    for size in (256, 1024, 2048, 4096):
        network = SpikingSequential([nn.Linear(size, size), LIF().shaped(size)]).eval()
        linear = network.layers[0]
        stream = Stream(network)
        for density in (0.01, 0.05, 0.2):
            steps = [(torch.rand(size) < density).float() for _ in range(100)]
            state = None

            def dense_step(step: Tensor, linear: nn.Module = linear) -> None:
                linear(step[None])

            def whole(step: Tensor, network: nn.Module = network) -> None:
                nonlocal state
                _, state = network(step[None, None], state)

            with torch.inference_mode():
                dense = times(dense_step, steps)
                ours = times(stream, steps)
                other = times(whole, steps)
            print(
                f"| {size} | {density:.0%} | {dense[0]:.0f} / {dense[1]:.0f} | {ours[0]:.0f} / {ours[1]:.0f} "
                f"| 1/{dense[1] / ours[1]:.0f} | {other[0]:.0f} / {other[1]:.0f} |"
            )


if __name__ == "__main__":
    report()
