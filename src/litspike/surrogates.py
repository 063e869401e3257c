"""Surrogate gradients: what backpropagation uses as the derivative of a spike.

A spike is a step function of the distance ``v`` of the membrane potential from its threshold, with a derivative
that is zero wherever it exists. A surrogate is a small pure function of ``v`` used instead of it, in the backward
pass alone (Neftci, Mostafa and Zenke 2019, "Surrogate gradient learning in spiking neural networks").
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from litspike.engine import exp
from litspike.engine.modes import apply
from litspike.settings import number


def _check(setting: str, value: float) -> None:
    """Check that a number is above 0, and that single precision can hold its square."""
    number(setting, value, "(0, inf)")
    number(setting, value, "[1e-18, 1e18]")


class Surrogate(ABC):
    """What is used as the derivative of a spike. Instances are immutable and compare by value.

    A surrogate of finite support is exactly zero beyond a distance: :class:`Triangle`, :class:`Rectangle` and
    :class:`ZeroGradient`; the others are nowhere zero. In a chain of products of spikes and neurons the gradient of
    the spikes is then worked out only where it isn't multiplied by zero, and is 0 elsewhere, also where all of it
    would have been infinite or NaN, which the reference multiplies by zero and gets NaN. That is found in the
    surrogate of your own too, where a comparison, ``torch.where(.., .., 0)``, ``clamp(min=0)`` or ``relu`` cuts it
    off; nothing is declared.

    Example:
        >>> import torch
        >>> from litspike import LIF, Surrogate
        >>> from dataclasses import dataclass
        >>> @dataclass(frozen=True)
        ... class Lorentz(Surrogate):
        ...     width: float = 1.0
        ...     def derivative(self, v):
        ...         return 1 / (1 + (v / self.width) ** 2)
        >>> spikes, _ = LIF(surrogate=Lorentz(0.5))(torch.rand(5, 2, 3))
    """

    @abstractmethod
    def derivative(self, v: Tensor) -> Tensor:
        """Elementwise derivative at the distance ``v`` from the threshold; same shape as ``v``."""

    def inside(self, v: Tensor) -> Tensor:
        """Whether each distance ``v`` lies inside the surrogate's window.

        The window is where the derivative is above 0 and at least a tenth of that at the threshold.
        """
        derivative = self.derivative(v)
        return (derivative >= self.derivative(v.new_zeros(())) / 10) & (derivative > 0)


@dataclass(frozen=True)
class ArcTan(Surrogate):
    """Derivative of an arc tangent: ``(α / 2) / (1 + (π α v / 2)²)``.

    Args:
        alpha: slope α; the derivative at the threshold is α / 2. Above 0.

    Raises:
        SettingError: if alpha is not above 0.

    Source: Fang et al. 2021, "Incorporating learnable membrane time constant to enhance learning of spiking
    neural networks", equation 13.

    Example:
        >>> import torch
        >>> from litspike import ArcTan
        >>> ArcTan().derivative(torch.tensor([0.0, 0.25, 1.0]))
        tensor([1.0000, 0.6185, 0.0920])
    """

    alpha: float = 2.0

    def __post_init__(self) -> None:
        _check("alpha", self.alpha)

    def derivative(self, v: Tensor) -> Tensor:
        scaled = v * (math.pi * self.alpha / 2)
        return (self.alpha / 2) / (1 + scaled * scaled)


@dataclass(frozen=True)
class Sigmoid(Surrogate):
    """Derivative of a sigmoid: ``k σ(k v) (1 − σ(k v))``.

    Args:
        slope: k; the derivative at the threshold is k / 4. Above 0.

    Raises:
        SettingError: if slope is not above 0.

    Source: Zenke and Vogels 2021, "The remarkable robustness of surrogate gradient learning for instilling complex
    function in spiking neural networks".

    Example:
        >>> import torch
        >>> from litspike import Sigmoid
        >>> Sigmoid().derivative(torch.tensor([0.0, 0.25, 1.0]))
        tensor([1.0000, 0.7864, 0.0707])
    """

    slope: float = 4.0

    def __post_init__(self) -> None:
        _check("slope", self.slope)

    def derivative(self, v: Tensor) -> Tensor:
        tail = exp(v.abs() * -self.slope)  # of |v|, since the derivative is even and this exponential can't overflow
        rise = 1 + tail
        return tail * self.slope / (rise * rise)


@dataclass(frozen=True)
class FastSigmoid(Surrogate):
    """Derivative of a fast sigmoid, as SuperSpike has it: ``1 / (1 + k |v|)²``.

    Args:
        slope: k; the derivative at the threshold is 1 whatever the slope, its integral 2 / k. Above 0.

    Raises:
        SettingError: if slope is not above 0.

    Source: Zenke and Ganguli 2018, "SuperSpike: supervised learning in multilayer spiking neural networks".

    Example:
        >>> import torch
        >>> from litspike import FastSigmoid
        >>> FastSigmoid().derivative(torch.tensor([0.0, 0.25, 1.0]))
        tensor([1.0000, 0.0816, 0.0083])
    """

    slope: float = 10.0

    def __post_init__(self) -> None:
        _check("slope", self.slope)

    def derivative(self, v: Tensor) -> Tensor:
        base = 1 + v.abs() * self.slope
        return 1 / (base * base)


@dataclass(frozen=True)
class Triangle(Surrogate):
    """Piecewise linear: ``h · max(0, 1 − |v| / w)``. Of finite support, ``|v| < w``; see :class:`Surrogate`.

    Args:
        width: w, the distance from the threshold at which the derivative falls to zero. Above 0.
        height: h, the derivative at the threshold; the paper dampens it to 0.3. Above 0.

    Raises:
        SettingError: if width or height is not above 0.

    Source: Bellec et al. 2018, "Long short-term memory and learning-to-learn in networks of spiking neurons".

    Example:
        >>> import torch
        >>> from litspike import Triangle
        >>> Triangle().derivative(torch.tensor([0.0, 0.25, 1.0])).tolist()
        [1.0, 0.75, 0.0]
    """

    width: float = 1.0
    height: float = 1.0

    def __post_init__(self) -> None:
        _check("width", self.width)
        _check("height", self.height)

    def derivative(self, v: Tensor) -> Tensor:
        return (1 - v.abs() / self.width).clamp(min=0) * self.height


@dataclass(frozen=True)
class Rectangle(Surrogate):
    """Constant near the threshold: ``1 / w`` where ``|v| < w / 2``, else 0. Of finite support; see :class:`Surrogate`.

    Args:
        width: w, the whole width. Above 0.

    Raises:
        SettingError: if width is not above 0.

    Source: Wu et al. 2018, "Spatio-temporal backpropagation for training high-performance spiking neural networks",
    equation 24.

    Example:
        >>> import torch
        >>> from litspike import Rectangle
        >>> Rectangle().derivative(torch.tensor([0.0, 0.25, 1.0])).tolist()
        [1.0, 1.0, 0.0]
    """

    width: float = 1.0

    def __post_init__(self) -> None:
        _check("width", self.width)

    def derivative(self, v: Tensor) -> Tensor:
        return (v.abs() < self.width / 2).to(v.dtype) / self.width


@dataclass(frozen=True)
class Gaussian(Surrogate):
    """Density of a normal distribution: ``exp(−v² / 2 σ²) / (σ √(2π))``.

    Args:
        width: σ, its standard deviation. Above 0.

    Raises:
        SettingError: if width is not above 0.

    Source: Wu et al. 2018, "Spatio-temporal backpropagation for training high-performance spiking neural networks",
    equation 27.

    Example:
        >>> import torch
        >>> from litspike import Gaussian
        >>> Gaussian().derivative(torch.tensor([0.0, 0.25, 1.0]))
        tensor([0.7979, 0.7041, 0.1080])
    """

    width: float = 0.5

    def __post_init__(self) -> None:
        _check("width", self.width)

    def derivative(self, v: Tensor) -> Tensor:
        scaled = v / self.width
        return exp(scaled * scaled * -0.5) * (1 / (self.width * math.sqrt(2 * math.pi)))


@dataclass(frozen=True)
class StraightThrough(Surrogate):
    """The spike taken for the identity: 1 everywhere.

    Source: Bengio, Léonard and Courville 2013, "Estimating or propagating gradients through stochastic neurons for
    conditional computation".

    Example:
        >>> import torch
        >>> from litspike import StraightThrough
        >>> StraightThrough().derivative(torch.tensor([0.0, 0.25, 1.0])).tolist()
        [1.0, 1.0, 1.0]
    """

    def derivative(self, v: Tensor) -> Tensor:
        return torch.ones_like(v)


@dataclass(frozen=True)
class ZeroGradient(Surrogate):
    """No gradient at all: nothing before the spike learns. It is the derivative that a spike really has.

    Example:
        >>> import torch
        >>> from litspike import ZeroGradient
        >>> ZeroGradient().derivative(torch.tensor([0.0, 0.25, 1.0])).tolist()
        [0.0, 0.0, 0.0]
    """

    def derivative(self, v: Tensor) -> Tensor:
        return torch.zeros_like(v)


class _Spike(torch.autograd.Function):
    """Heaviside step forward, surrogate backward."""

    generate_vmap_rule = True

    @staticmethod
    def forward(v: Tensor, surrogate: Surrogate, fires: Literal["at", "above"]) -> Tensor:
        return (v >= 0 if fires == "at" else v > 0).to(v.dtype)

    @staticmethod
    def derivative(v: Tensor, surrogate: Surrogate, fires: Literal["at", "above"]) -> Tensor:
        return surrogate.derivative(v)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        v, ctx.surrogate, _ = inputs
        ctx.save_for_backward(v)
        ctx.save_for_forward(v)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor, None, None]:
        (v,) = ctx.saved_tensors
        return grads[0] * ctx.surrogate.derivative(v), None, None


class _SpikeForwards(_Spike):
    """The same in forward-mode differentiation."""

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        (v,) = ctx.saved_tensors
        derivative: Tensor = tangents[0] * ctx.surrogate.derivative(v)
        return derivative


def spike(v: Tensor, surrogate: Surrogate, fires: Literal["at", "above"] = "at") -> Tensor:
    """Spikes at the distance ``v`` from the threshold, with the surrogate's gradient.

    Args:
        v: membrane potential less threshold, any shape.
        surrogate: what the backward pass uses as derivative.
        fires: ``"at"`` for 1 where ``v ≥ 0``, ``"above"`` for 1 where ``v > 0``; else 0.

    Returns:
        Spikes, 0 or 1, in the shape and dtype of ``v``.

    Example:
        >>> import torch
        >>> from litspike.surrogates import Triangle, spike
        >>> v = torch.tensor([-0.5, 0.0, 0.5], requires_grad=True)
        >>> spikes = spike(v, Triangle())
        >>> spikes.sum().backward()
        >>> spikes.tolist(), v.grad.tolist()
        ([0.0, 1.0, 1.0], [0.5, 1.0, 0.5])
    """
    return apply(_Spike, _SpikeForwards, v, surrogate, fires)
