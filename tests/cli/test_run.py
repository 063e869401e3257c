"""What a new user does: fit, validate, test and predict, and what is on the disk afterwards."""

from __future__ import annotations

import csv
import gc
import json
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.conftest import PROJECT, Cli, runs

QUICK = "--trainer.max_epochs 2 --data.train_points 200 --pictures.every 0"


def events(run: Path) -> EventAccumulator:
    accumulator = EventAccumulator(str(run), size_guidance={"images": 0, "scalars": 0, "tensors": 0})
    return accumulator.Reload()


def test_fit_shows_each_epoch_and_leaves_a_whole_run(cli: Cli, home: Path):
    result = cli(f"fit {QUICK}")
    assert (result.status, result.err) == (0, "")
    figures = r"loss \d\.\d{4} accuracy \d\.\d{4}"
    lines = [line for line in result.out.splitlines() if line.startswith("epoch")]
    assert len(lines) == 2
    for number, line in enumerate(lines, start=1):
        assert re.fullmatch(rf"epoch {number}/2  train {figures}  val {figures}  \d+\.\d\d s", line)
    (run,) = runs(home)
    names = {path.name for path in run.rglob("*") if path.is_file() and not path.name.startswith(("events", "."))}
    assert names == {"config.yaml", "run.json", "best.ckpt", "last.ckpt", "hparams.yaml"}
    assert json.loads((run / "run.json").read_text())["status"] == "finished"
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["data"]["init_args"]["train_points"] == 200
    assert config["model"]["init_args"]["network"]["init_args"]["neuron"]["init_args"]["decay"] == 0.9


def test_output_that_is_no_terminal_has_no_control_characters(cli: Cli):
    for command in (f"fit {QUICK}", "test", "validate"):
        assert not re.search(r"[\x00-\x09\x0b-\x1f]", cli(command).out)


def test_test_takes_the_best_checkpoint_of_the_newest_finished_run_and_says_so(cli: Cli, home: Path):
    cli(f"fit {QUICK}")
    cli(f"fit {QUICK} --model.optimizer.lr 0.02")
    newest = runs(home)[-1]
    result = cli("test")
    assert result.status == 0
    assert f"checkpoint: {newest / 'checkpoints' / 'best.ckpt'}" in result.out.splitlines()


def test_test_shows_its_figures_with_wilsons_interval(cli: Cli):
    cli(f"fit {QUICK}")
    result = cli("test")
    assert "test, 10 samples" in result.out
    accuracy = re.search(r"accuracy\D+(\d\.\d{4})\D+(\d\.\d{4}) to (\d\.\d{4})", result.out)
    assert accuracy is not None
    value, low, high = map(float, accuracy.groups())
    assert 0 < low < value <= high <= 1
    assert high - low > 0.2  # ten points say little


def test_test_runs_under_the_runs_own_configuration(cli: Cli):
    cli(f"fit {QUICK} --model.network.sizes [2,7,1] --data.test_points 31")
    result = cli("test")
    assert result.status == 0
    assert "test, 31 samples" in result.out


def test_the_weights_tested_are_those_of_the_best_validation_loss(cli: Cli, home: Path):
    cli("fit --trainer.max_epochs 6 --data.train_points 50 --pictures.every 0 --model.optimizer.lr 0.3")
    (run,) = runs(home)
    losses = {event.step: event.value for event in events(run).Scalars("val/loss")}
    best = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)
    assert best["epoch"] + 1 == min(losses, key=losses.__getitem__)
    assert torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["epoch"] == 5
    validated = re.search(r"loss\D+(\d\.\d{4})", cli("validate").out)
    assert validated is not None
    assert float(validated[1]) == round(min(losses.values()), 4)


