"""The leak of a state: its decay per step, or a time constant."""

from __future__ import annotations

import math
from typing import Literal

from torch import Tensor

from litspike.neurons.base import Neuron
from litspike.neurons.declaration import option, param
from litspike.settings import SettingError


def decay_of(decay: Tensor | float | None, tau: Tensor | float | None, dt: float) -> Tensor | float:
    """Share of a state that remains after a step: ``decay``, or ``exp(−dt / τ)`` where there is a time constant."""
    if isinstance(tau, Tensor):
        return (-dt / tau).exp()
    if tau is not None:
        return math.exp(-dt / tau)
    if decay is None:
        raise ValueError("neither decay nor tau is set")
    return decay


def settle_decay(neuron: Neuron, default: float, decay: str = "decay", tau: str = "tau") -> None:
    """Check that a decay and a time constant are not both given; set the decay where neither is.

    Raises:
        SettingError: if both are given.
    """
    share, time = getattr(neuron, decay), getattr(neuron, tau)
    if share is not None and time is not None:
        raise SettingError(tau, time, f"is given beside {decay} {share}: set one of them to null")
    if share is None and time is None:
        setattr(neuron, decay, default)


class Leaky(Neuron):
    """A neuron whose membrane potential leaks towards zero."""

    decay: float | None = param(
        default=None,
        inside="[0, 1]",
        doc="share of the membrane potential that remains after a step; 0.9 where neither it nor tau is set",
    )
    tau: float | None = param(
        default=None, inside="(0, inf)", doc="time constant of the membrane, an alternative to decay"
    )
    dt: float = param(
        default=1.0,
        inside="(0, inf)",
        doc="duration of one time step in the unit of every time that is set",
        learnable=False,
    )

    def check(self) -> None:
        super().check()
        settle_decay(self, 0.9)

    def membrane_decay(self) -> Tensor | float:
        """Share of the membrane potential that remains after a step."""
        return decay_of(self.decay, self.tau, self.dt)


class ScaledInput(Leaky):
    """A leaky neuron that can take up its input scaled, so that a constant input is what its potential tends to."""

    input_gain: Literal["one", "one_minus_decay"] = option(
        default="one",
        doc="what the input is multiplied by; with one_minus_decay a constant input is where the potential settles",
    )

    def gain(self) -> Tensor | float:
        """What the input is multiplied by."""
        return 1.0 if self.input_gain == "one" else 1 - self.membrane_decay()

    def scaled(self, x: Tensor, gain: Tensor) -> Tensor:
        """The input as the membrane takes it up."""
        return x if self.input_gain == "one" else x * gain
