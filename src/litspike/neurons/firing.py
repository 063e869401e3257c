"""Firing and reset: the settings and the mathematics that spiking models share."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from litspike.neurons.base import Neuron
from litspike.neurons.declaration import option, param
from litspike.settings import SettingError
from litspike.surrogates import spike


class Firing(Neuron):
    """A neuron that fires and is reset."""

    fires: Literal["at", "above"] = option("at", "whether it fires where it meets the threshold, or only above it")
    detach_reset: bool = option(False, "whether the backward pass leaves out the reset's dependence on the spike")

    def spike(self, v: Tensor) -> Tensor:
        """1 where the distance ``v`` from the threshold says that it fires, else 0, with the surrogate's gradient."""
        return spike(v, self.surrogate, self.fires)

    def resetting(self, s: Tensor) -> Tensor:
        """The spikes as the reset sees them."""
        return s.detach() if self.detach_reset else s


class ThresholdFiring(Firing):
    """A neuron that fires at a threshold of its membrane potential, and what becomes of the potential then."""

    threshold: float = param(1.0, "(0, inf)", "membrane potential at which the neuron fires, in units of the input")
    reset: Literal["zero", "value", "subtract"] = option(
        "zero", "membrane potential after a spike: zero, reset_value, or less by the threshold"
    )
    reset_value: float | None = param(None, "(-inf, inf)", "membrane potential after a spike, with reset: value alone")

    def check(self) -> None:
        """Refuse a reset to a value without the value, and a value that no reset uses."""
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
    """Refuse a forward Euler step so long that what should settle, with this time constant, swings ever higher.

    Raises:
        SettingError: if dt is twice the time constant or more.
    """
    if dt >= 2 * time:
        raise SettingError("dt", dt, f"is not below 2 · {name} = {2 * time:g}, from where on Euler's step diverges")


def room(neuron: Neuron, time: float, *parts: str) -> float:
    """The factor by which each learned parameter that a time constant is made of may change before dt is too long."""
    learned = sum(part in (neuron.learn or {}) for part in parts)
    return float((2 * time / neuron.dt) ** (1 / learned))