def test_predict_writes_what_it_predicts(cli: Cli, home: Path):
    cli(f"fit {QUICK}")
    result = cli("predict")
    (run,) = runs(home)
    assert f"predictions: {run / 'predictions.csv'}" in result.out
    with (run / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 10
    for row in rows:
        assert int(row["label"]) == (float(row["x0"]) + float(row["x1"]) > 0)
        assert int(row["class"]) == (float(row["probability"]) > 0.5)


def test_tensorboard_gets_scalars_hyperparameters_and_pictures(cli: Cli, home: Path):
    cli("fit --trainer.max_epochs 3 --data.train_points 200 --pictures.every 2")
    cli("test")
    (run,) = runs(home)
    read = events(run)
    scalars = {f"{stage}/{name}" for stage in ("train", "val", "test") for name in ("loss", "accuracy")}
    curves = {f"test/over time/accuracy by {axis}" for axis in ("time step", "synaptic operations")}
    figures = {f"validation {name} neurons/layer 1 (LIF, 10)" for name in ("silent", "saturated")}
    figures |= {"validation firing rate/layer 1 (LIF, 10)", "validation potentials in the window/layer 1 (LIF, 10)"}
    figures |= {f"weight gradient norm/layers.{index} (Linear, {size})" for index, size in ((0, "10×2"), (2, "1×10"))}
    assert scalars | curves | figures | {"learning_rate", "best/val/loss"} == set(read.Tags()["scalars"])
    assert [event.step for event in read.Scalars("test/over time/accuracy by time step")] == list(range(1, 17))
    assert read.Images("anytime")[0].width >= 600
    for name in ("train/loss", "val/accuracy", "learning_rate", *figures):
        assert [event.step for event in read.Scalars(name)] == [1, 2, 3]
    for name in ("decision boundary", "spikes/layer 1"):
        images = read.Images(name)
        assert [image.step for image in images] == [2, 3]
        assert images[0].width >= 600
    hyperparameters = read.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    assert b"model.network.neuron.decay" in hyperparameters


def test_lines_and_table_can_be_turned_off(cli: Cli):
    assert "epoch" not in cli(f"fit {QUICK} --console.epochs false").out
    assert "accuracy" not in cli("test --console.table false").out


def test_a_configuration_file_overrides_the_default_and_names_the_experiment(cli: Cli, home: Path):
    config = home / "mine.yaml"
    config.write_text("model:\n  init_args:\n    encoder:\n      init_args:\n        steps: 3\n")
    assert cli(f"fit -c {config} {QUICK}").status == 0
    (run,) = runs(home, "mine")
    saved = yaml.safe_load((run / "config.yaml").read_text())
    assert saved["model"]["init_args"]["encoder"]["init_args"]["steps"] == 3
    assert saved["trainer"]["accelerator"] == "cpu"


def test_a_configuration_file_chooses_whose_newest_run_is_tested(cli: Cli, home: Path):
    cli(f"fit -c {home}/configs/article.yaml {QUICK}")
    cli(f"fit {QUICK}")
    assert "/logs/article/" in cli(f"test -c {home}/configs/article.yaml").out
    assert "/logs/default/" in cli("test").out


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(cli: Cli, home: Path):
    for seed in (4, 4, 5):
        cli(f"fit {QUICK} --seed_everything {seed}")
    states = [torch.load(run / "checkpoints/last.ckpt", weights_only=True)["state_dict"] for run in runs(home)]
    same = [all(torch.equal(states[0][name], state[name]) for name in state) for state in states]
    assert same == [True, True, False]


def test_pictures_and_console_change_no_weight(cli: Cli, home: Path):
    cli("fit --trainer.max_epochs 2 --data.train_points 200 --pictures.every 1")
    cli(f"fit {QUICK} --console.epochs false")
    on, off = (torch.load(run / "checkpoints/last.ckpt", weights_only=True)["state_dict"] for run in runs(home))
    assert all(torch.equal(on[name], off[name]) for name in on)


@pytest.mark.slow
def test_it_works_from_any_folder(tmp_path: Path):
    logs = tmp_path / "logs"
    command = [sys.executable, str(PROJECT / "main.py"), "fit", *QUICK.split(), "--logs", "logs"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(list(logs.glob("default/*/checkpoints/best.ckpt"))) == 1


def test_a_neuron_is_given_by_its_time_constant_on_the_command_line(cli: Cli, home: Path):
    neuron = "--model.network.neuron.decay null --model.network.neuron.tau 20 --model.network.neuron.dt 2"
    assert cli(f"fit {QUICK} {neuron}").status == 0
    (run,) = runs(home)
    settings = yaml.safe_load((run / "config.yaml").read_text())["model"]["init_args"]["network"]["init_args"]["neuron"]
    assert (settings["init_args"]["decay"], settings["init_args"]["tau"]) == (None, 20.0)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_epochs(cli: Cli):
    def tensors_after(epochs: int) -> int:
        cli(f"fit --trainer.max_epochs {epochs} --data.train_points 50 --pictures.every 0")
        gc.collect()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # looking at every object wakes deprecated ones
            return sum(isinstance(thing, torch.Tensor) for thing in gc.get_objects())

    few = tensors_after(2)
    assert tensors_after(8) <= few


def test_a_users_own_neuron_lies_in_the_folder_where_the_command_is_typed(
    cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch
):
    (home / "own_neuron.py").write_text(
        "from litspike.neurons import Neuron, param\n\n\n"
        "class Own(Neuron):\n"
        '    rest = {"u": 0.0}\n'
        '    threshold: float = param(1.0, "(0, inf)", "where it fires")\n\n'
        "    def constants(self):\n        return (self.threshold,)\n\n"
        "    def step(self, x, u, threshold):\n"
        "        u = u + x\n        s = self.spike(u - threshold)\n        return s, u * (1 - s)\n"
    )
    monkeypatch.chdir(home)
    monkeypatch.syspath_prepend(str(home))
    result = cli(f"fit {QUICK} --model.network.neuron own_neuron.Own --model.network.neuron.threshold 0.5")
    assert (result.status, result.err) == (0, "")
    assert "test, 10 samples" in cli("test").out
