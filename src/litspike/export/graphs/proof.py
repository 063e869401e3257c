"""What is measured of both programs beside their fidelity."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from litspike.export.graphs.programs import Programs


@torch.no_grad()
def step_by_step(programs: Programs, outputs: Tensor, step: Callable[..., Sequence[Any]]) -> float:
    """How much the outputs of single steps differ at most from those of the whole sample, for the first sample.

    Args:
        programs: of which both are.
        outputs: of the whole sample, [T, 1, *].
        step: from the network's input and states to its output and states.
    """
    states: Sequence[Any] = list(programs.states().values())
    apart = 0.0
    for current, expected in zip(programs.subject.task.encoder(programs.subject.samples), outputs, strict=True):
        output, *states = step(current, *states)
        apart = max(apart, float((torch.as_tensor(output) - expected).abs().max()))
    return apart


def milliseconds(run: Callable[[], object], repeats: int = 5) -> float:
    """The least time of a few calls."""
    run()
    found = []
    for _ in range(repeats):
        began = time.perf_counter()
        run()
        found.append(time.perf_counter() - began)
    return min(found) * 1e3
