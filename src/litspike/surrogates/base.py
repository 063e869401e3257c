"""What all surrogates share."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor

from litspike.settings import number


def check(setting: str, value: float) -> None:
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
