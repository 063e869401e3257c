"""The three commands of README's first screen, in an empty folder: what each prints, and its seconds.

python benchmarks/opening.py
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time

COMMANDS = ("fit", "test", "picture")
STARTED = "import sys; sys.argv[0] = 'litspike'; from litspike.cli import main; sys.exit(main())"
"""What the installed command does."""
ENDS = 3
"""Lines of a longer output that are shown at its beginning and at its end."""


def main() -> None:
    """Run them and print a block as README has it."""
    with tempfile.TemporaryDirectory() as folder:
        for command in COMMANDS:
            begin = time.perf_counter()
            own = [sys.executable, "-c", STARTED, command]
            done = subprocess.run(own, cwd=folder, capture_output=True, text=True, check=True)
            seconds = time.perf_counter() - begin
            lines = done.stdout.replace(f"{os.path.realpath(folder)}/", "").splitlines()
            short = lines if len(lines) < 12 else [*lines[:ENDS], "…", *lines[-ENDS:]]
            print(f"$ litspike {command:40}# {seconds:.0f} s", *short, "", sep="\n")


if __name__ == "__main__":
    main()
