"""The leaky integrate-and-fire neuron with a refractory time."""

from __future__ import annotations

import torch
from torch import Tensor

from litspike.neurons.declaration import param
from litspike.neurons.lif import LIF
from litspike.settings import SettingError

_MOST = 1 << 24  # integers up to here are exact in single precision


class RefractoryLIF(LIF):
    r"""Leaky integrate-and-fire neuron with a refractory time after each spike.

    Equation: that of :class:`~litspike.neurons.LIF` in every step that finds r = 0. A spike sets r to the number of
    steps in the refractory time. While r > 0 the neuron takes up no input, doesn't fire, keeps the membrane potential
    that the reset left, and r falls by 1 each step.

    Input x, membrane potential u and threshold θ share one unit; refractory, tau and dt share one unit of time, and
    r counts steps. Called on a current [T, B, \*], it returns spikes [T, B, \*] and its state, the membrane potential
    ``u`` and the refractory steps left ``r``, each [B, \*].

    Raises:
        SettingError: as :class:`~litspike.neurons.LIF`, and if refractory is no multiple of dt.

    Source: Gerstner, Kistler, Naud and Paninski 2014, "Neuronal Dynamics", section 1.3.

    Example:
        >>> import torch
        >>> from litspike import RefractoryLIF
        >>> spikes, state = RefractoryLIF(refractory=2)(torch.full((6, 1, 1), 1.5))
        >>> spikes.flatten().tolist()
        [1.0, 0.0, 0.0, 1.0, 0.0, 0.0]
    """

    rest = {"u": 0.0, "r": 0.0}

    refractory: float = param(
        default=1.0,
        inside="[0, inf)",
        doc="time after a spike without input and spikes, in the unit of dt: a multiple of dt",
        learnable=False,
    )

    def check(self) -> None:
        super().check()
        steps = self.refractory / self.dt
        if abs(steps - round(steps)) > 1e-6 * max(1.0, steps):
            raise SettingError("refractory", self.refractory, f"is no multiple of a step's duration, dt {self.dt:g}")
        if steps > _MOST:
            raise SettingError("refractory", self.refractory, f"is more than {_MOST} steps")

    def constants(self) -> tuple[Tensor | float, ...]:
        return *super().constants(), torch.as_tensor(self.refractory / self.dt).round()

    def step(self, x: Tensor, u: Tensor, r: Tensor, *constants: Tensor) -> tuple[Tensor, ...]:
        *lif, pause = constants
        s, after = super().step(x, u, *lif)
        awake = r <= 0
        s = s * awake.to(s.dtype)
        return s, torch.where(awake, after, u), (r - 1).clamp(min=0) + s.detach() * pause
