"""Runs that are killed at any moment, and neurons with any settings beside an independent implementation."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.reliability import Outcomes, Section
from litspike.neurons import IF, LIF, AdaptiveLIF, LeakyIntegrator, Recurrent, RefractoryLIF, SynapticLIF
from litspike.surrogates import ArcTan, FastSigmoid, Gaussian, Rectangle, Sigmoid, Triangle
from tests.oracles import neurons as oracle

PROJECT = Path(__file__).resolve().parent.parent
EPOCHS = 40
FIT = ["fit", "--trainer.max_epochs", str(EPOCHS), "--data.train_points", "200", "--console.epochs", "false"]


def killed(folder: Path, times: int, outcomes: Outcomes) -> None:
    """Kill a fit by SIGKILL after a time drawn at random, go on with it, and compare the weights at its end."""
    draw = random.Random(0)
    began = time.monotonic()
    whole = _fit(folder / "whole")
    length = time.monotonic() - began
    if whole is None:
        raise RuntimeError("the uninterrupted fit failed")
    for number in range(times):
        logs = folder / str(number)
        after = draw.uniform(0.2, length)
        with subprocess.Popen(_command(logs, FIT), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                process.wait(after)
            except subprocess.TimeoutExpired:
                process.kill()
        begun = list(logs.glob("*/*/checkpoints/last.ckpt"))
        weights = _fit(logs, *(["--ckpt_path", "last"] if begun else []))
        if weights is None and begun and _weights(logs) is not None:  # it had come to its end
            weights = _weights(logs)
        tested = subprocess.run(_command(logs, ["test"]), capture_output=True, check=False).returncode == 0
        same = weights is not None and all(torch.equal(weights[name], whole[name]) for name in whole)
        outcome = "the same weights" if same and tested else "not tested" if same else "other weights, or none"
        outcomes.note(outcome, broken=None if same and tested else f"killed after {after:.2f} s")
        shutil.rmtree(logs)


def _command(logs: Path, arguments: list[str]) -> list[str]:
    return [sys.executable, str(PROJECT / "main.py"), *arguments, "--logs", str(logs)]


def _fit(logs: Path, *more: str) -> dict[str, torch.Tensor] | None:
    """The weights at the end of a fit; None where it failed."""
    done = subprocess.run(_command(logs, [*FIT, *more]), capture_output=True, check=False)
    return _weights(logs) if done.returncode == 0 else None


def _weights(logs: Path) -> dict[str, torch.Tensor] | None:
    """Of the newest run's last checkpoint, if it is of the last epoch."""
    checkpoint = torch.load(max(logs.glob("*/*/checkpoints/last.ckpt")), weights_only=True)
    weights: dict[str, torch.Tensor] = checkpoint["state_dict"]
    return weights if checkpoint["epoch"] == EPOCHS - 1 else None


def combined(folder: Path, times: int, outcomes: Outcomes) -> None:
    """Draw models, settings, surrogates and sizes; compare both engines, and the spikes with NumPy's."""
    draw = random.Random(0)
    for number in range(times):
        name, model, settings, independent = _drawn(draw)
        surrogate = draw.choice([ArcTan, FastSigmoid, Gaussian, Rectangle, Sigmoid, Triangle])(draw.uniform(0.3, 5))
        steps, batch, size = draw.randint(1, 70), draw.randint(1, 4), draw.choice([1, 2, 63, 64, 65, 300])
        torch.manual_seed(number)
        x = torch.randn(steps, batch, size, dtype=torch.float64) * 0.8 + 0.3
        upstream = torch.randn_like(x)
        more: dict[str, Any] = {} if model is LeakyIntegrator else {"surrogate": surrogate}
        found = [_outcome(model(**settings, **more, engine=engine), x, upstream) for engine in ("fused", "reference")]
        expected = independent(x.flatten(1).numpy())
        same = torch.equal(found[0][0], found[1][0])
        close = all(torch.allclose(a, b, rtol=1e-9, atol=1e-9) for a, b in zip(*found, strict=True))
        right = np.allclose(found[0][0].flatten(1).numpy(), expected, rtol=1e-9, atol=1e-9)
        outcome = "equal" if same and close and right else f"engines {same and close}, equation {right}"
        place = f"{name} {settings} {surrogate} {[steps, batch, size]}"
        outcomes.note(outcome, broken=None if outcome == "equal" else place)


