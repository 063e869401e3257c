"""How long a task takes for one sample."""

from __future__ import annotations

import statistics
import time
from typing import Any

import torch
from torch import Tensor

from litspike.seeding import isolated
from litspike.tasks.task import Task

WARM_UP, PASSES = 3, 30
SECONDS = 3.0
"""A slow network is measured on fewer passes: no further one begins after this time."""


def latency(task: Task, sample: Tensor) -> dict[str, Any]:
    """Median time of encoder, network and readout for one sample, from rest, on the task's device.

    The first passes are not counted, as they compile kernels and fill caches. No random number is taken from the
    global generators, and nothing in the task changes.

    Args:
        task: in evaluation mode.
        sample: [1, *], on the task's device.

    Returns:
        ``milliseconds``, the median, ``passes``, their number, and the ``least`` and ``greatest``.
    """
    times: list[float] = []
    with isolated(), torch.inference_mode():
        began = time.perf_counter()
        for turn in range(WARM_UP + PASSES):
            _wait(sample.device)
            start = time.perf_counter()
            task.respond(sample)
            _wait(sample.device)
            end = time.perf_counter()
            if turn >= WARM_UP:
                times.append(end - start)
                if end - began > SECONDS:
                    break
    shown = {"milliseconds": statistics.median(times), "least": min(times), "greatest": max(times)}
    return {**{name: 1000 * value for name, value in shown.items()}, "passes": len(times), "batch_size": 1}


def _wait(device: torch.device) -> None:
    """Wait for what was launched on a GPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
