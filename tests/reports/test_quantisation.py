"""Weights are trained as they will be in integers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import Callback, Trainer
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from litspike.callbacks import QuantisedWeights
from litspike.coding import ConstantCurrent, MeanOverTime
from litspike.networks import Perceptron
from litspike.networks.quantised import faked
from litspike.neurons import LIF
from litspike.runs import checkpoints
from litspike.settings import SettingError
from litspike.tasks import Classification, CrossEntropy
from tests.conftest import Cli


def rounded(weight: torch.Tensor, bits: int) -> torch.Tensor:
    """By NumPy's own arithmetic: the nearest multiple of the scale of each row."""
    w = weight.detach().double().numpy()
    scale = abs(w).max(1, keepdims=True) / (2 ** (bits - 1) - 1)
    return torch.from_numpy(((w / scale + 0.5) // 1) * scale).float()


class Watch(Callback):
    """Notes the first layer's weights in each pass, and when the optimizer has its turn."""

    def __init__(self) -> None:
        self.seen: dict[str, list[torch.Tensor]] = {"train": [], "val": [], "optimizer": [], "gradient": []}

    def on_fit_start(self, trainer: Trainer, pl_module: Any) -> None:
        def see(layer: nn.Linear, *_: Any) -> None:
            self.seen["train" if pl_module.training else "val"].append(layer.weight.detach().clone())

        pl_module.network.layers[0].register_forward_pre_hook(see)

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: Any, optimizer: Any) -> None:
        weight = pl_module.network.layers[0].weight
        self.seen["optimizer"].append(weight.detach().clone())
        self.seen["gradient"].append(weight.grad.clone())


X, Y = torch.rand(3, 8, 4, generator=torch.Generator().manual_seed(0)), torch.randint(0, 3, (3, 8))


def task() -> Classification:
    torch.manual_seed(0)
    return Classification(Perceptron([4, 12, 3], LIF()), ConstantCurrent(8), MeanOverTime(), CrossEntropy())


def trained(callback: Callback) -> tuple[Classification, dict[str, list[torch.Tensor]]]:
    """A task after three batches, and what was seen."""
    watch, module, batches = Watch(), task(), DataLoader(TensorDataset(X.flatten(0, 1), Y.flatten()), batch_size=8)
    quiet: dict[str, Any] = dict.fromkeys(
        ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False
    )
    trainer = Trainer(max_epochs=1, accelerator="cpu", num_sanity_val_steps=0, callbacks=[callback, watch], **quiet)
    trainer.fit(module, batches, batches)
    return module, watch.seen


@pytest.mark.filterwarnings("ignore:The .*dataloader:UserWarning")
def test_passes_have_rounded_weights_and_the_optimizer_changes_those_that_are_not():
    module, seen = trained(QuantisedWeights(3))
    assert len(seen["train"]) == len(seen["optimizer"]) == 3
    for inside, own in zip(seen["train"], seen["optimizer"], strict=True):
        assert len(inside[0].unique()) <= 7
        torch.testing.assert_close(inside, rounded(own, 3))
        assert not inside.equal(own)
    weight = module.network.layers[0].weight
    torch.testing.assert_close(seen["val"][0], rounded(weight, 3))
    assert not seen["val"][0].equal(weight.detach())
    assert seen["optimizer"][0].equal(task().network.layers[0].weight.detach())


@pytest.mark.filterwarnings("ignore:The .*dataloader:UserWarning")
def test_the_gradient_is_that_at_the_rounded_weights():
    _, seen = trained(QuantisedWeights(3))
    module = task()
    with torch.no_grad():
        for index in (0, 2):
            layer = module.network.layers[index]
            layer.weight.copy_(rounded(layer.weight, 3))
    values, outputs = module.answer(X[0])
    module.loss(values, outputs, Y[0]).backward()
    assert module.network.layers[0].weight.grad.abs().sum() > 0
    torch.testing.assert_close(seen["gradient"][0], module.network.layers[0].weight.grad)


@pytest.mark.filterwarnings("ignore:The .*dataloader:UserWarning")
def test_without_bits_a_fit_is_as_ever():
    (one, seen), (other, _) = trained(QuantisedWeights()), trained(Callback())
    assert seen["train"][0].equal(seen["optimizer"][0])
    assert one.network.layers[0].weight.equal(other.network.layers[0].weight)


class Failing(Callback):
    def on_train_batch_start(self, *_: Any) -> None:
        raise RuntimeError("in the middle")


@pytest.mark.filterwarnings("ignore:The .*dataloader:UserWarning")
def test_an_error_in_the_middle_of_a_batch_leaves_the_weights_as_they_are():
    module = task()
    trainer = Trainer(
        max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, callbacks=[QuantisedWeights(2), Failing()],
    )  # fmt: skip
    with pytest.raises(RuntimeError, match="in the middle"):
        trainer.fit(module, DataLoader(TensorDataset(X[0], Y[0]), batch_size=8))
    assert module.network.layers[0].weight.equal(task().network.layers[0].weight)


@pytest.mark.slow
def test_a_fit_starts_from_the_weights_of_a_checkpoint_and_says_so(cli: Cli, home: Path):
    short = "--trainer.max_epochs 1 --trainer.limit_train_batches 4 --pictures.every 0"
    assert cli(f"fit {short} --logs {home}/first").status == 0
    (first,) = runs_of(home / "first")
    still = f"{short} --logs {home}/second --model.optimizer.init_args.lr 0"
    result = cli(f"fit {still} --weights {home}/first/default --quantise.bits 4")
    assert result.status == 0
    assert f"weights: {first}/checkpoints/best.ckpt" in result.out
    (second,) = runs_of(home / "second")
    states = [checkpoints.read(run / "checkpoints" / "best.ckpt")["state_dict"] for run in (first, second)]
    assert all(states[0][name].equal(states[1][name]) for name in states[0])  # as they are, not rounded
    rounded_in_fit = "quantise.bits: 4: the fit validated with rounded weights"
    assert rounded_in_fit in cli(f"export --to c --integer 4 --ckpt_path {second}").out
    assert rounded_in_fit in cli(f"validate --ckpt_path {second}").out


def runs_of(logs: Path) -> list[Path]:
    return [path.parent for path in logs.glob("default/*/run.json")]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("--weights nowhere.ckpt", "weights: there is no file nowhere.ckpt"),
        ("--weights best --ckpt_path last", "weights: best is set beside ckpt_path"),
        (
            "--weights last --model.network.sizes [2,11,1]",
            "belongs to another network: network.layers.0.weight",
        ),
        ("--quantise.bits 9", "quantise.bits"),
    ],
)
def test_a_mistake_in_what_a_fit_starts_from_is_a_line(cli: Cli, home: Path, arguments: str, line: str):
    if "last" in arguments:
        few = "--trainer.limit_train_batches 1 --trainer.limit_val_batches 1 --pictures.every 0"
        assert cli(f"fit --trainer.max_epochs 1 {few}").status == 0
    assert line in cli(f"fit --trainer.max_epochs 2 {arguments}").error_line


@pytest.mark.parametrize("rule", ["free", "power_of_two"])
def test_with_a_batch_norm_the_scale_is_that_of_the_folded_weights(rule: Any):
    network = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))
    torch.manual_seed(0)
    network[1].running_var.uniform_(0.1, 4.0)
    network[1].weight.data.uniform_(-2.0, 2.0)
    first, second = (value for _, value in faked(network, 4, rule))
    factor = network[1].weight.detach().double() / (network[1].running_var.double() + network[1].eps).sqrt()
    folded = network[0].weight.detach().double() * factor[:, None]
    scale = folded.abs().amax(1, keepdim=True) / 7
    if rule == "power_of_two":
        scale = 2 ** scale.log2().ceil()
    torch.testing.assert_close(first.double() * factor[:, None], torch.floor(folded / scale + 0.5) * scale)
    if rule == "free":
        assert second.equal(rounded(network[2].weight, 4))


def test_a_number_of_bits_that_no_export_has_is_refused():
    for bits in (1, 9, -3):
        with pytest.raises(SettingError, match="bits"):
            QuantisedWeights(bits)
