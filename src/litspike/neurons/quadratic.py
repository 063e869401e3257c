"""The quadratic integrate-and-fire neuron."""

from __future__ import annotations

from torch import Tensor

from litspike.neurons.declaration import param
from litspike.neurons.declared import apart
from litspike.neurons.firing import Firing, check_step, reset_to, room
from litspike.settings import SettingError, bounds

_SETTLING = "tau", "sharpness", "critical"


class QuadraticIF(Firing):
    r"""Quadratic integrate-and-fire neuron: above a critical potential it spikes without input.

    Equation, by one forward Euler step of duration dt::

        τ du/dt = k u (u − u_c) + x
        s = 1 if u ≥ θ, and there u ← u_r

    Membrane potential u, critical potential u_c, threshold θ (the spike's peak), reset_value u_r and input x share one
    unit, sharpness k has its inverse, tau and dt share one unit of time. At rest u is 0; a constant input above
    k u_c² / 4 makes it fire forever. Called on a current [T, B, \*], it returns spikes [T, B, \*] and its state, the
    membrane potential ``u`` [B, \*].

    Raises:
        SettingError: if a parameter is outside its interval, if threshold is not above critical and
            reset_value, or if dt is too long for Euler's step.

    Source: Latham, Richmond, Nelson and Nirenberg 2000, "Intrinsic dynamics in neuronal networks. I. Theory".

    Example:
        >>> import torch
        >>> from litspike import QuadraticIF
        >>> spikes, state = QuadraticIF()(torch.full((12, 1, 1), 2.0))
        >>> spikes.flatten().nonzero().flatten().tolist(), round(state.u.item(), 3)
        ([9], 0.384)
    """

    rest = {"u": 0.0}

    sharpness: float = param(
        default=1.0, inside="(0, inf)", doc="curvature of the potential's drift, in 1 / unit of the input"
    )
    critical: float = param(default=1.0, inside="(0, inf)", doc="potential beyond which the neuron fires without input")
    threshold: float = param(default=2.0, inside="(0, inf)", doc="potential at which the upswing counts as a spike")
    reset_value: float = param(default=0.0, inside="(-inf, inf)", doc="membrane potential after a spike")
    tau: float = param(default=10.0, inside="(0, inf)", doc="time constant of the membrane")
    dt: float = param(
        default=1.0, inside="(0, inf)", doc="duration of one time step in the unit of tau", learnable=False
    )

    def check(self) -> None:
        super().check()
        least = max(self.critical, self.reset_value)
        if self.threshold <= least:
            raise SettingError("threshold", self.threshold, f"is not above critical and reset_value, {least}")
        check_step(self.dt, self._time(), "tau / (sharpness · critical)")

    def _time(self) -> float:
        """Time constant in which the potential settles at rest."""
        return self.tau / (self.sharpness * self.critical)

    def interval(self, name: str) -> str:
        """A learned threshold stays above critical and reset_value, and no time constant gets too short for dt."""
        factor = room(self, self._time(), *_SETTLING) if name in _SETTLING else 1.0
        if name == "tau":
            return f"({self.tau / factor!r}, inf)"
        if name == "sharpness":
            return f"(0, {self.sharpness * factor!r})"
        interval = apart(self, "threshold", ("critical", "reset_value"), name)
        return f"(0, {min(bounds(interval)[1], self.critical * factor)!r})" if name == "critical" else interval

    def constants(self) -> tuple[Tensor | float, ...]:
        return self.dt / self.tau, self.sharpness, self.critical, self.threshold, self.reset_value

    def step(
        self,
        x: Tensor,
        u: Tensor,
        rate: Tensor,
        sharpness: Tensor,
        critical: Tensor,
        threshold: Tensor,
        reset_value: Tensor,
    ) -> tuple[Tensor, ...]:
        u = u + (u * (u - critical) * sharpness + x) * rate
        s = self.spike(u - threshold)
        return s, reset_to(u, self.resetting(s), reset_value)
