"""Rate coding: values as the rate of random spikes."""

from __future__ import annotations

import torch
from torch import Tensor, distributed, nn

from litspike.coding.ranges import SCALED, check_range
from litspike.seeding import generator, seed_in_range
from litspike.settings import integer, number

_TAG = 0x706F6973
"""Sets these draws apart from all others of the same seed."""
_TRAINING, _EVALUATION = 1, 2


class PoissonRate(nn.Module):
    r"""Each value as the rate of random spikes, drawn afresh at every step.

    Equation::

        s_t ~ Bernoulli(rate · x)        independently at every step

    It maps samples [B, \*] to spikes [T, B, \*], 0 or 1 in the dtype of the samples. x has no unit and lies in
    [0, 1]; rate · x is the firing rate in spikes per step. No gradient reaches x.

    In training, draw k is made from a generator seeded with the seed, the process's rank and k. The module's state
    keeps k, so that a resumed run draws what an uninterrupted one would have, and the state has one shape on every
    device. In evaluation the draw depends on the seed alone: each batch gets the same one, which makes metrics of
    different epochs comparable, and no evaluation changes what training draws. A sample's spikes depend on its place in
    the batch, so that metrics change a little with the size of a batch. CPU and GPU draw different numbers from one
    seed.

    Args:
        steps: number of time steps T.
        rate: firing rate of the value 1, in spikes per step.
        seed: seed of the spikes, from 0 to 2³² − 1.

    Raises:
        SettingError: if a setting is out of range.
        UserError: if an input is outside [0, 1], or not floating-point.

    Source: Heeger 2000, "Poisson model of spike generation": at most one spike in a step, as in any step that is
    short beside 1/rate.

    Example:
        >>> import torch
        >>> from litspike import PoissonRate
        >>> spikes = PoissonRate(steps=1000)(torch.tensor([[0.0, 0.2, 1.0]]))
        >>> [f"{rate:.1f}" for rate in spikes.mean((0, 1)).tolist()]
        ['0.0', '0.2', '1.0']
    """

    def __init__(self, steps: int = 16, rate: float = 1.0, seed: int = 0) -> None:
        super().__init__()
        self.steps = integer("steps", steps)
        self.rate = number("rate", rate, "(0, 1]")
        self.seed = seed_in_range("seed", seed)
        self.draws = 0
        """Number of draws made in training."""

    def forward(self, x: Tensor) -> Tensor:
        """[B, *] → [T, B, *]."""
        check_range("PoissonRate", x, "[0, 1]", SCALED)
        uniform = torch.rand((self.steps, *x.shape), generator=self._generator(x.device), device=x.device)
        return uniform.lt_(self.rate * x.detach()).to(x.dtype)

    def get_extra_state(self) -> Tensor:
        return torch.tensor(self.draws)

    def set_extra_state(self, state: Tensor) -> None:
        self.draws = int(state)

    def extra_repr(self) -> str:
        return f"steps={self.steps}, rate={self.rate}, seed={self.seed}"

    def _generator(self, device: torch.device) -> torch.Generator:
        if not self.training:
            return generator(self.seed, _TAG, _EVALUATION, device=device)
        draw, self.draws = self.draws, self.draws + 1
        rank = distributed.get_rank() if distributed.is_available() and distributed.is_initialized() else 0
        return generator(self.seed, _TAG, _TRAINING, rank, draw, device=device)
