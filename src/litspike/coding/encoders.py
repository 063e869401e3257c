"""Encoders: from samples [B, *] to an input over time, [T, B, *]."""

from __future__ import annotations

from torch import Tensor, nn

from litspike.arguments import check_tensor
from litspike.settings import integer


class ConstantCurrent(nn.Module):
    """Each sample as a current that stays the same for all time steps.

    It maps samples [B, *] to currents [T, B, *] in the same unit; no copy is made.

    Args:
        steps: number of time steps T.

    Raises:
        SettingError: if steps is below 1.

    Example:
        >>> import torch
        >>> from litspike import ConstantCurrent
        >>> ConstantCurrent(steps=3)(torch.tensor([[1.0, 2.0]])).tolist()
        [[[1.0, 2.0]], [[1.0, 2.0]], [[1.0, 2.0]]]
    """

    def __init__(self, steps: int = 16) -> None:
        super().__init__()
        self.steps = integer("steps", steps)

    def forward(self, x: Tensor) -> Tensor:
        """[B, *] → [T, B, *]."""
        check_tensor(self, "the input", x)
        return x.unsqueeze(0).expand(self.steps, *x.shape)

    def extra_repr(self) -> str:
        return f"steps={self.steps}"
