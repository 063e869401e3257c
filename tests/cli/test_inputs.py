"""Random inputs: a line and a status, never a traceback, a hang or a file where no run is.

``python benchmarks/reliability.py --only inputs`` tries more.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.inputs import Input
from tests.cli.rule import fault, faults

COUNT = 15


def test_random_inputs_get_a_line_and_a_status(home: Path):
    found = [f"{case.args} {case.files}: {problem}" for case, problem in faults(COUNT, 0, home)]
    assert found == []


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        (lambda: 1 // 0, "ZeroDivisionError"),
        (lambda: 1, "not one line: ''"),
        (lambda: None, "the status is None"),
        (lambda: print("litspike: a\nlitspike: b", file=sys.stderr) or 1, "not one line"),
        (lambda: print(f"litspike: {'x' * 5000}", file=sys.stderr) or 1, "a line too long"),
        (lambda: print("litspike: \x1b[31m", file=sys.stderr) or 1, "a line too long or with control characters"),
        (lambda: print("Traceback (most recent call last)\nlitspike: x", file=sys.stderr) or 1, "Traceback"),
        (lambda: Path("elsewhere").write_text("x") and 0, "written: "),
        (lambda: time.sleep(100), "no end in 1 s"),
    ],
)
def test_the_rule_sees_what_breaks_it(
    home: Path, monkeypatch: pytest.MonkeyPatch, command: Callable[[], object], problem: str
):
    monkeypatch.chdir(home)
    if "no end" in problem:
        monkeypatch.setattr("tests.cli.rule.SECONDS", 1)
    assert problem in str(fault(command, Input([]), home))
