"""The receipt of a test, against what NumPy makes of the same weights and data."""

from __future__ import annotations

import csv
import hashlib
import json
import math
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning import Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from litspike import LIF, ConstantCurrent, GradedLIF, MeanOverTime, Perceptron, RecurrentNetwork, TimeFirst
from litspike.callbacks import Receipt
from litspike.coding import EveryStep
from litspike.metrics import EnergyModel, mean_interval, wilson_interval
from litspike.networks.sequence import Pass
from litspike.reports.receipt.collect import Measurements
from litspike.tasks import Classification, CrossEntropy, MeanSquaredError, Regression
from tests.conftest import PROJECT, Cli, runs
from tests.oracles import neurons as oracles

QUICK = "--trainer.max_epochs 3 --data.train_points 200 --pictures.every 0"
STEPS, SAMPLES = 6, 12
PLAIN: Any = {"accelerator": "cpu", "logger": False, "enable_checkpointing": False, "enable_progress_bar": False}


def run_test(task: Any, x: Tensor, y: Tensor, folder: Path, **settings: Any) -> None:
    """Test a task on some data in batches of 4, with a receipt in the folder."""
    trainer = Trainer(callbacks=[Receipt()], default_root_dir=folder, **PLAIN, **settings)
    trainer.test(task, DataLoader(TensorDataset(x, y), 4), verbose=False)


def receipt_of(task: Any, x: Tensor, y: Tensor, folder: Path) -> dict[str, Any]:
    run_test(task, x, y, folder)
    return read(folder)


def read(folder: Path, **settings: Any) -> dict[str, Any]:
    return json.loads((folder / "receipt.json").read_text(encoding="utf-8"))


def classes(steps: int = STEPS) -> tuple[Classification, Tensor, Tensor]:
    torch.manual_seed(0)
    network = Perceptron([3, 20, 4], LIF(threshold=0.4))
    generator = torch.Generator().manual_seed(1)
    x, y = torch.randn(SAMPLES, 3, generator=generator), torch.randint(4, (SAMPLES,), generator=generator)
    return Classification(network, ConstantCurrent(steps), MeanOverTime(), CrossEntropy()), x, y


@pytest.mark.filterwarnings("ignore:The .*dataloader:UserWarning")
def test_the_loss_of_a_test_in_mixed_precision_has_an_interval(tmp_path: Path):
    torch.manual_seed(0)
    task = Classification(Perceptron([2, 10, 1], LIF()), ConstantCurrent(16), MeanOverTime())
    run_test(task, torch.randn(40, 2), (torch.arange(40) % 2).float(), tmp_path, precision="bf16-mixed")
    loss = read(tmp_path)["figures"]["loss"]
    assert loss["interval"][0] < loss["value"] < loss["interval"][1]


def values() -> tuple[Regression, Tensor, Tensor]:
    torch.manual_seed(0)
    network = RecurrentNetwork([2, 9, 1], LIF(threshold=0.4))
    generator = torch.Generator().manual_seed(1)
    x, y = torch.randn(SAMPLES, STEPS, 2, generator=generator), torch.randn(SAMPLES, 1, generator=generator)
    return Regression(network, TimeFirst(), MeanOverTime(), MeanSquaredError()), x, y


