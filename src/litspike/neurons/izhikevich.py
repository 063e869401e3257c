"""Izhikevich's simple model."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from litspike.neurons.declaration import option, param
from litspike.neurons.firing import Firing, check_step, reset_to
from litspike.surrogates import ArcTan, Surrogate


class Izhikevich(Firing):
    r"""Izhikevich's simple model of a cortical neuron; the defaults are those of a regular spiking one.

    Equation, by one forward Euler step of duration dt::

        du/dt = 0.04 u² + 5 u + 140 − w + x
        dw/dt = a (b u − w)
        s = 1 if u ≥ θ, and there u ← c and w ← w + d

    Membrane potential u, threshold θ and c are in mV, recovery w, d and input x in mV/ms, a and b in 1/ms, dt in ms
    (in the paper v stands for u, and u for w). Called on a current [T, B, \*], it returns spikes [T, B, \*] and its
    state, ``u`` and ``w``, each [B, \*]. It starts where both derivatives are 0 without input; b above 0.267 leaves no
    such place, and it starts where du/dt is nearest to 0.

    Raises:
        SettingError: if a parameter is outside its interval, or if dt is too long for Euler's step.

    Source: Izhikevich 2003, "Simple model of spiking neurons".

    Example:
        >>> import torch
        >>> from litspike import Izhikevich
        >>> spikes, state = Izhikevich()(torch.full((200, 1, 1), 10.0))  # 100 ms of 10 mV/ms
        >>> int(spikes.sum())
        3
    """

    rest = {"u": -70.0, "w": -14.0}

    a: float = param(default=0.02, inside="(0, inf)", doc="rate of the recovery, in 1/ms")
    b: float = param(default=0.2, inside="(-inf, inf)", doc="recovery per membrane potential, in 1/ms")
    c: float = param(default=-65.0, inside="(-inf, inf)", doc="membrane potential after a spike, in mV")
    d: float = param(default=8.0, inside="(-inf, inf)", doc="rise of the recovery with each spike, in mV/ms")
    threshold: float = param(default=30.0, inside="(-inf, inf)", doc="membrane potential at the peak of a spike, in mV")
    dt: float = param(default=0.5, inside="(0, inf)", doc="duration of one time step, in ms", learnable=False)
    surrogate: Surrogate = option(
        default=ArcTan(0.1), doc="surrogate gradient, a function of the potential less the threshold in mV"
    )

    def check(self) -> None:
        super().check()
        check_step(self.dt, 1 / self.a, "1 / a")

    def interval(self, name: str) -> str:
        return f"(0, {2 / self.dt!r})" if name == "a" else super().interval(name)

    def at_rest(self) -> tuple[Tensor | float, ...]:
        """The stable fixed point without input: the lower root of 0.04 u² + (5 − b) u + 140."""
        linear = 5 - self.b
        u = (-linear - _root(linear * linear - 4 * 0.04 * 140)) / (2 * 0.04)
        return u, self.b * u

    def constants(self) -> tuple[Tensor | float, ...]:
        return self.dt, self.dt * self.a, self.b, self.c, self.d, self.threshold

    def step(
        self,
        x: Tensor,
        u: Tensor,
        w: Tensor,
        dt: Tensor,
        recovery: Tensor,
        b: Tensor,
        c: Tensor,
        d: Tensor,
        threshold: Tensor,
    ) -> tuple[Tensor, ...]:
        new_u = u + ((u * 0.04 + 5) * u + 140 - w + x) * dt
        w = w + (u * b - w) * recovery
        s = self.spike(new_u - threshold)
        r = self.resetting(s)
        return s, reset_to(new_u, r, c), w + r * d


def _root(square: Tensor | float) -> Tensor | float:
    """Square root, 0 of a negative number."""
    if isinstance(square, Tensor):
        return torch.where(square > 0, square, 1.0).sqrt() * (square > 0)
    return math.sqrt(max(square, 0.0))
