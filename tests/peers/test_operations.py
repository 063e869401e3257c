"""Our count of synaptic operations is NeuroBench's, on the same networks and data."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from litspike import LIF, Recurrent, SpikingSequential
from litspike.metrics import Operations

HERE = Path(__file__).parent
BATCH = 5


def neurons() -> LIF:
    return LIF(decay=0.9, leak="before_reset", reset="subtract", fires="above")  # docs/peers.md: snnTorch's Leaky


def recurrent() -> Recurrent:
    return Recurrent(neurons(), bias=True).shaped(9)


NETWORKS = {
    "mlp": lambda: [nn.Linear(6, 12), neurons(), nn.Linear(12, 4), neurons()],
    "recurrent": lambda: [nn.Linear(6, 9), recurrent(), nn.Linear(9, 4), neurons()],
    "convolutional": lambda: [
        nn.Conv2d(2, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        neurons(),
        nn.AvgPool2d(2),
        nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2, bias=False),
        neurons(),
        nn.Flatten(),
        nn.Linear(24, 3),
        neurons(),
    ],
}


def check(name: str, kept: dict[str, np.ndarray]) -> None:
    network = SpikingSequential(NETWORKS[name]()).eval()
    start = f"{name}.state."
    state = {
        f"layers.{key.removeprefix(start).replace('recurrent', 'connections')}": torch.tensor(value)
        for key, value in kept.items()
        if key.startswith(start)
    }
    missing, unexpected = network.load_state_dict(state, strict=False)
    assert not unexpected
    assert all("num_batches_tracked" in key for key in missing)
    x = torch.tensor(kept[f"{name}.x"])
    operations = Operations(network, steps=x.shape[1])
    with torch.inference_mode():
        for batch in x.split(BATCH):
            with operations.counted(len(batch)):
                network(batch.transpose(0, 1))
    layers = operations.compute().values()
    ours = [float(sum(layer[kind].sum() for layer in layers)) for kind in ("dense", "macs", "acs")]
    assert min(ours) > 0
    assert ours == pytest.approx(kept[f"{name}.counts"].tolist(), abs=1e-9)


@pytest.mark.parametrize("name", NETWORKS)
def test_operations_are_those_recorded_from_neurobench(name):
    check(name, dict(np.load(HERE / "neurobench.npz")))


@pytest.mark.peers
def test_operations_are_those_of_neurobench_itself(tmp_path):
    python = os.environ.get("LITSPIKE_PEER_NEUROBENCH")
    if python is None:
        pytest.skip("LITSPIKE_PEER_NEUROBENCH names no Python with neurobench installed (docs/peers.md)")
    for seed in ("2", "3"):
        kept = tmp_path / f"{seed}.npz"
        subprocess.run([python, HERE / "record_operations.py", kept, seed], check=True)
        for name in NETWORKS:
            check(name, dict(np.load(kept)))
