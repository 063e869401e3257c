"""Latency coding: values as the time of one spike."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from litspike.coding.ranges import SCALED, check_range
from litspike.settings import integer, number


def one_spike(times: Tensor, fires: Tensor, steps: int) -> Tensor:
    """One spike at the step nearest to each time, where it fires and the step is one of those that there are.

    Args:
        times: in steps, [B, *]; half a step goes to the even one.
        fires: whether there is a spike, boolean [B, *].
        steps: number of time steps T.

    Returns:
        Spikes, 0 or 1, [T, B, *] in the dtype of ``times``.
    """
    nearest = times.round()
    fires = fires & (nearest < steps)
    index = torch.where(fires, nearest, 0).long().unsqueeze(0)
    spikes = times.new_zeros((steps, *times.shape))
    return spikes.scatter_(0, index, fires.to(times.dtype).unsqueeze(0))


class Latency(nn.Module):
    r"""Each value as the time of one spike, the larger the earlier, in proportion.

    Equation::

        t = (T − 1) · (1 − x)        rounded to a step; no spike where x ≤ threshold

    It maps samples [B, \*] to spikes [T, B, \*], 0 or 1 in the dtype of the samples. x and threshold have no unit and
    lie in [0, 1]; t is in steps: 1 fires at the first step. No gradient reaches x.

    Args:
        steps: number of time steps T.
        threshold: value up to which there is no spike.

    Raises:
        SettingError: if a setting is out of range.
        UserError: if an input is outside [0, 1], or not floating-point.

    Source: Thorpe, Delorme and Van Rullen 2001, "Spike-based strategies for rapid processing"; the equation as in
    Eshraghian et al. 2023, "Training spiking neural networks using lessons from deep learning".

    Example:
        >>> import torch
        >>> from litspike import Latency
        >>> Latency(steps=5)(torch.tensor([[1.0, 0.5, 0.0]]))[:, 0].tolist()
        [[1.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    """

    def __init__(self, steps: int = 16, threshold: float = 0.0) -> None:
        super().__init__()
        self.steps = integer("steps", steps)
        self.threshold = number("threshold", threshold, "[0, 1)")

    def forward(self, x: Tensor) -> Tensor:
        """[B, *] → [T, B, *]."""
        check_range("Latency", x, "[0, 1]", SCALED)
        x = x.detach()
        return one_spike((self.steps - 1) * (1 - x), x > self.threshold, self.steps)

    def extra_repr(self) -> str:
        return f"steps={self.steps}, threshold={self.threshold}"


class LogarithmicLatency(nn.Module):
    r"""Each value as the time at which a membrane that it charges reaches its threshold, and fires once.

    Equation, where ``u(t) = x · (1 − exp(−t / τ))`` meets θ::

        t = τ · ln(x / (x − θ))        rounded to a step; no spike where x ≤ θ, or where t is past the last step

    It maps samples [B, \*] to spikes [T, B, \*], 0 or 1 in the dtype of the samples. x and the threshold θ share one
    unit, and x is 0 or more; t and the time constant τ are in steps. No gradient reaches x.

    Args:
        steps: number of time steps T.
        tau: time constant τ of the membrane, in steps.
        threshold: threshold θ of the membrane.

    Raises:
        SettingError: if a setting is out of range.
        UserError: if an input is below 0 or not finite, or not floating-point.

    Source: Gerstner, Kistler, Naud and Paninski 2014, "Neuronal Dynamics", section 1.3; as an encoder in
    Eshraghian et al. 2023, "Training spiking neural networks using lessons from deep learning".

    Example:
        >>> import torch
        >>> from litspike import LogarithmicLatency
        >>> LogarithmicLatency(steps=3, tau=1.0)(torch.tensor([[1.0, 0.3, 0.1]]))[:, 0].tolist()
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]
    """

    def __init__(self, steps: int = 16, tau: float = 5.0, threshold: float = 0.2) -> None:
        super().__init__()
        self.steps = integer("steps", steps)
        self.tau = number("tau", tau, "(0, inf)")
        self.threshold = number("threshold", threshold, "(0, inf)")

    def forward(self, x: Tensor) -> Tensor:
        """[B, *] → [T, B, *]."""
        check_range("LogarithmicLatency", x, "[0, inf)")
        x = x.detach()
        fires = x > self.threshold
        share = torch.where(fires, self.threshold / x, 0)
        return one_spike(-self.tau * (-share).log1p(), fires, self.steps)

    def extra_repr(self) -> str:
        return f"steps={self.steps}, tau={self.tau}, threshold={self.threshold}"
