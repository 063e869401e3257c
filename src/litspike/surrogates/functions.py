"""The surrogates, each a small pure function of the distance from the threshold."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from litspike.engine import exp
from litspike.surrogates.base import Surrogate, check


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
        check("alpha", self.alpha)

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
        check("slope", self.slope)

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
        check("slope", self.slope)

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
        check("width", self.width)
        check("height", self.height)

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
        check("width", self.width)

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
        check("width", self.width)

    def derivative(self, v: Tensor) -> Tensor:
        scaled = v / self.width
        return exp(scaled * scaled * -0.5) * (1 / (self.width * math.sqrt(2 * math.pi)))


@dataclass(frozen=True)
class StraightThrough(Surrogate):
    """Derivative of the identity in place of the spike's: ``1`` everywhere.

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