def test_the_receipt_of_a_run_holds_what_numpy_finds(cli: Cli, home: Path):
    cli(f"fit {QUICK}")
    result = cli("test --data.test_points 60")
    (run,) = runs(home)
    assert f"receipt: {run / 'receipt.md'}" in result.out.splitlines()
    assert result.err == ""
    said = read(run)
    weights = torch.load(run / "checkpoints/best.ckpt", weights_only=True)["state_dict"]
    first, bias, last, last_bias = (value.numpy() for value in weights.values())
    cli("predict --data.test_points 60")
    rows = list(csv.DictReader((run / "predictions.csv").open()))
    x = np.array([[row["x0"], row["x1"]] for row in rows], dtype=np.float32)
    labels = np.array([int(row["label"]) for row in rows])
    current = np.broadcast_to(x @ first.T + bias, (16, 60, 10))
    spikes = oracles.lif(current.reshape(16, 600))[0].reshape(16, 60, 10)
    mean = (spikes @ last.T + last_bias)[..., 0].cumsum(0) / np.arange(1, 17)[:, None]
    accuracy = ((mean > 0) == labels).mean(1)

    assert said["figures"]["accuracy"]["value"] == pytest.approx(accuracy[-1])
    assert said["figures"]["accuracy"]["interval"] == pytest.approx(wilson_interval(round(60 * accuracy[-1]), 60))
    losses = np.log1p(np.exp(np.where(labels == 1, -mean[-1], mean[-1]))).tolist()
    assert said["figures"]["loss"]["value"] == pytest.approx(statistics.fmean(losses), rel=1e-4)
    assert said["figures"]["loss"]["interval"] == pytest.approx(mean_interval(losses, most=math.inf), rel=1e-4)
    assert (said["parameters"], said["time_steps"], said["samples"]) == ({"all": 41, "trained": 41}, 16, 60)
    layer = said["layers"]["layer 1"]
    assert layer["rate"] == pytest.approx(spikes.mean(), abs=1e-6)
    assert layer["sparsity"] == pytest.approx(1 - spikes.mean(), abs=1e-6)
    assert (layer["model"], layer["neurons"], layer["module"]) == ("LIF", 10, "layers.1")
    done = said["operations"]
    assert (done["dense"], done["dense_of_one_step"], done["macs"]) == (20 + 16 * 10, 30, 20)  # the current is constant
    assert done["acs"] == pytest.approx(spikes.sum() / 60)
    assert done["connections"]["layers.0"]["computed_once"]
    assert not done["connections"]["layers.2"]["computed_once"]
    energy = said["energy"]
    assert energy["with_spikes"] == pytest.approx((20 * 4.6 + spikes.sum() / 60 * 0.9) / 1000)
    assert energy["without_spikes_one_pass"] == pytest.approx(30 * 4.6 / 1000)
    assert energy["without_spikes_every_step"] == pytest.approx(180 * 4.6 / 1000)
    fired = spikes.sum() / 60  # each is 4 bits, and meets one weight; 32 bits take 5 pJ
    memory = {"arithmetic": energy["with_spikes"], "weights": (20 + fired) * 5 / 1000}
    memory |= {"states": (16 * 10 * 2 + fired) * 10 / 1000, "events": (20 * 5 + 2 * fired * 4 * 10 / 64) / 1000}
    assert energy["with_memory"] == pytest.approx({**memory, "total": sum(memory.values())})
    plain = {"arithmetic": 30 * 4.6 / 1000, "weights": 30 * 5 / 1000, "states": 0}
    plain["events"] = (20 * 5 + 20 * 5 * 10 / 64) / 1000  # 16 steps are activations of 5 bits, written and read
    assert energy["without_spikes_same_bits"] == pytest.approx({**plain, "total": sum(plain.values())})
    assert energy["firing_rate"] == pytest.approx(spikes.mean())
    assert energy["spikes_win_below"] == "never"  # two numbers of ten neurons, read and written 16 times

    curve = list(csv.DictReader((run / "anytime.csv").open()))
    assert [float(row["accuracy"]) for row in curve] == pytest.approx(accuracy.tolist())
    spent = 20 + spikes.sum((1, 2)).cumsum() / 60
    assert [float(row["operations"]) for row in curve] == pytest.approx(spent.tolist())
    earliest = int(np.flatnonzero(accuracy >= 0.99 * accuracy[-1])[0]) + 1
    assert said["anytime"]["earliest_step_with_99_percent"] == earliest
    text = (run / "receipt.md").read_text(encoding="utf-8")
    assert f"99% of the final accuracy is reached at step {earliest} of 16, after {spent[earliest - 1]:,.1f} of" in text
    assert (run / "anytime.png").read_bytes().startswith(b"\x89PNG")


def test_the_receipt_says_where_it_comes_from(cli: Cli, home: Path):
    cli(f"fit {QUICK} --seed_everything 3 --data.seed 5")
    cli("test --data.test_points 31")
    (run,) = runs(home)
    said = read(run)

    def sha256(name: str) -> str:
        return hashlib.sha256((run / name).read_bytes()).hexdigest()

    assert said["checkpoint"] == {"file": "checkpoints/best.ckpt", "sha256": sha256("checkpoints/best.ckpt")}
    assert said["configuration"] == {
        "sha256": sha256("config.yaml"),
        "changed_for_this_test": {"data.test_points": 31},
    }
    assert said["seeds"] == {"seed_everything": 3, "data.seed": 5}
    assert said["versions"]["torch"] == torch.__version__
    assert {"litspike", "lightning", "python"} <= said["versions"].keys()
    assert said["machine"]["device"] == "cpu"
    assert said["latency"]["milliseconds"] > 0
    assert said["latency"]["passes"] == 30
    assert said["latency"]["streamed_step_microseconds"] > 0
    assert said["left_out"] == {}
    text = (run / "receipt.md").read_text(encoding="utf-8")
    assert f"{said['latency']['streamed_step_microseconds']:.1f} µs for one time step fed by `litspike.networks" in text


