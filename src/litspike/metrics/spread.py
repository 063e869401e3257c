"""How far the outputs of a network are apart."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torchmetrics import Metric


class Spread(Metric):
    r"""How much the outputs differ between samples: 0 where the output is independent of the input.

    Equation, for the value y of output c and sample b::

        max_c (max_b y − min_b y) / max_cb |y|

    Update: ``spread.update(values)`` with a batch's values, [B, \*]. Compute: a float32 scalar without unit, between 0
    and 2; 0 where every value is 0, NaN where one is NaN or infinite, and of fewer than two samples.

    Example:
        >>> import torch
        >>> from litspike.metrics import Spread
        >>> spread = Spread()
        >>> spread.update(torch.tensor([[0.0, 1.0], [2.0, 1.0]]))
        >>> spread.compute()
        tensor(1.)
    """

    full_state_update = False
    low: Tensor
    """Smallest value of each output, [*]."""
    high: Tensor
    """Largest value of each output, [*]."""
    samples: Tensor
    """Number of samples."""

    def __init__(self) -> None:
        super().__init__()
        self.add_state("low", torch.tensor(math.inf), dist_reduce_fx="min")
        self.add_state("high", torch.tensor(-math.inf), dist_reduce_fx="max")
        self.add_state("samples", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, values: Tensor) -> None:
        """Take in the values of a batch, [B, *]."""
        values = values.detach().float()
        self.low = torch.minimum(self.low, values.amin(0))
        self.high = torch.maximum(self.high, values.amax(0))
        self.samples += len(values)

    def compute(self) -> Tensor:
        """The spread of all that was taken in."""
        apart = (self.high - self.low).max()
        spread = apart / torch.maximum(self.high.abs().max(), self.low.abs().max()).clamp(min=1e-30)
        return torch.where(self.samples > 1, spread, math.nan)
