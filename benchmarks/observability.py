"""What it costs to see what a network does: the time of `fit` with everything on beside that with all of it off.

    python benchmarks/observability.py

Everything is what a run shows by itself: the check-up and the pictures, as they are set by default. The two kinds of
run take turns, each in a process of its own, and the time is that of `fit` after imports. A machine that others use
adds time and never takes it away, so that the ratio of the least times is the one to look at; beside it is the median
of the ratios of the pairs.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

PROJECT = Path(__file__).resolve().parent.parent
OFF = ["--checkup.every", "0", "--pictures.every", "0"]
"""The settings that turn off all that a run shows."""


def fit(arguments: list[str]) -> None:
    """Run `fit` in this process, and print the seconds that it took."""
    import litspike.cli.execute  # noqa: F401  # before the clock starts
    from litspike.cli import main

    with tempfile.TemporaryDirectory() as logs:
        start = time.perf_counter()
        status = main(["fit", "--logs", logs, *arguments], home=PROJECT)
        seconds = time.perf_counter() - start
    assert status == 0
    print(seconds)


def measured(arguments: list[str]) -> float:
    """Seconds of `fit` in a process of its own."""
    command = [sys.executable, __file__, "--fit", *arguments]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1])


def report(name: str, epochs: int | None, repeats: int) -> None:
    """Print a configuration's line."""
    job = ["-c", str(PROJECT / "configs" / f"{name}.yaml")]
    job += [] if epochs is None else ["--trainer.max_epochs", str(epochs)]
    pairs = []
    for index in range(repeats):
        kinds = [("on", job), ("off", [*job, *OFF])]
        taken = {kind: measured(arguments) for kind, arguments in (kinds if index % 2 else reversed(kinds))}
        pairs.append((taken["on"], taken["off"]))
    on, off = (min(times) for times in zip(*pairs, strict=True))
    middle = median(one / other for one, other in pairs)
    print(f"{name:<10}{on:>8.2f} s{off:>8.2f} s{on / off:>14.3f}{middle:>16.3f}", flush=True)
    print("          pairs:", ", ".join(f"{one:.2f} and {other:.2f}" for one, other in pairs), flush=True)


if __name__ == "__main__":
    if "--fit" in sys.argv[:2]:
        fit(sys.argv[2:])
        sys.exit()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--configurations", nargs="+", default=["digits", "default"])
    parser.add_argument("--epochs", type=int, help="epochs of each run; those of the configuration where not given")
    parser.add_argument("--repeats", type=int, default=5, help="pairs of runs")
    options = parser.parse_args()
    print(f"{'':<10}{'on':>10}{'off':>10}{'ratio of least':>16}{'median of pairs':>17}")
    for name in options.configurations:
        report(name, options.epochs, options.repeats)
