"""The script that tries Pythons and lower bounds takes both from where they are said."""

from __future__ import annotations

import re
import sys
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from tools import try_versions

from tests.conftest import PROJECT


def test_every_dependency_is_tried_at_its_lower_bound():
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    given, tried = (list(map(Requirement, lines)) for lines in (project["dependencies"], try_versions.lower_bounds()))
    for requirement, pin in zip(given, tried, strict=True):
        bound = next(one.version for one in requirement.specifier if one.operator == ">=")
        assert str(pin.specifier) == f"=={bound}"
        assert bound in requirement.specifier
        assert (pin.name, pin.extras, pin.marker) == (requirement.name, requirement.extras, requirement.marker)
    assert all(version in SpecifierSet(project["requires-python"]) for version in try_versions.PYTHONS)


@pytest.mark.parametrize("version", try_versions.PYTHONS)
def test_each_python_has_one_bound_of_each_dependency(version: str):
    tried = list(map(Requirement, try_versions.lower_bounds()))
    here = [one.name for one in tried if one.marker is None or one.marker.evaluate({"python_version": version})]
    assert sorted(here) == sorted({one.name for one in tried})


@pytest.mark.thorough
def test_what_went_wrong_is_said_with_the_command(tmp_path, monkeypatch):
    monkeypatch.setattr(try_versions, "COMMANDS", ("--version", "fitt"))
    wheel = tmp_path / "none.whl"
    problem, _ = try_versions.trial(sys.executable, wheel, [], tmp_path / "trial")
    assert problem is not None
    assert re.match(r"pip can't install it: ", problem)
    assert not (tmp_path / "trial").exists()
