"""Firing and reset: the settings and equations that spiking models share."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from litspike.neurons.base import Neuron
from litspike.neurons.declaration import option, param
from litspike.settings import SettingError
from litspike.surrogates import spike


class Firing(Neuron):
    """A neuron that fires and is reset."""

    fires: Literal["at", "above"] = option(
        default="at", doc="whether it fires at the threshold (u ≥ θ), or only above it (u > θ)"
    )
    detach_reset: bool = option(
        default=False, doc="whether the gradient of the reset with respect to the spike is left out"
    )

    def spike(self, v: Tensor) -> Tensor:
        """1 where it fires, else 0, with the surrogate's gradient; ``v`` is the potential less the threshold."""
        return spike(v, self.surrogate, self.fires)

    def resetting(self, s: Tensor) -> Tensor:
        """The spikes as the reset sees them."""
        return s.detach() if self.detach_reset else s


class ThresholdFiring(Firing):
    """A neuron that fires at a threshold of its membrane potential, and what becomes of the potential then."""

    threshold: float = param(
        default=1.0, inside="(0, inf)", doc="membrane potential at which the neuron fires, in units of the input"
    )
    reset: Literal["zero", "value", "subtract"] = option(
        default="zero", doc="membrane potential after a spike: zero, reset_value, or the threshold subtracted"
    )
    reset_value: float | None = param(
        default=None, inside="(-inf, inf)", doc="membrane potential after a spike; only with reset: value"
    )

    def check(self) -> None:
        super().check()
        if (self.reset == "value") != (self.reset_value is not None):
            raise SettingError("reset_value", self.reset_value, "is given if and only if reset is 'value'")

    def reset_constant(self) -> Tensor | float:
        """The reset's constant of the step: ``reset_value``, or 0 where nothing uses it."""
        return 0.0 if self.reset != "value" or self.reset_value is None else self.reset_value

    def fire(self, u: Tensor, threshold: Tensor) -> Tensor:
        """Spikes of the membrane potential ``u``."""
        return self.spike(u - threshold)

    def after_spike(self, u: Tensor, s: Tensor, threshold: Tensor, reset_value: Tensor) -> Tensor:
        """Membrane potential ``u``, reset where the neuron fired."""
        s = self.resetting(s)
        if self.reset == "subtract":
            return u - s * threshold
        return u * (1 - s) if self.reset == "zero" else reset_to(u, s, reset_value)


def reset_to(u: Tensor, s: Tensor, value: Tensor) -> Tensor:
    """``u`` where ``s`` is 0, ``value`` where it is 1."""
    return u * (1 - s) + s * value


def check_step(dt: float, time: float, name: str) -> None:
    """Check that a forward Euler step is short enough for this time constant to be stable.

    Raises:
        SettingError: if dt is twice the time constant or more.
    """
    if dt >= 2 * time:
        raise SettingError("dt", dt, f"is not below 2 · {name} = {2 * time:g}, from where on Euler's step diverges")


def room(neuron: Neuron, time: float, *parts: str) -> float:
    """The factor by which each learned parameter that a time constant is made of may change before dt is too long."""
    learned = sum(part in (neuron.learn or {}) for part in parts)
    return float((2 * time / neuron.dt) ** (1 / learned))
