"""A layer of neurons has one name, whatever speaks of it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor, nn

from litspike import LIF, ConstantCurrent, MeanOverTime
from litspike.networks import SpikingNetwork
from litspike.networks.sequence import Pass
from litspike.reports.pictures.summarise import activities, trace_sample
from litspike.tasks import Classification
from tests.conftest import Cli, runs

LAYERS = ["layer 1 (LIF, 6)", "layer 2 (Recurrent LIF, 5)", "layer 3 (LIF, 4)"]
FIT = """fit --trainer.max_epochs 1 --data.train_points 60 --data.val_points 40 --pictures.every 1 --checkup.patience 1
    --checkup.max_silent 1e-9 --calibrate.min_layers 1 --calibrate.target_rate 0.01"""


@pytest.mark.slow
def test_console_tensorboard_pictures_and_receipt_name_layers_alike(cli: Cli, home: Path):
    (home / "mine.yaml").write_text("""
model:
  network:
    class_path: tests.cli.test_layer_names.Three
""")
    fitted = cli(f"{FIT} -c {home}/mine.yaml")
    assert fitted.status == 0, fitted.err
    lines = fitted.out.splitlines()
    assert [line.split(": ")[1] for line in lines if line.startswith("calibration: ")] == LAYERS
    assert {line.split(": ")[1] for line in lines if line.startswith("check-up: layer")} <= set(LAYERS)
    assert [line for line in lines if line.startswith("check-up: layer")]
    (run,) = runs(home, "mine")
    events = EventAccumulator(str(run)).Reload()
    tags = events.Tags()
    for tag in ("validation firing rate", "validation silent neurons", "weight gradient norm"):
        named = sorted(name.split("/")[1] for name in tags["scalars"] if name.startswith(f"{tag}/layer "))
        assert named == (["layer 1 (LIF, 6)"] if tag.startswith("weight") else LAYERS)
    assert sorted(name for name in tags["images"] if name.startswith("spikes/")) == [
        f"spikes/layer {number}" for number in (1, 2, 3)
    ]
    assert cli("test").status == 0
    receipt = json.loads((run / "receipt.json").read_text())
    found = receipt["layers"]
    assert [f"{name} ({layer['model']}, {layer['neurons']})" for name, layer in found.items()] == LAYERS
    assert [layer["module"] for layer in found.values()] == ["first", "second", "third"]
    rows = re.findall(r"^\| (layer \d) \| ([^|]*) \| (\d+) \|", (run / "receipt.md").read_text(), re.MULTILINE)
    assert [f"{name} ({model}, {size})" for name, model, size in rows] == LAYERS


def test_a_layer_that_is_used_twice_has_one_number_and_a_picture_of_each_call():
    torch.manual_seed(0)
    task = Classification(Twice(), ConstantCurrent(4), MeanOverTime())
    shown = activities(task, torch.rand(2, 2), None)
    assert [layer.key for layer in shown] == ["layer 2", "layer 1", "layer 1, call 2"]
    assert [trace.name for trace in trace_sample(task, torch.rand(1, 2)).layers] == [
        "layer 2 (LIF, 2)", "layer 1 (LIF, 2)", "layer 1 (LIF, 2)",
    ]  # fmt: skip


class Three(SpikingNetwork):
    """Layers that are used in the order in which they are made, one with a parameter of its own."""

    def __init__(self) -> None:
        super().__init__()
        from litspike import Recurrent

        self.weights = nn.ModuleList([nn.Linear(2, 6), nn.Linear(6, 5), nn.Linear(5, 4), nn.Linear(4, 1)])
        self.first, self.second = LIF(learn={"decay": "layer"}).shaped(6), Recurrent(LIF()).shaped(5)
        self.third = LIF().shaped(4)

    def through(self, x: Tensor, apply: Pass) -> Tensor:
        for weight, layer in zip(self.weights, (self.first, self.second, self.third), strict=False):
            x = apply(layer, apply(weight, x))
        return apply(self.weights[3], x)


class Twice(SpikingNetwork):
    """Layers that are not used in the order in which they are made, one of them twice."""

    def __init__(self) -> None:
        super().__init__()
        self.second, self.first, self.out = LIF().shaped(2), LIF().shaped(2), nn.Linear(2, 1)

    def through(self, x: Tensor, apply: Pass) -> Tensor:
        return apply(self.out, apply(self.second, apply(self.second, apply(self.first, x * 5)) * 2))
