"""Steps to test engines with: none is a neuron of the library, each stresses another side of an engine."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from litspike.engine import exp, run, sigmoid
from litspike.surrogates import ArcTan, Surrogate, ZeroGradient, spike


@dataclass(frozen=True)
class Box(Surrogate):
    """A surrogate of comparisons and truth values alone."""

    def derivative(self, v: Tensor) -> Tensor:
        return ((v > -1) & (v < 1)).to(v.dtype) / 2


@dataclass(frozen=True)
class Sigmoid(Surrogate):
    """A surrogate that needs the exponential."""

    def derivative(self, v: Tensor) -> Tensor:
        s = sigmoid(4 * v)
        return 4 * s * (1 - s)


SURROGATES = [ArcTan(), ArcTan(5.0), ZeroGradient(), Box(), Sigmoid()]


def leaky(surrogate: Surrogate) -> Callable[..., Any]:
    def step(x, u, decay, threshold):
        u = u + x
        s = spike(u - threshold, surrogate)
        return s, u * (1 - s) * decay

    return step


def detached(surrogate: Surrogate) -> Callable[..., Any]:
    def step(x, u, decay, threshold):
        u = decay * u + (1 - decay) * x
        s = spike(u - threshold, surrogate)
        return s, u - s.detach() * threshold

    return step


def two_states(surrogate: Surrogate) -> Callable[..., Any]:
    def step(x, u, a, decay, threshold, scale):
        u = torch.where(a > 1, u, u * decay) + exp(torch.clamp((u - threshold) / scale, -20, 3)) * 0.1 + x
        s = spike(u - threshold - a, surrogate)
        return s, torch.minimum(u * (1 - s), threshold + a.abs()), torch.relu(a * decay + s * scale) ** 2 / 3

    return step


def no_spike(surrogate: Surrogate) -> Callable[..., Any]:
    def step(x, i, u, decay, gain):
        i = i * decay + x
        u = u * gain + i
        return u, i, u

    return step


STEPS: dict[str, tuple[Callable[..., Any], int, tuple[float, ...]]] = {
    "leaky": (leaky, 1, (0.9, 1.0)),
    "detached": (detached, 1, (0.8, 0.5)),
    "two_states": (two_states, 2, (0.9, 1.0, 0.7)),
    "no_spike": (no_spike, 2, (0.9, 0.8)),
}


def outcome(
    engine: str,
    step: Callable[..., Any],
    key: Any,
    current: Tensor,
    states: Sequence[Tensor],
    constants: Sequence[Tensor],
    seed: int = 0,
) -> tuple[list[Tensor], list[Tensor]]:
    """Outputs and last states, and the gradients of all that requires one under random gradients of all results."""
    leaves = [leaf.detach().clone().requires_grad_() for leaf in (*states, *constants)]
    x = current.detach().requires_grad_()
    output, last = run(step, key, x, leaves[: len(states)], leaves[len(states) :], engine)
    results = [output, *last]
    draw = torch.Generator().manual_seed(seed)
    upstream = [torch.randn(r.shape, generator=draw, dtype=r.dtype).to(r.device) for r in results]
    gradients = torch.autograd.grad(results, [x, *leaves], upstream)
    return [result.detach() for result in results], list(gradients)
