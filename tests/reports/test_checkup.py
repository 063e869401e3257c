"""A check-up sees what the layers do, says once what is wrong with a sick network, and nothing of a healthy one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import Callback, Trainer
from lightning.pytorch.loggers import CSVLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor, nn

from litspike import LIF, ConstantCurrent, MeanOverTime, Perceptron, SettingError
from litspike.callbacks import CheckUp
from litspike.data import HalfPlane
from litspike.networks import SpikingNetwork
from litspike.networks.sequence import Pass
from litspike.neurons import LeakyIntegrator, Recurrent
from litspike.reports.checkup.collect import SAMPLES, WatchedLayer
from litspike.surrogates import ArcTan, Rectangle, Surrogate, Triangle, ZeroGradient
from litspike.tasks import CarriedClassification, Classification
from tests.conftest import LIMIT, PROJECT, Cli, runs


class Notes(CSVLogger):
    """Keeps what was logged, by its name: the epoch and the value. Prints it as well, for other processes."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.notes: dict[str, list[tuple[int | None, float]]] = {}

    def log_metrics(self, metrics: dict[str, Any], step: int | None = None) -> None:
        for name, value in metrics.items():
            self.notes.setdefault(name, []).append((step, float(value)))
            sys.stdout.write(f"logged {name} in epoch {step}: {float(value):.6f}\n")  # in one piece: others print too
            sys.stdout.flush()


class TogetherToTheEnd(Callback):
    """No process leaves while another one still speaks to it, which gloo would abort."""

    def teardown(self, trainer: Trainer, pl_module: Any, stage: str) -> None:
        trainer.strategy.barrier()


def perceptron(surrogate: Surrogate, hidden: int = 1) -> Perceptron:
    torch.manual_seed(0)
    return Perceptron([2, *[20] * hidden, 1], LIF(surrogate=surrogate))


def fit(folder: Path, network: nn.Module, task: type[Classification] = Classification, **settings: Any) -> Notes:
    """Train for three epochs, with a rate at which the weights stay what they are."""
    notes, callback, batch = Notes(folder), settings.pop("checkup", CheckUp()), settings.pop("batch", 20)
    data = settings.pop("data", None)
    module = task(network, ConstantCurrent(8), MeanOverTime(), optimizer=lambda p: torch.optim.SGD(p, lr=0.0))
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu", "max_epochs": 3}
    trainer = Trainer(
        callbacks=[callback, TogetherToTheEnd()], default_root_dir=folder, logger=notes, **{**quiet, **settings}
    )
    trainer.fit(
        module,
        **data or {"datamodule": HalfPlane(train_points=200, val_points=300, batch_size=batch, eval_batch_size=100)},
    )
    return notes


def said(capsys: pytest.CaptureFixture[str]) -> list[str]:
    marked = [line for line in capsys.readouterr().out.splitlines() if line.startswith("check-up: ")]
    return [line.removeprefix("check-up: ") for line in marked]


def with_bias(network: Perceptron, weight: float, bias: Tensor | float) -> Perceptron:
    """The network with one weight and the given biases in its first layer."""
    with torch.no_grad():
        network.layers[0].weight.fill_(weight)
        network.layers[0].bias.copy_(torch.as_tensor(bias))
    return network


