"""Encoders of samples that are sequences already, [B, T, *]."""

from __future__ import annotations

from torch import Tensor, nn

from litspike.coding.ranges import check_range, check_sequence
from litspike.settings import number


class TimeFirst(nn.Module):
    r"""No encoding: sequences of currents or spikes go in as they are, with time first.

    It maps [B, T, \*] to [T, B, \*] in the same unit, and sequences of single numbers [B, T] to [T, B, 1]. Nothing is
    copied. Every value is allowed, and none is read.

    Raises:
        UserError: if the input has fewer than 2 dimensions or no time step.

    Example:
        >>> import torch
        >>> from litspike import TimeFirst
        >>> TimeFirst()(torch.zeros(2, 5, 3)).shape, TimeFirst()(torch.zeros(2, 5)).shape
        (torch.Size([5, 2, 3]), torch.Size([5, 2, 1]))
    """

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, *] → [T, B, *], [B, T] → [T, B, 1]."""
        check_sequence("TimeFirst", x)
        return _with_feature(x).transpose(0, 1)


class DeltaModulation(nn.Module):
    r"""Spikes where a sequence changes by more than a threshold from one step to the next.

    Equation::

        on_t  = 1 where x_t − x_{t−1} > threshold, else 0
        off_t = 1 where x_{t−1} − x_t > threshold, else 0        both 0 at the first step

    It maps sequences [B, T, F, \*] to spikes [T, B, 2F, \*], 0 or 1 in the dtype of the sequences: the on channels of
    all F features (or image channels), then their off channels. Sequences of single numbers [B, T] become [T, B, 2].
    x and threshold share one unit; x is any finite number. A drift below the threshold at every step gives no spike,
    however far it leads. No gradient reaches x.

    Args:
        threshold: the change that must be exceeded.

    Raises:
        SettingError: if threshold is negative.
        UserError: if an input is no sequence, not finite or not floating-point.

    Source: Eshraghian et al. 2023, "Training spiking neural networks using lessons from deep learning", on delta
    modulation.

    Example:
        >>> import torch
        >>> from litspike import DeltaModulation
        >>> DeltaModulation(threshold=0.5)(torch.tensor([[0.0, 1.0, 1.2, 0.0]]))[:, 0].tolist()  # [on, off]
        [[0.0, 0.0], [1.0, 0.0], [0.0, 0.0], [0.0, 1.0]]
    """

    def __init__(self, threshold: float = 0.1) -> None:
        super().__init__()
        self.threshold = number("threshold", threshold, "[0, inf)")

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, F, *] → [T, B, 2F, *], [B, T] → [T, B, 2]."""
        check_sequence("DeltaModulation", x)
        check_range("DeltaModulation", x, "(-inf, inf)")
        x = _with_feature(x.detach()).transpose(0, 1)
        steps, batch, features, *rest = x.shape
        change = x.diff(dim=0)
        spikes = x.new_zeros((steps, batch, 2 * features, *rest))
        spikes[1:, :, :features] = change > self.threshold
        spikes[1:, :, features:] = change < -self.threshold
        return spikes

    def extra_repr(self) -> str:
        return f"threshold={self.threshold}"


def _with_feature(x: Tensor) -> Tensor:
    """[B, T, *] as it is, [B, T] as [B, T, 1]."""
    return x.unsqueeze(2) if x.dim() == 2 else x
