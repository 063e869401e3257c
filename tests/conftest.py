"""What the tests share: a project folder of their own, and a command line that runs in this process."""

from __future__ import annotations

import os

# Before torch is loaded: threads that wait for each other by spinning take the processor from the tests beside them.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import gc
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from litspike.cli import main
from litspike.runs import checkpoints

PROJECT = Path(__file__).resolve().parent.parent
LIMIT = 600
"""Seconds after which a process that a test started hangs. Alone, none takes a twentieth of it."""


SLOW = ("runs", "browser", "peers", "export", "benchmarks", "reports")
"""Folders of tests that start processes, train networks or compile much."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """At most so many cases of each parametrised test, which is what `make check` asks for."""
    parser.addoption("--cases", type=int, help="run at most so many cases of each test, evenly taken from all of them")


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Iterator[None]:
    """Mark as integration what runs whole commands; of what the marks leave, take as many cases as were asked for."""
    for item in items:
        if item.path.parent.name in SLOW or "cli" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.integration)
    yield
    if most := config.getoption("cases"):
        cases: dict[str, list[pytest.Item]] = {}
        for item in items:
            cases.setdefault(item.nodeid.partition("[")[0], []).append(item)
        taken = {item for each in cases.values() for item in each[:: -(-len(each) // most)]}
        config.hook.pytest_deselected(items=[item for item in items if item not in taken])
        items[:] = [item for item in items if item in taken]


def pytest_collection_finish() -> None:
    """Let the garbage collector leave out all that is there before the tests: going through it takes half a second."""
    gc.collect()
    gc.freeze()


def pytest_collectstart(collector: pytest.Collector) -> None:
    """Let what a file draws when it is imported be the same whatever was imported before."""
    if isinstance(collector, pytest.Module):
        _seed()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Let what a test draws be the same whatever ran before."""
    _seed()


def _seed() -> None:
    torch.manual_seed(0)
    random.seed(0)
    np.random.seed(0)


@pytest.fixture(scope="session", autouse=True)
def folders_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Folders for the key that signs checkpoints and for kernels, which are not the user's.

    The processes of pytest-xdist share the kernels.
    """
    own = tmp_path_factory.getbasetemp()
    kernels = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "cache"
    kernels.mkdir(mode=0o700, exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("settings")))
        patch.setenv("XDG_CACHE_HOME", str(kernels))
        yield


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A copy of the project's configurations, with logs of its own."""
    folder = tmp_path / "project"
    folder.mkdir()
    shutil.copytree(PROJECT / "configs", folder / "configs")
    return folder


class Result:
    """Exit status and output of one command."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err

    @property
    def error_line(self) -> str:
        """The one line that a failed command leaves on standard error."""
        lines = [line for line in self.err.splitlines() if line.strip()]
        assert self.status != 0, f"the command succeeded: {self.out}"
        assert len(lines) == 1, f"not one line: {self.err}"
        assert lines[0].startswith("litspike: ")
        return lines[0].removeprefix("litspike: ")


Cli = Callable[..., Result]


@pytest.fixture
def cli(home: Path, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Runs ``main.py`` with arguments given as one text, in this process, in the project of the test."""

    def run(arguments: str, *more: str) -> Result:
        capsys.readouterr()
        status = main([*arguments.split(), *more], home=home)
        captured = capsys.readouterr()
        return Result(status, captured.out, captured.err)

    return run


def of_somebody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every checkpoint that is read be one that somebody else wrote."""
    read = checkpoints.read

    def from_another(path: Path) -> checkpoints.Checkpoint:
        found = read(path)
        found.own = False
        return found

    monkeypatch.setattr(checkpoints, "read", from_another)


def runs(home: Path, experiment: str = "default") -> list[Path]:
    """The folders of an experiment's runs, oldest first."""
    return sorted((home / "logs" / experiment).glob("*")) if (home / "logs" / experiment).is_dir() else []
