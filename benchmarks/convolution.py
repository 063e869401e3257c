"""Convolutions of spikes, by their events and by oneDNN, over densities and maps.

    python benchmarks/convolution.py
    python benchmarks/convolution.py --quick --seconds 1

Conv2d with a kernel of 3 × 3, one thread, each job in turn, many times; the least of each in milliseconds of processor
time, so that what else runs on the machine matters little. Events are listed once, in the forward pass. "Training" is
forward, the gradient of the weight and that of the input, which is oneDNN's in both.
"""

from __future__ import annotations

import argparse
import datetime
import time
from collections.abc import Callable
from functools import partial

import torch
from layer import processor
from torch import Tensor
from torch.nn.functional import conv2d
from torch.nn.grad import conv2d_input, conv2d_weight

from litspike.engine.events.convolution import Convolution, convolve, convolved_weight_gradient, pixel_events

MAPS = [(8, 32, 32, 320), (16, 32, 64, 80), (32, 64, 64, 32), (8, 128, 128, 320)]
"""Height and width, channels in and out, and samples (T · B)."""
DENSITIES = [0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3]


def least(jobs: dict[str, Callable[[], object]], seconds: float) -> dict[str, float]:
    """Least milliseconds of each job, all of them in turn."""
    for job in jobs.values():
        job()
    found, began = dict.fromkeys(jobs, float("inf")), time.perf_counter()
    while time.perf_counter() - began < seconds:
        for name, job in jobs.items():
            start = time.thread_time()
            job()
            found[name] = min(found[name], (time.thread_time() - start) * 1e3)
    return found


def listed_and_convolved(x: Tensor, weight: Tensor, how: Convolution) -> Tensor:
    """The convolution on events, which are listed in it."""
    return convolve(pixel_events(x), weight, None, how)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=4.0, help="for each row")
    parser.add_argument("--quick", action="store_true", help="the two maps and four of the densities")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{datetime.date.today()}, {processor()}, 1 thread, torch {torch.__version__}\n")
    print(
        "| map | density | forward: oneDNN, ms | events | ratio | dW: oneDNN | events | ratio | dX | training | ratio |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    how = Convolution((1, 1), (1, 1))
    for size, inputs, outputs, samples in MAPS[::2] if options.quick else MAPS:
        for density in DENSITIES[::2] if options.quick else DENSITIES:
            torch.manual_seed(0)
            x = (torch.rand(samples, inputs, size, size) < density).float()
            weight, grad = torch.randn(outputs, inputs, 3, 3), torch.randn(samples, outputs, size, size)
            found = pixel_events(x)
            t = least(
                {
                    "dense": partial(conv2d, x, weight, padding=1),
                    "events": partial(listed_and_convolved, x, weight, how),
                    "dense dW": partial(conv2d_weight, x, weight.shape, grad, padding=1),
                    "events dW": partial(convolved_weight_gradient, found, grad, weight.shape, how),
                    "dX": partial(conv2d_input, x.shape, weight, grad, padding=1),
                },
                options.seconds,
            )
            dense, events = (t[name] + t[f"{name} dW"] + t["dX"] for name in ("dense", "events"))
            print(
                f"| {size}×{size}×{inputs}→{outputs} | {density:.0%} | {t['dense']:.2f} | {t['events']:.2f} "
                f"| {t['dense'] / t['events']:.1f} | {t['dense dW']:.2f} | {t['events dW']:.2f} "
                f"| {t['dense dW'] / t['events dW']:.1f} | {t['dX']:.2f} | {dense:.1f} → {events:.1f} "
                f"| {dense / events:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
