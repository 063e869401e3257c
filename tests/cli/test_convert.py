"""``convert`` makes a spiking network of a checkpoint's ReLU network."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from litspike.cli import main
from tests.conftest import PROJECT, Cli, runs

RELU = "--model.network.neuron litspike.networks.ReLU --model.encoder.steps 1"


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of all runs, with one of a ReLU network."""
    home = tmp_path_factory.mktemp("fitted")
    (home / "configs").symlink_to(PROJECT / "configs")
    quick = f"{RELU} --trainer.max_epochs 2 --data.test_points 60 --pictures.every 0"
    assert main(["fit", *quick.split()], home=home) == 0
    return home / "logs"


@pytest.fixture
def trained(fitted: Path, home: Path) -> Path:
    """The folder of that run, in the project of the test."""
    shutil.copytree(fitted, home / "logs")
    (folder,) = runs(home)
    return folder


@pytest.mark.slow
def test_a_relu_network_becomes_a_spiking_one_that_is_tested_fine_tuned_and_exported(
    cli: Cli, home: Path, trained: Path
):
    result = cli("convert --steps 6")
    assert (result.status, result.err) == (0, "")
    folder = trained / "converted"
    assert {path.name for path in folder.iterdir()} == {"converted.ckpt", "converted.yaml", "fidelity.json"}
    report = json.loads((folder / "fidelity.json").read_text(encoding="utf-8"))
    relu, spikes = report["accuracy"]["ReLU"], report["accuracy"]["spikes"]
    assert len(spikes) == 6
    assert spikes[-1] == pytest.approx(relu, abs=0.1)
    assert "spikes, after step 6" in result.out
    tested = cli(f"test --ckpt_path {folder}/converted.ckpt")
    assert tested.status == 0
    receipt = json.loads((folder / "converted.litspike" / "receipt.json").read_text(encoding="utf-8"))
    assert receipt["figures"]["accuracy"]["value"] == pytest.approx(spikes[-1])
    fitted = cli(
        f"fit -c {folder}/converted.yaml --weights {folder}/converted.ckpt --trainer.max_epochs 1 "
        "--trainer.limit_train_batches 2 --pictures.every 0"
    )
    assert fitted.status == 0
    assert cli("export --to c --integer 8").status == 0


def test_the_test_and_a_file_of_somebody_elses_are_left_alone(cli: Cli, trained: Path):
    assert cli("convert").status == 0
    notes = trained / "converted" / "notes.txt"
    notes.write_text("mine")
    assert "converted holds notes.txt" in cli("convert").error_line
    assert notes.read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("--steps 0", "steps"),
        ("--percentile 101", "percentile"),
        ("--model.encoder litspike.coding.TimeFirst", "convert: model.encoder: TimeFirst gives no rates"),
    ],
)
def test_a_mistake_is_a_line(cli: Cli, trained: Path, arguments: str, line: str):
    assert line in cli(f"convert {arguments}").error_line
    assert not (trained / "converted").exists()


def test_a_network_that_spikes_already_is_refused_by_a_line_that_names_its_layers(cli: Cli, home: Path):
    assert cli("fit --trainer.max_epochs 1 --trainer.limit_train_batches 2 --pictures.every 0").status == 0
    assert "convert: layers.1 (LIF) is no layer that rates go through" in cli("convert").error_line
