"""Configurations by name, from an empty folder: those that come with litspike, and those that come before them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from litspike.cli import configurations, main
from litspike.installation import CONFIGURATIONS, version
from tests.conftest import PROJECT, runs

QUICK = "--trainer.max_epochs 1 --pictures.every 0 --checkup.every 0"


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "empty"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_litspikes_own_are_those_of_the_project():
    assert PROJECT / "configs" == CONFIGURATIONS


def test_the_default_trains_in_an_empty_folder_into_its_logs(empty: Path):
    assert main(f"fit {QUICK} --data.train_points 20".split()) == 0
    assert main(["test"]) == 0
    (run,) = runs(empty)
    assert (run / "receipt.md").is_file()


def test_one_that_needs_a_file_of_its_own_trains_and_is_tested_by_name(empty: Path, capsys: pytest.CaptureFixture[str]):
    assert main(f"fit -c arrays {QUICK}".split()) == 0
    assert main(["test", "-c", "arrays"]) == 0
    assert len(runs(empty, "arrays")) == 1
    assert "comes before" not in capsys.readouterr().out


def test_a_file_of_that_name_comes_first_and_a_line_says_so(empty: Path, capsys: pytest.CaptureFixture[str]):
    (empty / "digits.yaml").write_text("data: {init_args: {train_points: 7}}\n")
    assert main(f"fit -c digits {QUICK}".split()) == 0
    assert "config: digits.yaml comes before litspike's own of that name" in capsys.readouterr().out.splitlines()
    (run,) = runs(empty, "digits")
    assert yaml.safe_load((run / "config.yaml").read_text())["data"]["init_args"]["train_points"] == 7


def test_the_current_folder_comes_before_that_of_the_home(tmp_path: Path, empty: Path):
    (tmp_path / "configs").mkdir()
    for place in (tmp_path / "configs", empty):
        (place / "mine.yaml").touch()
    assert configurations.find("mine", tmp_path) == "mine.yaml"
    (empty / "mine.yaml").unlink()
    assert configurations.find("mine", tmp_path) == str(tmp_path / "configs" / "mine.yaml")
    assert configurations.find("digits.yaml", tmp_path) == str(CONFIGURATIONS / "digits.yaml")


def test_a_folder_of_that_name_is_no_configuration(empty: Path):
    (empty / "digits").mkdir()
    assert configurations.find("digits", empty) == str(CONFIGURATIONS / "digits.yaml")


@pytest.mark.parametrize("given", ["./digits", "configs/digits.yaml", "/digits"])
def test_a_path_with_a_folder_is_no_name(empty: Path, given: str):
    assert configurations.find(given, empty) == given


@pytest.mark.parametrize("given", ["digit", "configs/digits.yaml"])
def test_a_file_that_is_not_there_is_answered_by_the_name_of_one_that_is(
    empty: Path, capsys: pytest.CaptureFixture[str], given: str
):
    assert main(["fit", "-c", given]) == 1
    line = f"litspike: config: there is no file {given}; litspike has one that is called digits: -c digits\n"
    assert capsys.readouterr().err == line


def test_the_copy_of_the_project_hides_none_of_its_own(tmp_path: Path, empty: Path):
    shutil.copytree(CONFIGURATIONS, tmp_path / "configs")
    assert not configurations.hides("digits", Path(CONFIGURATIONS).parent)
    assert configurations.hides("digits", tmp_path) == CONFIGURATIONS / "digits.yaml"


def test_each_is_listed_with_a_line(capsys: pytest.CaptureFixture[str]):
    assert main(["configs"]) == 0
    lines = capsys.readouterr().out.split("\n\n")[0].splitlines()
    assert [line.split()[0] for line in lines] == sorted(path.stem for path in CONFIGURATIONS.glob("*.yaml"))
    assert all(len(line.split()) > 3 for line in lines)
    needs = {line.split()[0] for line in lines if line.endswith("(needs litspike[data])")}
    assert needs == {"digits", "digits_sequence"}
    events = {line.split()[0] for line in lines if line.endswith("(needs litspike[events])")}
    assert events == {"cifar10_dvs", "dvs_gesture", "nmnist", "shd", "ssc"}


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"litspike {version()}\n"
