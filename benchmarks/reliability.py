"""What is tried to break litspike's promises, and what came of it: ``python benchmarks/reliability.py``.

Each section tries one kind of fault, many times at seeded places, and counts the outcomes. An outcome that a promise
rules out is printed, and the exit status is then 1. ``--times N`` tries N times what can be tried any number of times,
``--only NAME`` runs one section.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))


@dataclass
class Outcomes:
    """What came of the tries of one section."""

    counts: Counter[str] = field(default_factory=Counter)
    """How often each outcome came."""
    broken: list[str] = field(default_factory=list)
    """Tries that broke a promise, each with what came of it."""

    def note(self, outcome: str, *, broken: str | None = None) -> None:
        """Count an outcome.

        Args:
            outcome: what came of a try.
            broken: what was tried, if a promise rules this outcome out.
        """
        self.counts[outcome] += 1
        if broken is not None:
            self.broken.append(f"{broken}: {outcome}")


@dataclass(frozen=True)
class Section:
    """One kind of fault.

    Args:
        name: what the command line calls it.
        promise: what must come of every try.
        tries: tries it a number of times in a folder of its own.
        times: how often it is tried.
    """

    name: str
    promise: str
    tries: Callable[[Path, int, Outcomes], None]
    times: int


def flipped(path: Path, times: int, seed: int) -> Iterator[int]:
    """Flip one bit of a file at a time, and give its number; the file is whole again at the end."""
    content, draw = path.read_bytes(), random.Random(seed)
    for _ in range(times):
        changed, bit = bytearray(content), draw.randrange(8 * len(content))
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        yield bit
    path.write_bytes(content)


def sections() -> list[Section]:
    """All sections there are. A new one is added here."""
    from benchmarks import (
        reliability_checkpoints,
        reliability_files,
        reliability_inputs,
        reliability_runs,
        reliability_untrusted,
    )

    parts = (reliability_inputs, reliability_checkpoints, reliability_files, reliability_untrusted, reliability_runs)
    return [section for part in parts for section in part.SECTIONS]


def run(chosen: Iterable[Section], times: int | None = None) -> bool:
    """Run sections and print what came of them; whether every promise was kept."""
    kept = True
    for section in chosen:
        outcomes, began = Outcomes(), time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            section.tries(Path(folder).resolve(), times or section.times, outcomes)
        print(f"{section.name}: {section.promise}")
        for outcome, count in outcomes.counts.most_common():
            print(f"  {count:6d}  {outcome}")
        print(f"  {sum(outcomes.counts.values()):6d}  in all, {time.monotonic() - began:.0f} s")
        for line in outcomes.broken[:20]:
            print(f"  BROKEN {line}")
        kept = kept and not outcomes.broken
    return kept


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, help="tries of each section")
    parser.add_argument("--only", help="name of one section")
    given = parser.parse_args()
    chosen = [section for section in sections() if given.only in (None, section.name)]
    if not chosen:
        parser.error(f"--only: there are {', '.join(section.name for section in sections())}")
    return 0 if run(chosen, given.times) else 1


if __name__ == "__main__":
    from benchmarks.reliability import main as entry  # the sections import this module by its name

    sys.exit(entry())
