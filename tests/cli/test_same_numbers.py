"""What commands say of one checkpoint and the same data is the same."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import Cli, runs

FIT = (
    "fit -c arrays --data.path near.csv --data.label kind --model.network.sizes [2,6,1] --trainer.max_epochs 2 "
    "--model.loss litspike.tasks.BinaryCrossEntropy --model.loss.class_weights balanced --pictures.every 0 "
)


def write(path: Path, mean: float, deviation: float) -> None:
    """A table of 60 rows: two features, and a label that is 1 in a third of them."""
    draws = np.random.default_rng(0)
    rows = [f"{a * deviation + mean},{b * deviation + mean},{int(a > 0.4)}" for a, b in draws.normal(size=(60, 2))]
    path.write_text("\n".join(["a,b,kind", *rows]) + "\n")


def receipt_of(folder: Path) -> dict[str, float]:
    receipt = json.loads((folder / "receipt.json").read_text())
    return {name: of["value"] for name, of in receipt["figures"].items()}


@pytest.mark.slow
def test_an_export_scales_other_data_as_the_checkpoint_does(cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("nir", reason="files in NIR need the extra: pip install 'litspike[nir]'")
    monkeypatch.chdir(home)
    write(home / "near.csv", 0, 1)
    write(home / "far.csv", 5, 3)
    assert cli(FIT).status == 0
    (run,) = runs(home, "arrays")
    for command in ("test", "export --to nir"):
        assert cli(f"{command} --data.path far.csv").status == 0
    report = json.loads((run / "export" / "nir" / "fidelity.json").read_text())
    exported = {name: of["litspike"] for name, of in report["metrics"].items()}
    assert exported == pytest.approx(receipt_of(run), rel=1e-6)


@pytest.mark.slow
def test_a_converted_network_weighs_classes_and_scales_data_as_the_one_it_is_made_of(
    cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(home)
    write(home / "near.csv", 0, 1)
    write(home / "far.csv", 5, 3)
    assert cli(f"{FIT} --model.network.neuron litspike.networks.ReLU --model.encoder.steps 1").status == 0
    (run,) = runs(home, "arrays")
    for command in ("convert --steps 400", "test", f"test --ckpt_path {run}/converted/converted.ckpt"):
        assert cli(f"{command} --data.path far.csv").status == 0
    assert receipt_of(run / "converted" / "converted.litspike")["loss"] == pytest.approx(
        receipt_of(run)["loss"], rel=0.02
    )
