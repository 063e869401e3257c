"""The networks of the zoo: today's code loads each, and finds what its receipt says."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
import yaml

import litspike
from litspike.installation import OWN, ZOO, comes_along, trained, trained_names
from litspike.runs import checkpoints
from tests.conftest import PROJECT, Cli

SCRIPT = importlib.util.spec_from_file_location("zoo_make", PROJECT / "zoo" / "make.py")
assert SCRIPT is not None
assert SCRIPT.loader is not None
MAKE = importlib.util.module_from_spec(SCRIPT)
SCRIPT.loader.exec_module(MAKE)
KEPT, OF_OTHERS, table = MAKE.KEPT, MAKE.OF_OTHERS, MAKE.table
NAMES = trained_names()


def test_the_networks_are_those_of_configurations():
    assert len(NAMES) >= 10
    assert {*NAMES} <= {path.stem for path in (PROJECT / "configs").glob("*.yaml")} - {*OF_OTHERS}


@pytest.mark.integration
@pytest.mark.parametrize("name", NAMES)
def test_a_test_finds_what_the_receipt_says(cli: Cli, home: Path, name: str):
    if "digits" in name and importlib.util.find_spec("sklearn") is None:
        pytest.skip("scikit-learn has the digits, and is not installed")
    result = cli(f"test --ckpt_path zoo:{name}")
    assert (result.status, result.err) == (0, "")
    now = json.loads((home / "logs" / "zoo" / name / "receipt.json").read_text())
    then = json.loads((ZOO / name / "receipt.json").read_text())
    assert now["checkpoint"]["sha256"] == then["checkpoint"]["sha256"]
    assert (now["samples"], now["parameters"]) == (then["samples"], then["parameters"])
    assert now["figures"].keys() == then["figures"].keys()
    for metric, figure in then["figures"].items():  # another processor rounds otherwise, and may move a spike
        assert now["figures"][metric]["value"] == pytest.approx(figure["value"], rel=5e-3), metric
    for layer, firing in then["layers"].items():
        assert now["layers"][layer]["rate"] == pytest.approx(firing["rate"], rel=5e-3), layer


@pytest.mark.parametrize("name", NAMES)
def test_a_network_has_its_weights_configuration_receipt_and_pictures_and_is_small(name: str):
    folder = ZOO / name
    checkpoint = checkpoints.read(trained(name))
    assert {*checkpoint} == {*KEPT}
    assert yaml.safe_load((folder / "config.yaml").read_text()) == checkpoints.configuration(checkpoint)
    assert (folder / "receipt.md").is_file()
    assert (folder / "pictures" / "one-sample.png").is_file()
    assert sum(path.stat().st_size for path in folder.rglob("*")) < 1_000_000


def test_the_table_is_that_of_the_receipts():
    assert (ZOO / "README.md").read_text(encoding="utf-8") == table()


def test_a_network_is_there_in_python_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert sum(parameter.numel() for parameter in litspike.load("zoo:default").parameters()) == 41


@pytest.mark.parametrize("option", ["test --ckpt_path", "fit --weights"])
def test_a_name_that_the_zoo_has_not_is_a_line_with_those_that_it_has(cli: Cli, option: str):
    line = cli(f"{option} zoo:didgits").error_line
    assert (
        line == f"{option.split('--')[1]}: the zoo has no network that is called 'didgits'; it has {', '.join(NAMES)}"
    )


def test_training_does_not_go_on_from_weights_alone(cli: Cli):
    line = cli("fit --ckpt_path zoo:default").error_line
    assert "holds weights alone" in line
    assert line.endswith(" start from them by --weights")
    offered = [words.split()[0] for words in cli("fit --help").out.splitlines() if "zoo:NAME" in words]
    assert offered == ["--weights"]


def test_a_path_that_leads_out_of_litspikes_own_files_does_not_come_along():
    assert comes_along(f"{OWN}wine.csv")
    assert not comes_along(f"{OWN}../secret.csv")
    assert not comes_along("wine.csv")
