"""Why a spiking network forecasts Mackey–Glass one step ahead as well as it does: its parts, changed one at a time.

    python benchmarks/mackey_glass.py
    python benchmarks/mackey_glass.py --networks "graded, memory" "spikes, memory"

A row is one fit of `configs/mackey_glass.yaml` with another network, from one seed, and its least root mean squared
error on the validation data; the test data are not read. *Memory* is a layer of leaky integrators that don't fire, with
time constants from 1 to 36 steps that are learned, between the neurons and the last layer. *Smooth* are neurons whose
spike is a sigmoid of the potential, in place of 0 or 1. The first row has no network: it is linear regression on the
responses of the encoder, filtered by time constants of 0 to 40 steps.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn

from litspike import LeakyIntegrator, Population, SpikingSequential, SynapticLIF, TimeFirst
from litspike.cli import main as litspike
from litspike.data import MackeyGlass
from litspike.neurons import NeuronLayer

PROJECT = Path(__file__).resolve().parent.parent
QUIET = ["--console.epochs", "false", "--console.table", "false", "--pictures.every", "0"]
LINEAR = "no network: linear regression"
NEURON = {
    "decay": None,
    "tau": 10.0,
    "synapse_tau": 2.0,
    "reset": "subtract",
    "learn": {"tau": "neuron", "synapse_tau": "neuron"},
}
SMOOTH = "benchmarks.mackey_glass.Smooth"
GRADED = "litspike.neurons.GradedLIF"
LBFGS = [
    "--trainer.precision=64-true", "--trainer.max_epochs=1", "--data.batch_size=2000", "--model.scheduler=null",
    "--model.optimizer=torch.optim.LBFGS", "--model.optimizer.max_iter=150", "--model.optimizer.history_size=50",
    "--model.optimizer.line_search_fn=strong_wolfe", "--model.optimizer.lr=1.0",
    "--model.optimizer.tolerance_change=0.0", "--model.optimizer.tolerance_grad=0.0",
]  # fmt: skip


class Smooth(SynapticLIF):
    """A neuron without spikes: what it sends is a sigmoid of its potential less the threshold, ten times as steep."""

    def fire(self, u: Tensor, threshold: Tensor) -> Tensor:
        s: Tensor = torch.sigmoid(10 * (u - threshold))
        return s


class Network(SpikingSequential):
    """Linear → neurons → leaky integrators that don't fire, or none → Linear."""

    def __init__(self, layer: NeuronLayer, width: int = 64, memory: bool = True) -> None:
        integrator = LeakyIntegrator(
            decay=None, tau=6.0, input_gain="one_minus_decay", learn={"tau": "neuron"}, spread={"tau": 6}
        )
        between = [integrator.shaped(width)] if memory else []
        super().__init__([nn.Linear(32, width), layer.shaped(width), *between, nn.Linear(width, 1)])


def network(neuron: str = "litspike.neurons.SynapticLIF", width: int = 64, memory: bool = True, **of: Any) -> list[str]:
    """The arguments of a network of one layer of neurons, read through leaky integrators or at once."""
    made = {"layer": {"class_path": neuron, "init_args": of}, "width": width, "memory": memory}
    given = json.dumps({"class_path": "benchmarks.mackey_glass.Network", "init_args": made})
    return [f"--model.network={given}", *(["--model.readout=litspike.coding.LastStep"] if memory else [])]


NETWORKS: dict[str, list[str]] = {
    "spikes": [],
    "spikes, memory": network(**NEURON),
    "graded, memory": network(GRADED, decay=0.0, threshold=0.1),
    "smooth": network(SMOOTH, memory=False, **NEURON),
    "smooth, memory": network(SMOOTH, **NEURON),
    "spikes, memory, 256": network(width=256, **NEURON),
    "graded, memory, L-BFGS in double precision": [*network(GRADED, decay=0.0, threshold=0.1), *LBFGS],
}


def linear() -> float:
    """The error of linear regression on filtered responses: what memory and encoder allow, without neurons."""
    data, encoder = MackeyGlass(), Population(TimeFirst(), fields=32, low=0.0, high=1.6)

    def features(x: Tensor) -> Tensor:
        responses, ages = encoder(x).double(), torch.arange(len(x[0]) - 1, -1, -1, dtype=torch.float64)
        filters = [(ages == 0).double(), *(torch.exp(-ages / tau) / tau for tau in (1, 2, 3, 5, 8, 13, 20, 40))]
        seen = [torch.einsum("t,tbf->bf", one, responses) for one in filters]
        return torch.cat([*seen, torch.ones(len(x), 1, dtype=torch.float64)], 1)

    (x, y), (x_val, y_val) = data.part("train"), data.part("val")
    seen, mean = features(x), y.double().mean()
    penalty = 1e-6 * torch.eye(seen.shape[1], dtype=torch.float64)
    weights = torch.linalg.solve(seen.T @ seen + penalty, seen.T @ (y.double() - mean))
    return float((features(x_val) @ weights + mean - y_val).square().mean().sqrt())


def error(changes: list[str]) -> float:
    """The least validation error of a fit."""
    with TemporaryDirectory() as logs:
        config = str(PROJECT / "configs" / "mackey_glass.yaml")
        if litspike(["fit", "-c", config, *changes, *QUIET, "--checkpoint.monitor=val/rmse", "--logs", logs]):
            raise SystemExit("a fit failed")
        (record,) = Path(logs).glob("*/*/run.json")
        return float(json.loads(record.read_text(encoding="utf-8"))["best"]["val/rmse"])


def main(args: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", choices=[LINEAR, *NETWORKS], default=[LINEAR, *NETWORKS])
    given = parser.parse_args(args)
    print("| network | RMSE on validation |", "|---|---|", sep="\n")
    for name in given.networks:
        print(f"| {name} | {linear() if name == LINEAR else error(NETWORKS[name]):.5f} |", flush=True)


if __name__ == "__main__":
    main()