SICK: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "silent": (
        lambda: with_bias(perceptron(ArcTan()), 0.01, -0.3),
        "layer 1 (LIF, 20): 100% of neurons never fired in epoch 2; lower the threshold, or set `calibrate`",
    ),
    "busy": (
        lambda: with_bias(perceptron(ArcTan()), 0.01, 5.0),
        "layer 1 (LIF, 20): neurons fired at 100% of all steps in epoch 2, 100% of them at every step; raise the",
    ),
    "blind": (
        lambda: perceptron(ZeroGradient()),
        "layer 1 (LIF, 20): its surrogate, ZeroGradient, lets no gradient through, so that nothing before it learns;",
    ),
    "outside": (
        lambda: perceptron(Rectangle(1e-4)),
        "of membrane potentials lay inside the window of Rectangle(width=0.0001) in epoch 2, so that hardly any",
    ),
    "vanished": (
        lambda: perceptron(Triangle(height=1e-3), hidden=2),
        "the gradient of layers.0 (Linear, 20×2) has vanished in epoch 2: ",
    ),
    "exploded": (
        lambda: perceptron(Triangle(height=30.0), hidden=2),
        "the gradient of layers.0 (Linear, 20×2) and layers.2 (Linear, 20×20) has exploded in epoch 2: ",
    ),
    "not finite": (  # it leaves weights that are no numbers, with which no neuron fires
        lambda: perceptron(Triangle(height=1e18), hidden=3),
        "layers.0 (Linear, 20×2), layers.2 (Linear, 20×20) and layers.4 (Linear, 20×20) is not finite in epoch 2;",
    ),
    "the same": (
        lambda: with_bias(perceptron(ArcTan()), 0.0, torch.tensor([1.2, -0.2] * 10)),
        "the network's output was the same for every validation sample in epoch 2; look at the scale of the input",
    ),
}


