"""Run a peer on random input and keep what it did: ``python tests/peers/record.py PEER FILE.npz [SEED]``.

It runs in the peer's environment, and needs torch, numpy and that one peer alone.
"""

from __future__ import annotations

import importlib.metadata
import sys
from typing import Any

import numpy as np
import torch
from cases import CASES
from torch import Tensor

STEPS, BATCH, NEURONS = 80, 2, 8


def snntorch(x: Tensor, **settings: Any) -> tuple[Tensor, Tensor]:
    from snntorch import Leaky

    neuron = Leaky(**settings)
    memory, trace = neuron.reset_mem(), []
    for current in x:
        spikes, memory = neuron(current, memory)
        trace.append((spikes, memory))
    return stacked(trace)


def spikingjelly(x: Tensor, **settings: Any) -> tuple[Tensor, Tensor]:
    from spikingjelly.activation_based.neuron import LIFNode

    neuron = LIFNode(**settings)
    trace = []
    for current in x:
        spikes = neuron(current)
        trace.append((spikes, neuron.v))
    return stacked(trace)


def norse(x: Tensor, reset_method: str = "reset_value", **settings: Any) -> tuple[Tensor, Tensor]:
    from norse.torch import LIFBoxCell, LIFBoxParameters
    from norse.torch.functional import reset

    numbers = {name: torch.as_tensor(value) for name, value in settings.items()}
    neuron = LIFBoxCell(LIFBoxParameters(reset_method=getattr(reset, reset_method), **numbers))
    state, trace = None, []
    for current in x:
        spikes, state = neuron(current, state)
        trace.append((spikes, state.v))
    return stacked(trace)


def sinabs(
    x: Tensor, spike_fn: str = "SingleSpike", reset_fn: str = "MembraneSubtract", **settings: Any
) -> tuple[Tensor, Tensor]:
    from sinabs import activation
    from sinabs.layers import LIF

    gradient = activation.Gaussian(mu=0.0, sigma=0.5, grad_scale=1.0)
    choices = {"spike_fn": getattr(activation, spike_fn), "reset_fn": getattr(activation, reset_fn)()}
    if "spike_threshold" in settings:
        settings["spike_threshold"] = torch.tensor(settings["spike_threshold"])
    neuron = LIF(**settings, **choices, surrogate_grad_fn=gradient, record_states=True)
    spikes = neuron(x.transpose(0, 1))
    return spikes.transpose(0, 1), neuron.recordings["v_mem"].transpose(0, 1)


def stacked(trace: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    spikes, potentials = zip(*trace, strict=True)
    return torch.stack(spikes), torch.stack(potentials)


PEERS = {"snntorch": snntorch, "spikingjelly": spikingjelly, "norse": norse, "sinabs": sinabs}


def record(peer: str, seed: int) -> dict[str, Any]:
    """Input, weight of each spike in the loss, and for each case spikes, potentials and the input's gradient."""
    rng = np.random.default_rng(seed)
    shape = (STEPS, BATCH, NEURONS)
    kept = {
        "version": importlib.metadata.version(peer),
        "input": rng.normal(0.4, 0.6, shape).astype(np.float32),
        "weight": rng.normal(size=shape).astype(np.float32),
    }
    for case in CASES:
        if case.peer != peer:
            continue
        x = torch.tensor(case.drive(kept["input"]), requires_grad=True)
        spikes, potential = PEERS[peer](x, **case.theirs)
        (spikes * torch.tensor(kept["weight"])).sum().backward()
        kept[f"{case.name}.spikes"] = spikes.detach().numpy().astype(np.int8)
        kept[f"{case.name}.potential"] = potential.detach().numpy()
        kept[f"{case.name}.gradient"] = x.grad.numpy()
    return kept


if __name__ == "__main__":
    name, path, *seed = sys.argv[1:]
    np.savez_compressed(path, **record(name, int(seed[0]) if seed else 1))
