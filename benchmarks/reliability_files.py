"""Flipped bits in the small files that are read: records of runs, metrics of seeds, networks in NIR."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.reliability import Outcomes, Section, flipped
from litspike.files import read_json, replace_checked_json
from litspike.networks import FromNIR
from litspike.reports.compare.collect import read
from litspike.runs.folder import Run
from litspike.settings import UserError

SEED = 4


def records(folder: Path, times: int, outcomes: Outcomes) -> None:
    """Single bits of a run's record, which counts as unreadable then, and of ``seeds.json``, which is refused."""
    run = Run(folder)
    figures = {"val/loss": 0.3141, "val/accuracy": 0.9171}
    run.note(status="finished", figures=figures, best=figures)
    expected = run.record()
    seeds = folder / "seeds.json"
    summary = {"seeds": [0, 1], "figures": {"val/loss": {"values": [0.5, 0.25], "mean": 0.375}}}
    replace_checked_json(seeds, summary)
    for bit in flipped(folder / "run.json", times // 2, SEED):
        _note(run.record(), expected, f"run.json, bit {bit}", outcomes, refused=not read_json(folder / "run.json"))
    for bit in flipped(seeds, times - times // 2, SEED):
        try:
            found = read(seeds)
        except UserError:
            outcomes.note("refused in a line")
        else:
            _note(found, summary, f"seeds.json, bit {bit}", outcomes, refused=False)


def _note(found: Any, expected: Any, tried: str, outcomes: Outcomes, *, refused: bool) -> None:
    if refused:
        outcomes.note("taken as unreadable")
    elif {name: found.get(name) for name in expected} == expected:
        outcomes.note("read, nothing changed")
    else:
        outcomes.note("read, and changed", broken=tried)


def networks(folder: Path, times: int, outcomes: Outcomes) -> None:
    """Single bits of a file in NIR: it has no checksum, so that other numbers can't be told from right ones."""
    import nir

    path, draw = folder / "n.nir", np.random.default_rng(0)
    one = np.ones(6)
    nodes = {
        "input": nir.Input({"input": np.array([6])}),
        "linear": nir.Linear(draw.normal(size=(6, 6)).astype(np.float32)),
        "lif": nir.LIF(tau=0.01 * one, r=one, v_leak=0 * one, v_threshold=one),
        "output": nir.Output({"output": np.array([6])}),
    }
    nir.write(path, nir.NIRGraph(nodes, [("input", "linear"), ("linear", "lif"), ("lif", "output")]))
    x = torch.rand(20, 2, 6)
    expected = _outputs(path, x)
    for bit in flipped(path, times, SEED):
        try:
            found = _outputs(path, x)
        except UserError:
            outcomes.note("one line")
        except Exception as error:
            outcomes.note(type(error).__name__, broken=f"bit {bit}")
        else:
            same = all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))
            outcomes.note("read, nothing changed" if same else "read, other numbers")


def _outputs(path: Path, x: torch.Tensor) -> list[torch.Tensor]:
    network = FromNIR(str(path), dt=1e-3)
    with torch.no_grad():
        return [network(x)[0], *network.state_dict().values()]


SECTIONS = [
    Section("flips-nir", "a file in NIR with a flipped bit is one line or a network", networks, 1000),
    Section("flips-records", "a record with a flipped bit is not believed, or reads the same", records, 2000),
]