def test_a_step_that_is_no_single_call_has_no_latency(cli: Cli, home: Path):
    cli(f"fit {QUICK} --model.network.neuron.engine reference")
    assert cli("test").status == 0
    assert "streamed_step_microseconds" not in read(runs(home)[0])["latency"]


def test_it_can_be_turned_off(cli: Cli, home: Path):
    cli(f"fit {QUICK}")
    result = cli("test --receipt.enabled false")
    (run,) = runs(home)
    assert "receipt" not in result.out
    assert not list(run.glob("receipt*")) + list(run.glob("anytime*"))


@pytest.mark.parametrize("name", ["receipt.json", "receipt.md", "anytime.png"])
def test_a_receipt_that_cannot_be_written_warns_and_the_table_is_there(cli: Cli, home: Path, name: str):
    cli(f"fit {QUICK}")
    (run,) = runs(home)
    (run / name).mkdir()
    with pytest.warns(UserWarning, match=r"no (receipt|anytime curve) in .*: something is there that is no file"):
        result = cli("test")
    assert result.status == 0
    assert "test, 10 samples" in result.out


def test_a_disk_that_takes_nothing_leaves_the_table(cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    cli(f"fit {QUICK}")
    monkeypatch.setattr("torch.utils.tensorboard.SummaryWriter", full)
    monkeypatch.setattr("litspike.reports.receipt.callback.replace_text", full)
    with pytest.warns(UserWarning, match="No space left on device") as warned:
        result = cli("test")
    assert result.status == 0
    assert "test, 10 samples" in result.out
    said = [str(warning.message) for warning in warned]
    assert [text.split(" in ")[0] for text in said] == ["TensorBoard gets nothing", "no receipt"]
    assert all(text.endswith("No space left on device") for text in said)


def test_a_carried_membrane_has_no_interval_and_one_step_no_curve(cli: Cli, home: Path):
    cli(f"fit -c {home}/configs/article.yaml {QUICK}")
    assert cli(f"test -c {home}/configs/article.yaml").status == 0
    (run,) = runs(home, "article")
    said = read(run)
    assert "interval" not in said["figures"]["accuracy"]
    assert "carried" in said["figures"]["accuracy"]["no_interval"]
    assert said["left_out"] == {"anytime": "one time step makes no curve"}
    assert said["operations"]["dense"] == 30
    assert said["latency"]["milliseconds"] > 0


def test_a_regressions_intervals_are_those_of_its_samples(tmp_path: Path):
    task, x, y = values()
    said = receipt_of(task, x, y, tmp_path)
    with torch.no_grad():
        outputs = task.network(x.transpose(0, 1))[0][..., 0].numpy().astype(np.float64)
    answers = outputs.cumsum(0) / np.arange(1, STEPS + 1)[:, None]
    errors = np.abs(answers - y[:, 0].numpy())
    for name, found in (("mae", errors[-1]), ("loss", errors[-1] ** 2)):
        assert said["figures"][name]["value"] == pytest.approx(found.mean(), rel=1e-5)
        assert said["figures"][name]["interval"] == pytest.approx(
            mean_interval(found.tolist(), most=math.inf), rel=1e-5
        )
    low, high = mean_interval((errors[-1] ** 2).tolist(), most=math.inf)
    assert said["figures"]["rmse"]["value"] == pytest.approx(np.sqrt((errors[-1] ** 2).mean()), rel=1e-5)
    assert said["figures"]["rmse"]["interval"] == pytest.approx([low**0.5, high**0.5], rel=1e-5)
    assert said["anytime"]["values"] == pytest.approx(errors.mean(1).tolist(), rel=1e-5)
    final = errors[-1].mean()
    earliest = next(step for step, error in enumerate(errors.mean(1), 1) if 0.99 * error <= final)
    assert said["anytime"]["earliest_step_with_99_percent"] == earliest
    assert said["operations"]["connections"]["layers.1.connections"]["dense"] == STEPS * 81
    assert said["layers"]["layer 1"]["model"] == "Recurrent LIF"
    assert said["checkpoint"] == {}
    energy, rate = said["energy"], said["layers"]["layer 1"]["rate"]
    fired = STEPS * 9 * rate  # 4 bits each, written once and read by the next layer and by their own
    assert energy["with_memory"]["events"] == pytest.approx((STEPS * 18 * 5 + fired * 3 * 4 * 10 / 64) / 1000)
    assert energy["without_spikes_same_bits"]["arithmetic"] == pytest.approx(STEPS * (18 + 81 + 9) * 4.6 / 1000)
    assert (energy["sequence"], energy["activation_bits"]) == (True, 32)


def test_energy_follows_the_order_of_the_calls_and_not_that_in_which_layers_are_registered(tmp_path: Path):
    class LastFirst(Perceptron):
        """Its layers are registered from the last to the first."""

        def __init__(self) -> None:
            super().__init__([3, 20, 4], LIF(threshold=0.4))
            self.layers = nn.ModuleDict(reversed([(f"l{name}", one) for name, one in self.layers.named_children()]))

        def through(self, x: Tensor, apply: Pass) -> Tensor:
            for layer in reversed(list(self.layers.values())):
                x = apply(layer, x)
            return x

    task, x, y = classes()
    other = Classification(LastFirst(), ConstantCurrent(STEPS), MeanOverTime(), CrossEntropy())
    layers = other.network.layers
    for name, one in task.network.layers.named_children():
        layers[f"l{name}"].load_state_dict(one.state_dict())
    assert [type(one) for one in layers.values()] == [nn.Linear, LIF, nn.Linear]
    plain = receipt_of(task, x, y, tmp_path / "plain")["energy"]
    assert plain["without_spikes_same_bits"]["events"] > 0
    assert receipt_of(other, x, y, tmp_path / "other")["energy"] == plain


def test_settings_of_the_energy_reach_the_receipt_and_its_text(tmp_path: Path):
    task, x, y = classes()
    model = EnergyModel(weight_bits=8, state_bits=16, multiply_pj=0.2, add_pj=0.1)
    trainer = Trainer(callbacks=[Receipt(energy=model)], default_root_dir=tmp_path, **PLAIN)
    trainer.test(task, DataLoader(TensorDataset(x, y), 4), verbose=False)
    energy = read(tmp_path)["energy"]
    assert energy["settings"]["state_bits"] == 16
    assert energy["without_spikes_one_pass"] == pytest.approx((60 + 80) * 0.3 / 1000)
    assert energy["with_memory"]["weights"] == pytest.approx(read(tmp_path)["operations"]["effective"] * 1.25 / 1000)
    text = (tmp_path / "receipt.md").read_text(encoding="utf-8")
    assert f"| weights | – | {energy['with_memory']['weights']:,.4g} | {140 * 1.25 / 1000:,.4g} |" in text
    assert "Weights: 8 bits; states: 16." in text
    assert "Spikes never win" in text


def test_of_neurons_without_spikes_energy_with_memory_is_left_out_with_its_reason(tmp_path: Path):
    task, x, y = classes()
    task.network = Perceptron([3, 20, 4], GradedLIF(threshold=0.4))
    energy = receipt_of(task, x, y, tmp_path)["energy"]
    assert "with_memory" not in energy
    assert energy["no_memory"] == "layer 1 (GradedLIF): its outputs are no spikes"
    assert energy["no_memory"] in (tmp_path / "receipt.md").read_text(encoding="utf-8")


def test_a_readout_of_every_step_has_intervals_and_no_curve(tmp_path: Path):
    task, x, _ = values()
    task.readout = EveryStep()
    targets = torch.randn(SAMPLES, STEPS, 1, generator=torch.Generator().manual_seed(2))
    said = receipt_of(task, x, targets, tmp_path)
    assert "a value for each step" in said["left_out"]["anytime"]
    assert not (tmp_path / "anytime.csv").exists()
    errors = (task(x) - targets).abs().mean((1, 2))
    assert said["figures"]["mae"]["interval"] == pytest.approx(mean_interval(errors.tolist(), most=math.inf), rel=1e-5)


def test_several_classes(tmp_path: Path):
    task, x, y = classes()
    said = receipt_of(task, x, y, tmp_path)
    right = int((task(x).argmax(1) == y).sum())
    assert said["figures"]["accuracy"]["interval"] == pytest.approx(wilson_interval(right, SAMPLES))
    assert said["anytime"]["values"][-1] == pytest.approx(right / SAMPLES)
    assert said["left_out"] == {}


@pytest.mark.thorough
def test_two_processes_write_one_receipt_of_all_samples(tmp_path: Path):
    alone, together = tmp_path / "alone", tmp_path / "together"
    one = receipt_of(*classes(), alone)
    script = tmp_path / "two.py"
    script.write_text(
        "from pathlib import Path\nfrom tests.reports.test_receipt import classes, run_test\n"
        f"run_test(*classes(), Path({str(together)!r}), strategy='ddp', devices=2)\n"
    )
    paths = os.pathsep.join([str(PROJECT), *sys.path])
    environment = {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("receipt: ") == 1
    two = read(together)
    assert two["machine"]["processes"] == 2
    assert two["left_out"] == {}
    for part in ("samples", "figures", "layers", "operations", "energy", "anytime"):
        assert _flat(two[part]) == pytest.approx(_flat(one[part]), rel=1e-5), part


def test_samples_that_every_process_tested_have_no_interval(tmp_path: Path):
    task, x, y = classes()
    task.on_test_epoch_end = lambda: task._log_metrics("test") or task.samples.update(test=2 * SAMPLES)
    said = receipt_of(task, x, y, tmp_path)
    assert said["figures"]["accuracy"]["no_interval"] == "several processes tested the same samples"


def _flat(said: Any) -> list[float]:
    if isinstance(said, dict):
        return [number for value in said.values() for number in _flat(value)]
    if isinstance(said, list):
        return [number for value in said for number in _flat(value)]
    return [float(said)] if isinstance(said, (int, float)) else []


class NoMean(CrossEntropy):
    """A loss that no sample has by itself."""

    def __call__(self, value: Tensor, outputs: Tensor, target: Tensor) -> Tensor:
        return super().__call__(value, outputs, target) * len(target)


class NotByItself(CrossEntropy):
    """A loss that only batches have."""

    def __call__(self, value: Tensor, outputs: Tensor, target: Tensor) -> Tensor:
        if float(value.abs().sum()) < 0:
            raise AssertionError
        return super().__call__(value, outputs, target)


@pytest.mark.parametrize(
    ("loss", "reason"), [(NoMean(), "no mean over the samples"), (NotByItself(), "its spread over the samples")]
)
def test_a_loss_without_a_spread_has_no_interval(tmp_path: Path, loss: CrossEntropy, reason: str):
    task, x, y = classes()
    task.loss = loss
    said = receipt_of(task, x, y, tmp_path)
    assert reason in said["figures"]["loss"]["no_interval"]
    assert "interval" in said["figures"]["accuracy"]


@pytest.mark.parametrize(
    ("part", "method"),
    [("operations", "_count"), ("score", "_score"), ("anytime", "_answer"), ("layer 1 (LIF)", "_fired")],
)
def test_a_part_that_fails_is_left_out_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str, method: str
):
    def broken(*_: Any) -> None:
        raise RuntimeError("out of order")

    task, x, y = classes()
    monkeypatch.setattr(Measurements, method, broken)
    said = receipt_of(task, x, y, tmp_path)
    assert said["left_out"][part] == "out of order"
    assert said["figures"]["accuracy"]["value"] >= 0
    assert f"- {part}: out of order" in (tmp_path / "receipt.md").read_text()


def test_looking_on_changes_no_figure_no_random_number_and_leaves_no_hook(tmp_path: Path):
    task, x, y = classes()
    torch.manual_seed(7)
    (expected,) = Trainer(**PLAIN).test(task, DataLoader(TensorDataset(x, y), 4), verbose=False)
    drawn = torch.get_rng_state()  # the loader draws a seed
    torch.manual_seed(7)
    said = receipt_of(task, x, y, tmp_path)
    assert torch.equal(drawn, torch.get_rng_state())
    assert {f"test/{name}": figure["value"] for name, figure in said["figures"].items()} == {
        name: value for name, value in expected.items() if name != "step"
    }
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in task.modules())
