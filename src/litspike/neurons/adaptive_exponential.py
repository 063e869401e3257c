"""The adaptive exponential integrate-and-fire neuron."""

from __future__ import annotations

from torch import Tensor

from litspike.engine import exp
from litspike.neurons.declaration import option, param
from litspike.neurons.declared import apart
from litspike.neurons.firing import Firing, check_step, reset_to, room
from litspike.settings import SettingError
from litspike.surrogates import ArcTan, Surrogate

_MEMBRANE = "capacitance", "leak_conductance"
STEEPEST = 20.0  # the exponent's cap: so far up the swing, any step ends above the peak, and e^20 overflows nothing


class AdaptiveExponential(Firing):
    r"""Adaptive exponential integrate-and-fire neuron (AdEx), with the parameters of a cortical pyramidal cell.

    Equation, by one forward Euler step of duration dt::

        C du/dt   = −g_L (u − E_L) + g_L Δ exp((u − V_T) / Δ) − w + x
        τ_w dw/dt = a (u − E_L) − w
        s = 1 if u ≥ u_peak, and there u ← u_r and w ← w + b

    Symbols, with the units of the defaults: membrane potential u, leak_reversal E_L, threshold V_T, slope Δ, peak
    u_peak and reset_value u_r in mV; adaptation current w, input x and jump b in pA; capacitance C in pF;
    leak_conductance g_L and coupling a in nS; tau τ_w and dt in ms. Any other consistent set of units will do.
    The exponent is capped at 20. Called on a current [T, B, \*], it returns spikes [T, B, \*] and its state, ``u``
    and ``w``, each [B, \*].

    Raises:
        SettingError: if a parameter is outside its interval, if peak is not above threshold and reset_value,
            or if dt is too long for Euler's step.

    Source: Brette and Gerstner 2005, "Adaptive exponential integrate-and-fire model as an effective description of
    neuronal activity".

    Example:
        >>> import torch
        >>> from litspike import AdaptiveExponential
        >>> spikes, state = AdaptiveExponential()(torch.full((1000, 1, 1), 1000.0))  # 100 ms of 1 nA
        >>> int(spikes.sum())
        5
    """

    rest = {"u": -70.6, "w": 0.0}

    capacitance: float = param(default=281.0, inside="(0, inf)", doc="capacitance of the membrane, in pF")
    leak_conductance: float = param(default=30.0, inside="(0, inf)", doc="conductance of the leak, in nS")
    leak_reversal: float = param(
        default=-70.6, inside="(-inf, inf)", doc="potential that the leak pulls to, the state at rest, in mV"
    )
    threshold: float = param(default=-50.4, inside="(-inf, inf)", doc="potential from which the upswing starts, in mV")
    slope: float = param(
        default=2.0, inside="(0, inf)", doc="sharpness of the upswing, in mV: the smaller, the sharper"
    )
    tau: float = param(default=144.0, inside="(0, inf)", doc="time constant of the adaptation current, in ms")
    coupling: float = param(
        default=4.0, inside="(-inf, inf)", doc="adaptation current per potential above leak_reversal, in nS"
    )
    jump: float = param(default=80.5, inside="(-inf, inf)", doc="rise of the adaptation current with each spike, in pA")
    peak: float = param(
        default=20.0, inside="(-inf, inf)", doc="potential at which the upswing counts as a spike, in mV"
    )
    reset_value: float = param(default=-70.6, inside="(-inf, inf)", doc="membrane potential after a spike, in mV")
    dt: float = param(default=0.1, inside="(0, inf)", doc="duration of one time step, in ms", learnable=False)
    surrogate: Surrogate = option(
        default=ArcTan(0.1), doc="surrogate gradient, a function of the potential less the threshold in mV"
    )

    def check(self) -> None:
        super().check()
        least = max(self.threshold, self.reset_value)
        if self.peak <= least:
            raise SettingError("peak", self.peak, f"is not above threshold and reset_value, {least}")
        check_step(self.dt, self.tau, "tau")
        check_step(self.dt, self.capacitance / self.leak_conductance, " / ".join(_MEMBRANE))

    def interval(self, name: str) -> str:
        """A learned peak stays above threshold and reset_value, these below it, and time constants long enough."""
        if name == "tau":
            return f"({self.dt / 2!r}, inf)"
        if name in _MEMBRANE:
            factor = room(self, self.capacitance / self.leak_conductance, *_MEMBRANE)
            least, most = self.capacitance / factor, self.leak_conductance * factor
            return f"({least!r}, inf)" if name == "capacitance" else f"(0, {most!r})"
        lows = "threshold", "reset_value"
        return apart(self, "peak", lows, name) if name in ("peak", *lows) else super().interval(name)

    def at_rest(self) -> tuple[Tensor | float, ...]:
        return self.leak_reversal, 0.0

    def constants(self) -> tuple[Tensor | float, ...]:
        rate, fall = self.dt / self.capacitance, self.dt / self.tau
        upswing = self.leak_conductance * self.slope
        return (
            *(rate, self.leak_conductance, self.leak_reversal, upswing, self.threshold, self.slope),
            *(fall, self.coupling, self.jump, self.peak, self.reset_value),
        )

    def step(self, x: Tensor, u: Tensor, w: Tensor, *constants: Tensor) -> tuple[Tensor, ...]:
        rate, leak, reversal, upswing, threshold, slope, fall, coupling, jump, peak, reset_value = constants
        above = u - reversal
        swing = exp(((u - threshold) / slope).clamp(max=STEEPEST)) * upswing
        u = u + (swing - above * leak - w + x) * rate
        w = w + (above * coupling - w) * fall
        s = self.spike(u - peak)
        r = self.resetting(s)
        return s, reset_to(u, r, reset_value), w + r * jump