@pytest.mark.parametrize(("network", "line"), SICK.values(), ids=SICK)
def test_a_sick_network_is_told_what_where_and_what_helps_once(
    network: Callable[[], nn.Module], line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    fit(tmp_path, network(), max_epochs=4)
    (only,) = said(capsys)
    assert line in only
    assert "; " in only


def test_what_passes_or_has_not_lasted_yet_is_not_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    fit(tmp_path, SICK["silent"][0](), max_epochs=1)
    assert not said(capsys)
    fit(tmp_path, SICK["silent"][0](), max_epochs=1, checkup=CheckUp(patience=1))
    assert len(said(capsys)) == 1


def test_a_gradient_that_is_not_finite_is_said_before_the_error_that_it_leads_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    class Breaks(Classification):
        def training_step(self, batch: Any, batch_idx: int) -> Tensor:
            if batch_idx == 2:
                raise ValueError("the loss became nan")
            return super().training_step(batch, batch_idx) * torch.nan

    with pytest.raises(ValueError, match="the loss became nan"):
        fit(tmp_path, perceptron(ArcTan()), Breaks)
    (line,) = said(capsys)
    assert "the gradient of layers.0 (Linear, 20×2) and layers.2 (Linear, 1×20) is not finite in epoch 1; lower" in line


@pytest.mark.parametrize("name", ["default", "digits"])
def test_a_healthy_network_draws_no_line(cli: Cli, name: str):
    if name == "digits":
        pytest.importorskip("sklearn")
    few = "--trainer.limit_train_batches 12 --pictures.every 0"
    result = cli(f"fit -c {PROJECT}/configs/{name}.yaml --trainer.max_epochs 3 {few}")
    assert (result.status, result.err) == (0, "")
    assert "check-up" not in result.out


class Mixed(SpikingNetwork):
    """A layer that is used twice, a recurrent one, and one that doesn't fire."""

    def __init__(self) -> None:
        super().__init__()
        self.into, self.twice = nn.Linear(2, 6), LIF().shaped(6)
        self.loop, self.leak, self.out = Recurrent(LIF(threshold=0.3)).shaped(6), LeakyIntegrator(), nn.Linear(6, 1)

    def through(self, x: Tensor, apply: Pass) -> Tensor:
        once = apply(self.twice, apply(self.into, x))
        again = apply(self.twice, once * 2)
        return apply(self.out, apply(self.leak, apply(self.loop, again)))


def test_the_figures_of_every_layer_are_those_worked_out_by_hand(tmp_path: Path):
    torch.manual_seed(1)
    network = Mixed()
    notes = fit(tmp_path, network).notes
    source = HalfPlane(val_points=300)
    source.setup("fit")
    x = source.dataset("val").tensors[0].expand(8, 300, 2)
    with torch.no_grad():
        first = network.twice(network.into(x))[0]
        twice = torch.cat([first, network.twice(first * 2)[0]])
        loop = network.loop(twice[8:])[0]
        v = torch.cat([network.twice.distance(current[:, :SAMPLES]) for current in (network.into(x), first * 2)])
    hand = {
        "validation firing rate/layer 1 (LIF, 6)": twice.mean(),
        "validation silent neurons/layer 1 (LIF, 6)": (twice.sum((0, 1)) == 0).float().mean(),
        "validation saturated neurons/layer 1 (LIF, 6)": (twice.mean((0, 1)) == 1).float().mean(),
        "validation potentials in the window/layer 1 (LIF, 6)": (v.abs() <= 3 / torch.pi).float().mean(),
        "validation firing rate/layer 2 (Recurrent LIF, 6)": loop.mean(),
        "validation silent neurons/layer 2 (Recurrent LIF, 6)": (loop.sum((0, 1)) == 0).float().mean(),
    }
    assert 0.01 < hand["validation firing rate/layer 2 (Recurrent LIF, 6)"] < 0.9
    assert 0.05 < hand["validation potentials in the window/layer 1 (LIF, 6)"] < 0.95
    for name, value in hand.items():
        assert notes[name] == [(epoch, pytest.approx(float(value), abs=1e-6)) for epoch in (1, 2, 3)]
    assert not [name for name in notes if "layer 3" in name or "leak" in name.lower()]
    gradients = {name.split("/")[1] for name in notes if name.startswith("weight gradient norm/")}
    assert gradients == {"into (Linear, 6×2)", "loop.connections (Linear, 6×6)", "out (Linear, 1×6)"}


def test_the_gradient_is_that_of_the_last_step_after_clipping(tmp_path: Path):
    network = perceptron(ArcTan())
    fitted = fit(tmp_path, network, gradient_clip_val=1e-3)
    modules = ("layers.0 (Linear, 20×2)", "layers.2 (Linear, 1×20)")
    norms = [fitted.notes[f"weight gradient norm/{module}"][-1][1] for module in modules]
    assert sum(norm**2 for norm in norms) ** 0.5 == pytest.approx(1e-3, rel=1e-3)
    for index, norm in zip((0, 2), norms, strict=True):
        parameters = network.layers[index].parameters()
        assert norm == pytest.approx(float(sum(p.grad.square().sum() for p in parameters) ** 0.5), rel=1e-5)


def test_without_validation_there_are_the_gradients_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    notes = fit(tmp_path, SICK["vanished"][0](), limit_val_batches=0).notes
    checked = {name.split("/")[0] for name in notes if "/layers" in name}
    assert checked == {"weight gradient norm"}
    assert len(said(capsys)) == 1


def test_the_state_that_a_layer_starts_in_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    distances = []
    plain = LIF.distance

    def noting(layer: LIF, *arguments: Any) -> Tensor | None:
        distances.append((arguments, plain(layer, *arguments)))
        return distances[-1][1]

    monkeypatch.setattr(LIF, "distance", noting)
    fit(tmp_path, perceptron(ArcTan()), CarriedClassification, batch=100, num_sanity_val_steps=0)
    ((current, state, steps), seen), *_ = distances
    assert len(current) == len(state[0]) == SAMPLES
    assert state[0].abs().max() > 0
    assert torch.equal(seen, plain(LIF(), current, state, steps))


DISTRIBUTED = """
import sys
from pathlib import Path
import torch
from torch.utils.data import DataLoader, TensorDataset
from tests.reports.test_checkup import ArcTan, fit, perceptron, with_bias
devices = int(sys.argv[1])
network = with_bias(perceptron(ArcTan()), 1.0, torch.tensor([0.0, -50.0]).repeat_interleave(torch.tensor([1, 19])))
torch.manual_seed(0)
loader = DataLoader(TensorDataset(torch.randn(60, 2), torch.ones(60)), batch_size=20 // devices)
several = {"strategy": "ddp_fork", "devices": devices} if devices > 1 else {}
notes = fit(Path(sys.argv[2]), network, data={"train_dataloaders": loader, "val_dataloaders": loader}, **several)
"""


@pytest.mark.thorough
def test_several_processes_add_up_their_counts_and_one_speaks(tmp_path: Path):
    def lines(devices: int) -> list[str]:
        command = [sys.executable, "-c", DISTRIBUTED, str(devices), str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=PROJECT, timeout=LIMIT, check=True)
        starts = (
            "check-up",
            "logged validation firing rate",
            "logged validation silent neurons",
            "logged validation potentials",
        )
        return [line for line in done.stdout.splitlines() if line.startswith(starts)]

    one, two = lines(1), lines(2)
    assert one == two
    (line,) = (line for line in one if line.startswith("check-up"))
    assert line.startswith("check-up: layer 1 (LIF, 20): 95% of neurons never fired in epoch 2; ")
    assert len(one) == 1 + 3 * 3


def test_every_so_many_epochs_or_never(tmp_path: Path):
    notes = fit(tmp_path, perceptron(ArcTan()), checkup=CheckUp(every=2), max_epochs=5).notes
    assert [epoch for epoch, _ in notes["validation firing rate/layer 1 (LIF, 20)"]] == [2, 4]
    assert [epoch for epoch, _ in notes["weight gradient norm/layers.0 (Linear, 20×2)"]] == [2, 4]
    assert not [name for name in fit(tmp_path, perceptron(ArcTan()), checkup=CheckUp(every=0)).notes if "/la" in name]


def test_a_failure_warns_once_and_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def broken(*_: object) -> None:
        raise ValueError("can't be logged") from OSError("no space left")

    monkeypatch.setattr(WatchedLayer, "update", broken)
    with pytest.warns(UserWarning, match="no further check-up: OSError: no space left") as caught:
        notes = fit(tmp_path, perceptron(ArcTan())).notes
    assert len([one for one in caught if "check-up" in str(one.message)]) == 1
    assert [epoch for epoch, _ in notes["train/loss"]] == [1, 2, 3]


def test_nothing_is_left_hanging_on_the_network(tmp_path: Path):
    class Stops(Classification):
        def validation_step(self, batch: Any, batch_idx: int) -> None:
            super().validation_step(batch, batch_idx)
            raise KeyError("stop")

    network = perceptron(ArcTan())
    with pytest.raises(KeyError):
        fit(tmp_path, network, Stops, num_sanity_val_steps=0)
    fit(tmp_path, network)
    assert not any(module._forward_hooks for module in network.modules())


def test_weights_are_the_same_bit_for_bit_with_it_and_without(cli: Cli, home: Path):
    pytest.importorskip("sklearn")  # the digits' dropout draws at random
    few = "--trainer.limit_train_batches 5 --trainer.limit_val_batches 1 --pictures.every 0"
    quick = f"fit -c {PROJECT}/configs/digits.yaml --trainer.max_epochs 2 {few}"
    for every in (1, 0):
        assert cli(f"{quick} --checkup.every {every}").status == 0
    on, off = (torch.load(run / "checkpoints/last.ckpt", weights_only=True) for run in runs(home, "digits"))
    assert all(torch.equal(on["state_dict"][name], value) for name, value in off["state_dict"].items())
    assert on["state_dict"].keys() == off["state_dict"].keys()
    on, off = (EventAccumulator(str(run)).Reload().Tags()["scalars"] for run in runs(home, "digits"))
    assert [tag for tag in on if tag.startswith("validation firing rate/layer 1 (")]
    assert not [tag for tag in off if "/layer" in tag]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"every": -1}, "every: -1 is less than 0"),
        ({"patience": 0}, "patience: 0 is less than 1"),
        ({"max_silent": 0.0}, r"max_silent: 0.0 is outside \(0, 1\]"),
        ({"max_rate": 1.5}, r"max_rate: 1.5 is outside \(0, 1\]"),
        ({"min_inside": 1.0}, r"min_inside: 1.0 is outside \[0, 1\)"),
        ({"min_gradient": -1.0}, r"min_gradient: -1.0 is outside \[0, 1\)"),
        ({"max_gradient": 1.0}, r"max_gradient: 1.0 is outside \(1, inf\)"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any], message: str):
    with pytest.raises(SettingError, match=message):
        CheckUp(**settings)
