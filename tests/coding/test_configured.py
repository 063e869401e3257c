"""Encoders and readouts as a configuration names them, through the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml

from tests.conftest import Cli, runs

QUICK = "--data.train_points 100 --data.val_points 50 --pictures.every 0"
POISSON = {
    "class_path": "litspike.coding.Population",
    "init_args": {
        "fields": 4,
        "low": -6,
        "high": 6,
        "encoder": {"class_path": "litspike.coding.PoissonRate", "init_args": {"steps": 4, "seed": 3}},
    },
}
INTEGRATOR = {
    "class_path": "litspike.coding.LeakyIntegratorReadout",
    "init_args": {
        "read": "max",
        "outputs": 1,
        "integrator": {
            "class_path": "litspike.neurons.LeakyIntegrator",
            "init_args": {"tau": 5.0, "learn": {"tau": "neuron"}},
        },
    },
}


@pytest.fixture
def config(home: Path) -> Path:
    settings = yaml.safe_load((home / "configs" / "default.yaml").read_text())
    model = settings["model"]["init_args"]
    model["encoder"], model["readout"] = POISSON, INTEGRATOR
    model["network"]["init_args"]["sizes"] = [8, 10, 1]
    path = home / "configs" / "coded.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


def test_a_resumed_fit_on_random_spikes_ends_where_an_uninterrupted_one_does(cli: Cli, home: Path, config: Path):
    cli(f"fit -c {config} {QUICK} --trainer.max_epochs 4")
    cli(f"fit -c {config} {QUICK} --trainer.max_epochs 2")
    assert cli("fit --ckpt_path last --trainer.max_epochs 4").status == 0
    whole, pieces = (
        torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"] for run in runs(home, "coded")
    )
    assert whole["encoder.encoder._extra_state"] == 4 * 10
    assert "readout.integrator.free_tau" in whole
    assert all(torch.equal(whole[name], pieces[name]) for name in whole)


def test_a_sample_out_of_range_gets_one_line(cli: Cli, config: Path):
    line = cli(f"fit -c {config} {QUICK} --trainer.max_epochs 1 --model.encoder.high 0.5").error_line
    assert line.startswith("Population: the input holds")
    assert line.endswith("outside [-6, 0.5]")
