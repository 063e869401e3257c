"""What an installed litspike knows of itself, and one that is run from its sources."""

from __future__ import annotations

import importlib.metadata
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from litspike import installation
from litspike.cli import main
from tests.conftest import PROJECT


@pytest.fixture
def not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with ``PYTHONPATH=src``: Python has no metadata of litspike."""
    known = importlib.metadata.Distribution.from_name

    def from_name(name: str) -> importlib.metadata.Distribution:
        if name == "litspike":
            raise importlib.metadata.PackageNotFoundError(name)
        return known(name)

    monkeypatch.setattr(importlib.metadata.Distribution, "from_name", from_name)


def test_a_clone_that_is_not_installed_knows_its_version_and_its_extras(not_installed: None):
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    assert installation.version() == project["version"]
    found = installation.extras()
    assert {extra: len(packages) for extra, packages in found.items()} == {
        extra: len(packages) for extra, packages in project["optional-dependencies"].items()
    }
    assert found["nir"] == ["nir", "h5py"]


def test_the_sources_alone_have_no_version_and_no_extras(not_installed: None, tmp_path, monkeypatch):
    monkeypatch.setattr(installation, "_WITH_IT", tmp_path)
    assert (installation.version(), installation.extras()) == ("unknown", {})


@pytest.mark.parametrize("command", ["doctor", "--version", "configs"])
def test_a_command_runs_where_litspike_is_not_installed(
    not_installed: None, capsys: pytest.CaptureFixture[str], command: str
):
    assert main([command]) == 0
    assert capsys.readouterr().err == ""


def test_an_extra_is_installed_as_litspike_was(monkeypatch: pytest.MonkeyPatch):
    assert installation.installing("nir") == "pip install -e '.[nir]'"
    monkeypatch.setattr(installation, "CLONED", False)
    assert installation.installing("nir") == "pip install 'litspike[nir]'"


def test_the_command_that_installs_an_extra_is_written_in_one_place():
    found = [path for path in (PROJECT / "src").rglob("*.py") if "pip install 'litspike[" in path.read_text()]
    assert found == [PROJECT / "src" / "litspike" / "installation.py"]


def test_a_second_build_in_a_clone_has_no_file_that_is_gone_from_the_sources(tmp_path: Path):
    shutil.copy(PROJECT / "setup.py", tmp_path)
    for name in ("src/litspike/now.py", "src/litspike/__init__.py", "configs/now.yaml", "zoo/now.ckpt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    for name in ("gone.py", "configs/gone.yaml", "gone/__init__.py"):
        gone = tmp_path / "build/lib/litspike" / name
        gone.parent.mkdir(parents=True, exist_ok=True)
        gone.touch()
    subprocess.run([sys.executable, "setup.py", "-q", "bdist_wheel"], cwd=tmp_path, capture_output=True, check=True)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    files = sorted(name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("litspike/"))
    assert files == [f"litspike/{name}" for name in ("__init__.py", "configs/now.yaml", "now.py", "zoo/now.ckpt")]
