"""One layer, timed in one library: the part of benchmarks/layer.py that runs in a peer's environment as well.

    python benchmarks/layer_run.py PEER PROBLEM.npz RESULT.npz REPEATS SECONDS

It needs torch, numpy and that one peer alone. Each peer runs in the fastest way that it offers on a CPU: SpikingJelly
over the whole sequence, the others step by step over ``unbind``. Where they walk over a sequence themselves (sinabs's
layer, Norse's Lift) they take each step by its index, and the backward pass of each index writes a whole zero tensor:
30 to 50 times as slow at 500 steps.
"""

from __future__ import annotations

import importlib.metadata
import math
import sys
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

DECAY = 0.9

Forward = Callable[..., Tensor]
"""Spikes [T, B, *] of a layer of neurons that starts from rest, from its current [T, B, *] and, where they feed one
another, their connections [N, N].
"""


class Times(NamedTuple):
    """Seconds of a forward and of a backward pass."""

    forward: float
    backward: float

    @property
    def total(self) -> float:
        return self.forward + self.backward


def median_time(function: Callable[[], object], repeats: int, seconds: float) -> float:
    """Median duration of up to ``repeats`` calls, as many as fit in ``seconds``, after one to warm up."""
    function()
    return median(run for (run,) in _repeated(lambda: (_clocked(function),), repeats, seconds))


def pass_times(
    forward: Callable[[], Tensor], wanted: Sequence[Tensor], upstream: Tensor, repeats: int, seconds: float
) -> tuple[Times, Tensor, Sequence[Tensor]]:
    """Median times of a forward and a backward pass, a fresh graph for each, after one to warm up.

    Returns:
        The times, and output and gradients of the pass that warmed up.
    """

    def both() -> tuple[float, float]:
        start = time.perf_counter()
        output = forward()
        middle = time.perf_counter()
        torch.autograd.grad(output, wanted, upstream)
        return middle - start, time.perf_counter() - middle

    output = forward()
    gradients = torch.autograd.grad(output, wanted, upstream)
    output = output.detach()
    runs = _repeated(both, repeats, seconds)
    return Times(*(median(column) for column in zip(*runs, strict=True))), output, gradients


def _clocked(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def _repeated(once: Callable[[], tuple[float, ...]], repeats: int, seconds: float) -> list[tuple[float, ...]]:
    runs: list[tuple[float, ...]] = []
    start = time.perf_counter()
    while not runs or (len(runs) < repeats and time.perf_counter() - start < seconds):
        runs.append(once())
    return runs


def fed(current: Tensor, spikes: Sequence[Tensor], connections: Tensor | None) -> Tensor:
    """The current of a step, with what the last spikes send through the connections."""
    if connections is None or not spikes:
        return current
    return current + torch.nn.functional.linear(spikes[-1], connections)


def snntorch(**surrogate: Any) -> Forward:
    from snntorch import Leaky

    neuron = Leaky(beta=DECAY, reset_mechanism="zero", **surrogate)

    def forward(x: Tensor, connections: Tensor | None = None) -> Tensor:
        memory, spikes = torch.zeros_like(x[0]), []
        for current in x.unbind(0):
            s, memory = neuron(fed(current, spikes, connections), memory)
            spikes.append(s)
        return torch.stack(spikes)

    return forward


def spikingjelly(**surrogate: Any) -> Forward:
    from spikingjelly.activation_based.neuron import LIFNode
    from spikingjelly.activation_based.surrogate import ATan

    surrogate = surrogate or {"surrogate_function": ATan(2.0)}
    neuron = LIFNode(tau=1 / (1 - DECAY), decay_input=False, step_mode="m", **surrogate)

    def forward(x: Tensor, connections: Tensor | None = None) -> Tensor:
        neuron.reset()
        neuron.step_mode = "m" if connections is None else "s"
        if connections is None:
            whole: Tensor = neuron(x)
            return whole
        spikes: list[Tensor] = []
        for current in x.unbind(0):
            spikes.append(neuron(fed(current, spikes, connections)))
        return torch.stack(spikes)

    return forward


def norse(**surrogate: Any) -> Forward:
    from norse.torch import LIFBoxCell, LIFBoxParameters

    neuron = LIFBoxCell(LIFBoxParameters(tau_mem_inv=torch.tensor((1 - DECAY) * 1000), **surrogate))

    def forward(x: Tensor, connections: Tensor | None = None) -> Tensor:
        state, spikes = None, []
        for current in x.unbind(0):
            s, state = neuron(fed(current, spikes, connections), state)
            spikes.append(s)
        return torch.stack(spikes)

    return forward


def sinabs(**surrogate: Any) -> Forward:
    from sinabs import activation
    from sinabs.layers import LIF

    surrogate = surrogate or {"surrogate_grad_fn": activation.Gaussian(mu=0.0, sigma=0.5, grad_scale=1.0)}
    neuron = LIF(
        tau_mem=-1 / math.log(DECAY),
        norm_input=False,
        spike_fn=activation.SingleSpike,
        reset_fn=activation.MembraneReset(),
        **surrogate,
    )
    neuron.requires_grad_(False)

    def forward(x: Tensor, connections: Tensor | None = None) -> Tensor:
        neuron.reset_states()
        spikes: list[Tensor] = []
        for current in x.unbind(0):
            spikes.append(neuron(fed(current, spikes, connections).unsqueeze(1)).squeeze(1))
        return torch.stack(spikes)

    return forward


PEERS: dict[str, Callable[..., Forward]] = {
    "snntorch": snntorch,
    "spikingjelly": spikingjelly,
    "norse": norse,
    "sinabs": sinabs,
}


class Outcome(NamedTuple):
    """What one library did with one problem."""

    layer: Times
    neurons: Times
    spikes: np.ndarray
    gradient: np.ndarray


def outcome(
    neurons: Forward,
    x: Tensor,
    weight: Tensor,
    upstream: Tensor,
    repeats: int,
    seconds: float,
    product: Callable[[Tensor, Tensor], Tensor] = torch.nn.functional.linear,
) -> Outcome:
    """Time Linear and neurons, then the neurons alone.

    Args:
        neurons: the layer of neurons.
        x: input spikes, [T, B, N].
        weight: of the linear map, [N, N].
        upstream: gradient of the loss by the spikes, [T, B, N].
        repeats: runs of each measurement.
        seconds: after which no run of a measurement is begun.
        product: of the input and the weight.
    """
    weight = weight.clone().requires_grad_()
    layer, spikes, (gradient,) = pass_times(lambda: neurons(product(x, weight)), [weight], upstream, repeats, seconds)
    current = torch.nn.functional.linear(x, weight).detach().requires_grad_()
    alone, _, _ = pass_times(lambda: neurons(current), [current], upstream, repeats, seconds)
    return Outcome(layer, alone, spikes.numpy().astype(bool), gradient.numpy())


if __name__ == "__main__":
    peer, problem, result, repeats, seconds = sys.argv[1:]
    given = np.load(problem)
    tensors = [torch.from_numpy(given[name].astype(np.float32, copy=False)) for name in ("x", "weight", "upstream")]
    done = outcome(PEERS[peer](), *tensors, int(repeats), float(seconds))
    np.savez(result, **done._asdict(), version=importlib.metadata.version(peer), threads=torch.get_num_threads())
