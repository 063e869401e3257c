"""How many random inputs, of each kind, were answered as they should be.

    python benchmarks/reliability.py inputs --count 3000 --jobs 2

``inputs``: command lines, configuration files and data files that are drawn at random and damaged. Each must end with a
status and, unless that is 0, one line; never with a traceback, a hang, or a file outside a run's folder. What breaks the
rule is printed with the seed that draws it again. Nothing is trained: what comes before the first batch is tried.
"""

from __future__ import annotations

import argparse
import multiprocessing
import shutil
import sys
import tempfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))
SHARE = 50
"""Inputs of one seed."""


def inputs(count: int, first: int, jobs: int) -> int:
    """Try random inputs, and return how many broke the rule."""
    seeds = range(first, first + -(-count // SHARE))
    broken = 0
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        for seed, found in zip(seeds, pool.imap(_one_seed, seeds), strict=True):
            broken += len(found)
            print(f"seed {seed}: {SHARE} inputs, {len(found)} broke the rule", flush=True)
            for said in found:
                print(said, flush=True)
    print(f"{len(seeds) * SHARE} random inputs: {broken} broke the rule")
    return broken


def _one_seed(seed: int) -> list[str]:
    from tests.cli.rule import faults

    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(PROJECT / "configs", Path(folder) / "configs")
        return [f"{case.args} {case.files}\n{problem}" for case, problem in faults(SHARE, seed, Path(folder))]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("section", choices=["inputs"])
    parser.add_argument("--count", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0, help="the first of the seeds")
    parser.add_argument("--jobs", type=int, default=1)
    given = parser.parse_args()
    sys.exit(1 if inputs(given.count, given.seed, given.jobs) else 0)
