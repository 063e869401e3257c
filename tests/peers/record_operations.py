"""Let NeuroBench count what snnTorch networks compute: ``python tests/peers/record_operations.py FILE.npz [SEED]``.

It runs in an environment with NeuroBench, which brings snnTorch, and keeps weights, inputs and counts.
"""

from __future__ import annotations

import importlib.metadata
import sys
from typing import Any

import numpy as np
import snntorch
import torch
from neurobench.benchmarks import Benchmark
from neurobench.metrics.workload import SynapticOperations
from neurobench.models import SNNTorchModel
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

STEPS, SAMPLES, BATCH = 7, 10, 5


def leaky() -> nn.Module:
    return snntorch.Leaky(beta=0.9, init_hidden=True)


def networks() -> dict[str, tuple[nn.Sequential, torch.Tensor]]:
    """Each network with its input, [samples, steps, *]."""
    last = snntorch.Leaky(beta=0.9, init_hidden=True, output=True)
    mlp = nn.Sequential(nn.Linear(6, 12), leaky(), nn.Linear(12, 4), last)
    recurrent = nn.Sequential(
        nn.Linear(6, 9),
        snntorch.RLeaky(beta=0.9, linear_features=9, init_hidden=True),
        nn.Linear(9, 4),
        snntorch.Leaky(beta=0.9, init_hidden=True, output=True),
    )
    convolutional = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        leaky(),
        nn.AvgPool2d(2),
        nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2, bias=False),
        leaky(),
        nn.Flatten(),
        nn.Linear(6 * 2 * 2, 3),
        snntorch.Leaky(beta=0.9, init_hidden=True, output=True),
    )
    events = torch.bernoulli(torch.full((SAMPLES, STEPS, 2, 8, 7), 0.2)) - torch.bernoulli(
        torch.full((SAMPLES, STEPS, 2, 8, 7), 0.1)
    )
    events[:BATCH, 2, 0, 0, 0] = 2.0  # one event too many for an accumulate: this step of this batch multiplies
    return {
        "mlp": (mlp, torch.randn(SAMPLES, STEPS, 6).mul(2).relu()),
        "recurrent": (recurrent, torch.randn(SAMPLES, STEPS, 6).mul(2)),
        "convolutional": (convolutional, events),
    }


def record(seed: int) -> dict[str, Any]:
    torch.manual_seed(seed)
    kept: dict[str, Any] = {"version": importlib.metadata.version("neurobench")}
    for name, (network, x) in networks().items():
        for layer in network:
            if isinstance(layer, (nn.Linear, nn.Conv2d)):
                layer.weight.data.mul_(2.0)[torch.rand_like(layer.weight) < 0.2] = 0.0  # pruned
            if isinstance(layer, nn.BatchNorm2d):
                layer.running_var.uniform_(0.5, 1.5)
        loader = DataLoader(TensorDataset(x, torch.zeros(SAMPLES, dtype=torch.long)), BATCH)
        model = SNNTorchModel(network)
        benchmark = Benchmark(model, loader, [], [], [[], [SynapticOperations]])
        with torch.no_grad():
            found = benchmark.run(quiet=True)["SynapticOperations"]
        kept[f"{name}.counts"] = np.array([found[key] for key in ("Dense", "Effective_MACs", "Effective_ACs")])
        kept[f"{name}.x"] = x.numpy()
        for key, value in network.state_dict().items():
            if key.split(".")[1] in ("weight", "bias", "recurrent", "running_mean", "running_var"):
                kept[f"{name}.state.{key}"] = value.numpy()
    return kept


if __name__ == "__main__":
    path, *given = sys.argv[1:]
    np.savez_compressed(path, **record(int(given[0]) if given else 1))
