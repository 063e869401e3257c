"""Every block of README and of the site's pages runs as it stands, page by page, in a folder that is empty at first."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from litspike.cli import main
from tests.conftest import PROJECT
from tests.docs.pages import GENERATED, LANGUAGES, PAGES, Block, blocks

OTHER_TESTS = {"README.zh-CN.md", "CONTRIBUTING.md"}
"""The first has the commands of README.md, as a test of its own says; the second is tests/test_contributing.py's."""
ALL = [block for page in PAGES if page.name not in GENERATED | OTHER_TESTS for block in blocks(page)]
RUN = [block for block in ALL if block.left_out is None]
LEFT_OUT = [block for block in ALL if block.left_out is not None]
SLOW = {"deploy.md", "pictures.md", "data-and-networks.md", "learning-time-constants.md"}
MOST_LEFT_OUT = 6
"""Blocks with a mark that no test runs: a new one is added here with its reason beside the block."""


def test_every_block_says_what_it_is():
    assert [str(block) for block in ALL if block.language not in LANGUAGES] == []


def test_every_block_that_is_left_out_has_its_reason_and_they_are_counted():
    assert all(len(str(block.left_out)) > 6 for block in LEFT_OUT)
    assert sum("not run" in block.marks for block in LEFT_OUT) == MOST_LEFT_OUT
    for test in (test for block in LEFT_OUT for test in block.marks.get("run by", [])):
        assert (PROJECT / test).is_file(), test


def _page(page: Path) -> Any:
    return pytest.param(page, id=page.name, marks=pytest.mark.slow if page.name in SLOW else ())


@pytest.mark.integration
@pytest.mark.parametrize("page", [_page(page) for page in sorted({block.page for block in RUN})])
def test_a_pages_blocks_run(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    of_page = [block for block in RUN if block.page == page]
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    before = {*sys.modules}
    runner = Runner(lambda: capsys.readouterr()[:2])
    missing = {package for block in of_page for package in block.marks.get("needs", []) if find_spec(package) is None}
    for block in of_page:
        if not missing & {*block.marks.get("needs", [])}:
            runner.run(block)
    for name in {*sys.modules} - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]
    if missing:
        pytest.skip(f"all has run but what needs {', '.join(sorted(missing))}")


class Runner:
    """Runs the blocks of one page in the current folder.

    Args:
        printed: what was printed since the last call, on standard output and on standard error.
    """

    def __init__(self, printed: Callable[[], tuple[str, str]]) -> None:
        self.printed = printed
        self.names: dict[str, object] = {"__name__": "page"}
        self.output = ""

    def run(self, block: Block) -> None:
        """Run one, and check what it prints where the page shows that."""
        for command in block.marks.get("before", []):
            self._command(command, block)
        if block.language == "text":
            check(block.text, self.output, str(block))
        elif block.name:
            Path(block.name).write_text(block.text, encoding="utf-8")
        elif block.language == "python":
            self.printed()
            exec(compile(block.text, str(block), "exec"), self.names)
            self.output = self.printed()[0]
        else:
            self.output = ""
            for line, shown in block.commands():
                output = self._command(line, block)
                check(shown, output, f"{block}: {line}")
                self.output += output

    def _command(self, line: str, block: Block) -> str:
        self.printed()
        words = shlex.split(line, comments=True)
        if words[0] == "litspike":
            args = words[1:]
            if args[0] == "fit":
                args[1:1] = shlex.split(" ".join(block.marks["every fit below"]))
            try:
                status = main(args)
            except SystemExit as end:  # argparse's help ends so
                status = int(end.code or 0)
            out, err = self.printed()
        else:
            path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
            done = subprocess.run(
                ["bash", "-c", line], env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
            )
            status, out, err = done.returncode, done.stdout, done.stderr
        assert (status, err) == (0, ""), f"{block}: {line}\n{out}\n{err}"
        return out


def check(shown: str, printed: str, where: str) -> None:
    """That a page shows what is printed: each of its lines, with any number in a number's place and … for anything."""
    rest = [" ".join(line.split()) for line in printed.splitlines()]
    for line in shown.splitlines():
        text = " ".join(line.split())
        if not text or text == "…":
            continue
        pattern = re.compile("".join(map(_part, re.split(r"(…|\d[\d.,e+_:/-]*)", text))))
        found = next((index for index, one in enumerate(rest) if pattern.fullmatch(one)), None)
        assert found is not None, f"{where} doesn't print\n{text}\nbut\n{printed}"
        del rest[: found + 1]


def _part(text: str) -> str:
    return ".*" if text == "…" else r"\d[\d.,e+_:/-]*" if text[:1].isdigit() else re.escape(text)


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        ("accuracy 0.5", "accuracy  0.7", True),
        ("accuracy 0.5", "accuracy none", False),
        ("run: logs/2026-11-26_04-47-21 (41 …", "run: logs/2027-01-01_00-00-00 (3 parameters, cpu)", True),
        ("first\nsecond", "second\nfirst", False),
        ("first\n…\nlast", "first\nmore\nlast", True),
    ],
)
def test_what_a_page_shows_is_compared_with_what_is_printed(shown: str, printed: str, same: bool):
    if same:
        check(shown, printed, "here")
    else:
        with pytest.raises(AssertionError):
            check(shown, printed, "here")
