"""Surrogate gradients: what backpropagation puts in place of the derivative of a spike.

A spike is a step function of the distance ``v`` of the membrane potential from its threshold, with a derivative
that is zero wherever it exists. A surrogate is a small pure function of ``v`` used instead of it, in the backward
pass alone (Neftci, Mostafa and Zenke 2019, "Surrogate gradient learning in spiking neural networks").
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from litspike.settings import number


class Surrogate(ABC):
    """A stand-in for the derivative of a spike. Instances are immutable and compare by value."""

    @abstractmethod
    def derivative(self, v: Tensor) -> Tensor:
        """Elementwise derivative at the distance ``v`` from the threshold; same shape as ``v``."""


@dataclass(frozen=True)
class ArcTan(Surrogate):
    """Derivative of an arc tangent: ``(α / 2) / (1 + (π α v / 2)²)``.

    Args:
        alpha: slope α; the derivative at the threshold is α / 2. Above 0.

    Raises:
        SettingError: if alpha is not above 0.

    Source: Fang et al. 2021, "Incorporating learnable membrane time constant to enhance learning of spiking
    neural networks", equation 13.
    """

    alpha: float = 2.0

    def __post_init__(self) -> None:
        number("alpha", self.alpha, "(0, inf)")

    def derivative(self, v: Tensor) -> Tensor:
        """See :class:`Surrogate`."""
        scaled = v * (math.pi * self.alpha / 2)
        return (self.alpha / 2) / (1 + scaled * scaled)


@dataclass(frozen=True)
class ZeroGradient(Surrogate):
    """No gradient at all: nothing before the spike learns. It is the derivative that a spike really has."""

    def derivative(self, v: Tensor) -> Tensor:
        """See :class:`Surrogate`."""
        return torch.zeros_like(v)


class _Spike(torch.autograd.Function):
    """Heaviside step forward, surrogate backward."""

    @staticmethod
    def forward(ctx: Any, v: Tensor, surrogate: Surrogate) -> Tensor:
        ctx.save_for_backward(v)
        ctx.surrogate = surrogate
        return (v >= 0).to(v.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor, None]:
        (v,) = ctx.saved_tensors
        return grads[0] * ctx.surrogate.derivative(v), None


def spike(v: Tensor, surrogate: Surrogate) -> Tensor:
    """Spikes at the distance ``v`` from the threshold: 1 where ``v ≥ 0``, else 0, with the surrogate's gradient.

    Args:
        v: membrane potential less threshold, any shape.
        surrogate: what the backward pass uses as derivative.

    Returns:
        Spikes, 0 or 1, in the shape and dtype of ``v``.
    """
    spikes: Tensor = _Spike.apply(v, surrogate)  # type: ignore[no-untyped-call]  # torch leaves apply untyped
    return spikes
