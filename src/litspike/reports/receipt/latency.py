"""How long a task takes for one sample, and for a step of it that is streamed."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from litspike.networks import SpikingNetwork, Stream
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
        ``milliseconds``, the median, ``passes``, their number, and the ``least`` and ``greatest``. Where a ``Stream``
        runs a step in one call of machine code, also ``streamed_step_microseconds``, the median over the steps.
    """
    with isolated(), torch.inference_mode():
        times = _timed(lambda: task.respond(sample), sample.device)
    shown = {"milliseconds": statistics.median(times), "least": min(times), "greatest": max(times)}
    found = {**{name: 1000 * value for name, value in shown.items()}, "passes": len(times), "batch_size": 1}
    step = _of_a_streamed_step(task, sample)
    return found if step is None else {**found, "streamed_step_microseconds": 1e6 * step}


def _of_a_streamed_step(task: Task, sample: Tensor) -> float | None:
    """Median seconds of the steps of one sample, each fed by itself; None where that is no single call."""
    if sample.device.type != "cpu" or not isinstance(task.network, SpikingNetwork):
        return None
    with isolated(), torch.no_grad():
        stream, steps = Stream(task.network), task.encoder(sample)[:, 0].contiguous()
        if not stream.compiled:
            return None
        times: list[float] = []

        def feed() -> None:
            stream.reset()
            for step in steps:
                start = time.perf_counter()
                stream(step)
                times.append(time.perf_counter() - start)

        passes = len(_timed(feed, sample.device))
    return statistics.median(times[-passes * len(steps) :])


def _timed(run: Callable[[], object], device: torch.device) -> list[float]:
    """Seconds of each warm pass."""
    times: list[float] = []
    began = time.perf_counter()
    for turn in range(WARM_UP + PASSES):
        _wait(device)
        start = time.perf_counter()
        run()
        _wait(device)
        end = time.perf_counter()
        if turn >= WARM_UP:
            times.append(end - start)
            if end - began > SECONDS:
                break
    return times


def _wait(device: torch.device) -> None:
    """Wait for what was launched on a GPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
