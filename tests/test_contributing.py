"""CONTRIBUTING.md, CITATION.cff, LICENSE and CHANGELOG.md say what is so."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import yaml

from litspike import LIF, ConstantCurrent, MeanOverTime, Perceptron
from litspike.data import HalfPlane
from litspike.installation import version
from litspike.tasks import Classification
from tests.conftest import PROJECT

SOURCE = PROJECT / "src" / "litspike"
TEXT = (PROJECT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def files_of_a_training_step() -> list[str]:
    """The files of litspike that a second batch goes through, in the order of their first call."""
    data = HalfPlane(train_points=4)
    data.setup("fit")
    data.trainer = None  # type: ignore[assignment]
    task = Classification(Perceptron([2, 3, 1], LIF()), ConstantCurrent(4), MeanOverTime())
    loader = data.train_dataloader()

    def step() -> None:
        for x, _ in loader:
            task(x).sum().backward()

    step()  # what is compiled once is no part of the way
    called: dict[str, None] = {}

    def follow(frame: FrameType, event: str, _: Any) -> None:
        path = Path(frame.f_code.co_filename)
        if event == "call" and path.is_relative_to(SOURCE):
            called[path.relative_to(SOURCE).as_posix()] = None

    sys.setprofile(follow)
    try:
        step()
    finally:
        sys.setprofile(None)
    return list(called)


def test_the_way_of_a_batch_is_the_one_that_is_described():
    described = re.findall(r"^\d\. `([\w/]+\.py)`: ", TEXT, re.M)
    assert 0 < len(described) <= 8
    called = files_of_a_training_step()
    assert [path for path in called if path in described] == described


def test_every_file_that_it_names_is_there():
    named = re.findall(r"`((?:src|tests|configs|data|neurons|tasks|events|litspike)/[\w/.]*)`", TEXT)
    assert len(named) > 10
    for path in named:
        places = (PROJECT, SOURCE, SOURCE.parent, SOURCE / "data")
        assert any((place / path).exists() for place in places), path


def test_the_version_is_one():
    citation = yaml.safe_load((PROJECT / "CITATION.cff").read_text(encoding="utf-8"))
    changes = re.findall(r"^## (\d+\.\d+\.\d+) – (\d{4}-\d\d-\d\d)$", (PROJECT / "CHANGELOG.md").read_text(), re.M)
    assert (citation["version"], str(citation["date-released"])) == changes[0]
    assert changes[0][0] == version()
    assert citation["license"] == "Apache-2.0"


def test_the_license_is_the_one_that_the_package_names():
    text = (PROJECT / "LICENSE").read_text()
    assert "Apache License\n                           Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text
    assert 'license = "Apache-2.0"\nlicense-files = ["LICENSE"]\n' in (PROJECT / "pyproject.toml").read_text()
