"""The table of what the networks learn: its networks without spikes, and the figures that it adds."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch
import yaml

from benchmarks.accuracy import SEARCHED, TABLES, TASKS, chosen, main, noted, row
from benchmarks.baselines import GRU, ReLU
from litspike.networks import Perceptron
from tests.conftest import PROJECT, runs
from tests.test_configurations import LIBRARIES

REDUCED = "--trainer.max_epochs 1 --trainer.limit_train_batches 2 --trainer.limit_val_batches 1 --pictures.every 0"


def figures_of(home: Path, name: str, *changes: str) -> dict[str, float]:
    """What is noted of a short fit and its test."""
    if name in LIBRARIES:
        pytest.importorskip(LIBRARIES[name])
    assert noted(["fit", "-c", str(PROJECT / "configs" / f"{name}.yaml"), *REDUCED.split(), *changes], home) == 0
    assert noted(["test"], home) == 0
    (run,) = runs(home, name)
    figures: dict[str, float] = json.loads((run / "run.json").read_text())["figures"]
    return figures


@pytest.fixture(scope="module")
def without_spikes(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[str, float]]:
    """What is noted of a task's network without spikes, which is trained once."""
    home = tmp_path_factory.mktemp("without_spikes")
    (home / "configs").symlink_to(PROJECT / "configs")
    return cache(lambda name: figures_of(home, name, *[*TASKS[name].networks.values()][-1]))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["digits", "mackey_glass", "yin_yang"])  # the others change what one of these changes
def test_the_network_without_spikes_takes_the_place_of_the_spiking_one(
    without_spikes: Callable[[str], dict[str, float]], name: str
):
    figures = without_spikes(name)
    assert {"fit/seconds", "network/parameters", "test/loss"} <= figures.keys()
    assert "test/firing_rate" not in figures


def test_the_error_of_a_regression_is_in_standard_deviations_of_its_targets(
    without_spikes: Callable[[str], dict[str, float]],
):
    figures = without_spikes("mackey_glass")
    assert figures["test/nrmse"] == pytest.approx(figures["test/rmse"] / 0.23, rel=0.1)  # the series' own spread


def test_rate_and_size_are_those_of_the_tested_network(home: Path):
    never = ["--model.network.neuron.threshold", "1e9"]
    figures = figures_of(home, "default", *never)
    assert figures["test/firing_rate"] == 0
    assert figures["network/parameters"] == 2 * 10 + 10 + 10 + 1


def test_a_row_says_how_many_seeds_are_missing_or_that_all_failed():
    task = TASKS["digits"]
    figures = {
        "test/accuracy": {"values": [0.9, 1.0], "mean": 0.95, "standard_deviation": 0.07, "interval": [0.3, 1.6]},
        "test/firing_rate": {"values": [0.1, 0.1], "mean": 0.1},
        "network/parameters": {"values": [9.0, 9.0], "mean": 9.0},
        "fit/seconds": {"values": [4.0], "mean": 4.0},
    }
    begun = "| digits | spiking | 9 | accuracy 0.9500 ± 0.0700 (0.3000 to 1.6000)"
    assert row(task, "spiking", figures, 2) == f"{begun} | 0.100 | 4 | here |"
    assert row(task, "spiking", figures, 5) == f"{begun}, 2 of 5 seeds | 0.100 | 4 | here |"
    del figures["test/firing_rate"]
    assert row(task, "ReLU", figures, 2).endswith("| – | 4 | here |")
    assert "no result" in row(task, "ReLU", {}, 2)


@pytest.mark.slow
def test_a_search_gives_the_configuration_of_a_trial_of_the_network_that_is_searched(tmp_path: Path):
    pytest.importorskip("optuna", reason="a search needs Optuna: pip install 'litspike[sweep]'")
    few = ["--data.train_samples", "64", "--data.val_samples", "50"]
    path = chosen(PROJECT / "configs" / "delayed_xor.yaml", [*SEARCHED["LSTM"], *few], 2, tmp_path)
    config = yaml.safe_load(path.read_text())
    init = config["model"]["init_args"]
    assert init["network"]["class_path"] == "benchmarks.baselines.LSTM"
    assert init["scheduler"]["init_args"]["T_max"] == config["trainer"]["max_epochs"]
    with (path.parent.parent / "trials.csv").open() as file:
        losses = {trial["trial"]: float(trial["val/loss"]) for trial in csv.DictReader(file)}
    assert path.stem == f"trial-{min(losses, key=losses.__getitem__)}"


@pytest.mark.parametrize("name", ["delayed_xor", "digits_sequence", "mackey_glass", "manifolds", "store_recall"])
def test_a_space_tries_networks_of_its_configurations_inputs_and_outputs(name: str):
    config, space = (
        yaml.safe_load((PROJECT / "configs" / place / f"{name}.yaml").read_text()) for place in ("", "spaces")
    )
    sizes = config["model"]["init_args"]["network"]["init_args"]["sizes"]
    assert {(one[0], one[-1]) for one in space["space"]["model.network.sizes"]} == {(sizes[0], sizes[-1])}


def test_a_perceptron_of_rectifiers_is_an_ordinary_one_at_every_step():
    network = Perceptron([3, 4, 2], ReLU())
    x = torch.randn(5, 6, 3)
    first, last = network.layers[0], network.layers[2]
    assert torch.allclose(network(x)[0], last(first(x).clamp(min=0)))
    assert torch.allclose(network(x[0].expand(5, 6, 3))[0][4], network(x[:1])[0][0])


def test_a_gru_goes_on_from_its_state():
    network = GRU([3, 4, 5, 2])
    x = torch.randn(7, 6, 3)
    whole, _ = network(x)
    first, state = network(x[:3])
    assert torch.allclose(torch.cat([first, network(x[3:], state)[0]]), whole, atol=1e-6)
    assert not torch.allclose(network(x[3:])[0], whole[3:])


def test_the_tables_of_other_scripts_follow_and_have_no_search(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    for name in TABLES:
        monkeypatch.setattr(f"benchmarks.{name}.main", lambda args, name=name: print(f"table of {name}", args))
    main(["--tasks", *TABLES])
    assert capsys.readouterr().out.split("\n\n") == ["\ntable of time_series []", "table of forecast []\n"]
    with pytest.raises(SystemExit):
        main(["--search", "2", "--tasks", "forecast"])
    assert "there is no search for forecast" in capsys.readouterr().err
