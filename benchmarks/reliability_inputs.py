"""Random inputs: command lines, configuration files and data files that are drawn at random and damaged.

Nothing is trained: what comes before the first batch is tried. What breaks the rule is printed with the seed that draws
it again.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import tempfile
from pathlib import Path

from benchmarks.reliability import Outcomes, Section

PROJECT = Path(__file__).resolve().parent.parent
SHARE = 50
"""Inputs of one seed."""


def inputs(folder: Path, times: int, outcomes: Outcomes) -> None:
    """Inputs of so many seeds that there are at least as many as the times."""
    with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
        for seed, found in enumerate(pool.imap(_one_seed, range(-(-times // SHARE)))):
            for said in found:
                outcomes.note("the rule is broken", broken=f"seed {seed}: {said}")
            for _ in range(SHARE - len(found)):
                outcomes.note("a status and, unless that is 0, one line")


def _one_seed(seed: int) -> list[str]:
    from tests.cli.rule import faults

    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(PROJECT / "configs", Path(folder) / "configs")
        return [f"{case.args} {case.files}\n{problem}" for case, problem in faults(SHARE, seed, Path(folder))]


SECTIONS = [Section("inputs", "never a traceback, a hang or a file outside a run's folder", inputs, 3000)]
