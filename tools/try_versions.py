"""Try litspike's wheel on every Python that it supports and that is found here, with the newest or the oldest packages.

    python tools/try_versions.py                 # the newest releases that pip finds
    python tools/try_versions.py --oldest        # the lower bounds in pyproject.toml
    python tools/try_versions.py --python /opt/python3.14/bin/python3

For each Python it makes an environment of its own in a temporary folder, installs the wheel as a user would, and runs
the commands below in an empty folder. A line says what came of it; the exit status is 1 where one of them failed. pip
may load some GB for each.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
COMMANDS = (
    "--version",
    "doctor",
    "configs",
    "fit --trainer.max_epochs 2 --pictures.every 1",
    "fit --ckpt_path last --trainer.max_epochs 3",
    "test",
    "predict",
    "picture",
    "fit -c arrays --trainer.max_epochs 2 --model.network.neuron.learn '{decay: neuron}'",
    "fit -c arrays --trainer.max_epochs 1 --model.network litspike.networks.RecurrentNetwork",
    "new rings",
    "fit -c rings --trainer.max_epochs 2",
    "test -c rings",
    "compare logs/arrays logs/rings",
)


def main() -> int:
    """Try each, and print a line for it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--oldest", action="store_true", help="install the lower bounds in pyproject.toml")
    parser.add_argument(
        "--python", action="append", help="interpreter to try, repeatable; by itself each that is found"
    )
    given = parser.parse_args()
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        wheel = build(Path(folder))
        for version, python in ((one, one) for one in given.python) if given.python else interpreters():
            if python is None:
                print(f"Python {version}: not found here, not tried", flush=True)
                continue
            problem, packages = trial(python, wheel, lower_bounds() if given.oldest else [], Path(folder) / "trial")
            print(f"Python {version}: {problem or 'every command ran'}\n    {packages}", flush=True)
            failed |= problem is not None
    return 1 if failed else 0


def interpreters() -> list[tuple[str, str | None]]:
    """Each supported version of Python, with its interpreter where one is found in PATH or by pyenv."""
    return [(version, _interpreter(version)) for version in PYTHONS]


def _interpreter(version: str) -> str | None:
    of_pyenv = sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python"))
    for candidate in (shutil.which(f"python{version}"), *map(str, of_pyenv)):
        if candidate and subprocess.run([candidate, "-c", ""], capture_output=True, check=False).returncode == 0:
            return candidate
    return None


def lower_bounds() -> list[str]:
    """The dependencies in pyproject.toml, each at its lower bound for the Python that its marker names."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [re.sub(r">=([\w.]+)[^;]*", r"==\1", requirement) for requirement in project["dependencies"]]


def build(folder: Path) -> Path:
    """The wheel of this project."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(PROJECT)]
    subprocess.run(command, check=True)
    (wheel,) = folder.glob("litspike-*.whl")
    return wheel


def trial(python: str, wheel: Path, pins: list[str], folder: Path) -> tuple[str | None, str]:
    """What went wrong, if something did, and the versions that were installed.

    Args:
        python: the interpreter.
        wheel: what is installed.
        pins: requirements beside it.
        folder: made for the trial, and removed after it.
    """
    folder.mkdir()
    try:
        subprocess.run([python, "-m", "venv", str(folder / "env")], check=True)
        own = folder / "env" / "bin" / "python"
        pip = [str(own), "-m", "pip", "--disable-pip-version-check"]
        installed = _run([*pip, "install", "--quiet", str(wheel), *pins], folder)
        if installed.returncode:
            return f"pip can't install it: {_last_line(installed)}", ", ".join(pins)
        frozen = _run([*pip, "list", "--format", "freeze"], folder).stdout.split()
        names = ("torch==", "lightning==", "numpy==", "llvmlite==", "jsonargparse==", "torchmetrics==", "matplotlib==")
        packages = ", ".join(line for line in frozen if line.startswith(names))
        for command in COMMANDS:
            done = _run([str(own.with_name("litspike")), *shlex.split(command)], folder)
            if done.returncode:
                return f"`litspike {command}` ended with {done.returncode}: {_last_line(done)}", packages
        return None, packages
    finally:
        shutil.rmtree(folder)


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    empty = folder / "empty"
    empty.mkdir(exist_ok=True)
    own = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache"), "XDG_CONFIG_HOME": str(folder / "settings")}
    return subprocess.run(command, cwd=empty, env=own, capture_output=True, text=True, check=False)


def _last_line(done: subprocess.CompletedProcess[str]) -> str:
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"


if __name__ == "__main__":
    sys.exit(main())