def _drawn(draw: random.Random) -> tuple[str, Any, dict[str, Any], Any]:
    """A model, its settings, and its implementation in NumPy with the same."""
    decay, threshold = draw.uniform(0, 1), draw.uniform(0.2, 2)
    reset = draw.choice(["zero", "subtract", "value"])
    value = draw.uniform(-0.5, 0.1) if reset == "value" else 0.0
    settings: dict[str, Any] = {"threshold": threshold, "reset": reset, **({"reset_value": value} if value else {})}
    same = {"threshold": threshold, "kind": reset, "value": value}
    leak = draw.choice(["before_input", "before_reset", "after_reset"])
    other = draw.uniform(0, 1)
    table: list[tuple[Any, dict[str, Any], Any]] = [
        (IF, settings, lambda x: oracle.integrate_and_fire(x, **same)[0]),
        (LIF, {**settings, "decay": decay, "leak": leak}, lambda x: oracle.lif(x, decay, leak=leak, **same)[0]),
        (
            RefractoryLIF,
            {**settings, "decay": decay, "leak": leak, "refractory": 3.0},
            lambda x: oracle.lif(x, decay, leak=leak, refractory=3, **same)[0],
        ),
        (LeakyIntegrator, {"decay": decay}, lambda x: oracle.leaky_integrator(x, decay)[0]),
        (
            SynapticLIF,
            {**settings, "decay": decay, "synapse_decay": other},
            lambda x: oracle.synaptic_lif(x, decay, other, **same)[0],
        ),
        (
            AdaptiveLIF,
            {**settings, "decay": decay, "adaptation_decay": other, "adaptation": 0.3},
            lambda x: oracle.adaptive_lif(x, decay, 0.3, other, **same)[0],
        ),
    ]
    model, chosen, independent = draw.choice(table)
    return model.__name__, model, chosen, independent


def _outcome(neuron: Any, x: torch.Tensor, upstream: torch.Tensor) -> list[torch.Tensor]:
    x = x.clone().requires_grad_()
    output, state = neuron(x)
    (gradient,) = torch.autograd.grad(output, x, upstream)
    return [output.detach(), *(part.detach() for part in state), gradient]


def recurrent(folder: Path, times: int, outcomes: Outcomes) -> None:
    """Draw recurrent layers, and compare both engines."""
    draw = random.Random(0)
    for number in range(times):
        name, model, settings, _ = _drawn(draw)
        steps, batch, size = draw.randint(1, 50), draw.randint(1, 20), draw.choice([1, 2, 63, 64, 65, 200])
        found = []
        for engine in ("fused", "reference"):
            torch.manual_seed(number)
            layer = Recurrent(model(**settings, engine=engine), bias=True).shaped(size).double()
            x = torch.randn(steps, batch, size, dtype=torch.float64)
            found.append(_outcome_of(layer, x))
        same = all(torch.allclose(a, b, rtol=1e-8, atol=1e-8) for a, b in zip(*found, strict=True))
        place = f"{name} {settings} {[steps, batch, size]}"
        outcomes.note("equal" if same else "different", broken=None if same else place)


def _outcome_of(layer: Recurrent, x: torch.Tensor) -> list[torch.Tensor]:
    x = x.requires_grad_()
    output, _ = layer(x)
    return [output.detach(), *torch.autograd.grad(output.square().sum(), [x, *layer.parameters()])]


SECTIONS = [
    Section("kills", "a fit killed at any moment goes on to the weights of an uninterrupted one", killed, 20),
    Section("neurons", "both engines give what an independent implementation gives", combined, 1500),
    Section("recurrent", "a recurrent layer in one kernel gives what the plain loop gives", recurrent, 200),
]
