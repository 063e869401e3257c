"""A chain of spiking layers, timed in one library: the part of benchmarks/chain.py that runs in a peer's environment.

    python benchmarks/chain_run.py PEER SURROGATE PROBLEM.npz RESULT.npz REPEATS SECONDS

It needs torch, numpy and that one peer alone; see benchmarks/layer_run.py. SURROGATE is ``default``, the one that the
peer shares with benchmarks/layer.py, or ``finite``, one of finite support. A recurrent problem is one recurrent layer,
for benchmarks/recurrent.py: the peer's neurons step by step, with the product of the last spikes between.
"""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from layer_run import DECAY, PEERS, Forward, Times, pass_times
from torch import Tensor
from torch.nn.functional import conv2d, linear, max_pool2d


def _rectangle(v: Tensor) -> Tensor:
    return (v.abs() < 0.5).to(v.dtype)


def _snntorch() -> dict[str, Any]:
    from snntorch.surrogate import custom_surrogate

    return {"spike_grad": custom_surrogate(lambda v, gradient, spikes: gradient * _rectangle(v))}


def _spikingjelly() -> dict[str, Any]:
    from spikingjelly.activation_based.surrogate import Rect

    return {"surrogate_function": Rect(1.0)}


def _norse() -> dict[str, Any]:
    return {"method": "triangle", "alpha": torch.tensor(1.0)}


def _sinabs() -> dict[str, Any]:
    return {"surrogate_grad_fn": lambda v, threshold: _rectangle(v - threshold)}


FINITE: dict[str, Callable[[], dict[str, Any]]] = {
    "snntorch": _snntorch,
    "spikingjelly": _spikingjelly,
    "norse": _norse,
    "sinabs": _sinabs,
}
"""The arguments that give a peer's neurons a surrogate of finite support: a rectangle, or what the peer has."""


def integrator(x: Tensor) -> Tensor:
    """A leaky integrator, step by step: every peer's does this, and some add a spike that nobody asked for."""
    u, potentials = torch.zeros_like(x[0]), []
    for current in x.unbind(0):
        u = u * DECAY + current
        potentials.append(u)
    return torch.stack(potentials)


class Outcome(NamedTuple):
    """What one library did with one chain."""

    times: Times
    output: np.ndarray
    gradients: Sequence[np.ndarray]


def outcome(
    layers: Sequence[Forward],
    x: Tensor,
    weights: Sequence[Tensor],
    upstream: Tensor,
    repeats: int,
    seconds: float,
    begin: Callable[[Tensor], Tensor] = lambda x: x,
) -> Outcome:
    """Time a chain.

    Args:
        layers: what is called on the current of each layer.
        x: input spikes, [T, B, N].
        weights: of the map before each layer: of Linear [outputs, inputs], or of a convolution [outputs, inputs, 3, 3],
            behind whose neurons the largest of each 2 × 2 is taken.
        upstream: gradient of the loss by the output.
        repeats: passes.
        seconds: after which no pass is begun.
        begin: what is done with the input of each map, as a part of each pass.
    """
    weights = [weight.clone().requires_grad_() for weight in weights]

    def forward() -> Tensor:
        y = x
        for layer, weight in zip(layers, weights, strict=True):
            if weight.dim() == 2:
                y = layer(linear(begin(y), weight))
                continue
            y = layer(conv2d(begin(y.flatten(0, 1)), weight, padding=1).unflatten(0, x.shape[:2]))
            y = max_pool2d(y.flatten(0, 1), 2).unflatten(0, x.shape[:2])
        return y

    return _timed(forward, weights, upstream, repeats, seconds)


def _timed(
    forward: Callable[[], Tensor], wanted: Sequence[Tensor], upstream: Tensor, repeats: int, seconds: float
) -> Outcome:
    times, output, gradients = pass_times(forward, wanted, upstream, repeats, seconds)
    return Outcome(times, output.numpy(), [gradient.numpy() for gradient in gradients])


def recurrent(
    layer: Forward, x: Tensor, connections: Tensor, upstream: Tensor, repeats: int, seconds: float
) -> Outcome:
    """Time a recurrent layer on its input current [T, B, N], with the gradients of both."""
    wanted = [x.requires_grad_(), connections.requires_grad_()]
    return _timed(lambda: layer(*wanted), wanted, upstream, repeats, seconds)


def tensors(given: Any) -> tuple[Tensor, list[Tensor], Tensor]:
    """Input, weights and upstream gradient of a problem."""
    weights = [torch.from_numpy(given[f"weight{index}"]) for index in range(int(given["layers"]))]
    return torch.from_numpy(given["x"].astype(np.float32)), weights, torch.from_numpy(given["upstream"])


if __name__ == "__main__":
    peer, kind, problem, result, repeats, seconds = sys.argv[1:]
    surrogate = FINITE[peer]() if kind == "finite" else {}
    given = np.load(problem)
    x, weights, upstream = tensors(given)
    about = {"version": importlib.metadata.version(peer), "threads": torch.get_num_threads()}
    if given["recurrent"]:
        done = recurrent(PEERS[peer](**surrogate), x, *weights, upstream, int(repeats), float(seconds))
    else:
        spiking = len(weights) - int(given["readout"])
        layers = [PEERS[peer](**surrogate) for _ in range(spiking)] + [integrator] * int(given["readout"])
        done = outcome(layers, x, weights, upstream, int(repeats), float(seconds))
    named = {f"gradient{index}": gradient for index, gradient in enumerate(done.gradients)}
    np.savez(result, times=done.times, output=done.output, **named, **about)
