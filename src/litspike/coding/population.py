"""Population coding: each value as the responses of overlapping receptive fields."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from litspike.arguments import typed
from litspike.coding.ranges import check_range
from litspike.settings import SettingError, integer, number


class Population(nn.Module):
    r"""Each value as the responses of a row of Gaussian receptive fields, which another encoder turns into spikes.

    Equation, for field i = 1 … m::

        a_i = exp(−(x − μ_i)² / (2σ²))
        μ_i = low + (2i − 3)/2 · (high − low)/(m − 2)
        σ   = 1/γ · (high − low)/(m − 2)

    It maps samples [B, \*, F] to spikes or currents [T, B, \*, F·m], the m fields of a feature side by side; samples
    of single numbers [B] become [T, B, m]. x, low, high, μ and σ share one unit, and x lies in [low, high]; the
    responses a lie in [0, 1] and have none. The first and last field have their centre outside [low, high].

    Args:
        encoder: what turns the responses [B, \*, F·m] into [T, B, \*, F·m], such as :class:`~litspike.coding.Latency`
            with a threshold of 0.1, much as the source has it.
        fields: number m of receptive fields of a feature, 3 or more.
        low: the least value.
        high: the largest value.
        gamma: how narrow the fields are; the source has 1 to 2.

    Raises:
        SettingError: if a setting is out of range, or low is not below high.
        UserError: if an input is outside [low, high], or not floating-point.

    Source: Bohte, Kok and La Poutré 2002, "Error-backpropagation in temporally encoded networks of spiking neurons".

    Example:
        >>> import torch
        >>> from litspike import Latency, Population
        >>> Population(Latency(steps=4), fields=8)(torch.rand(2, 3)).shape
        torch.Size([4, 2, 24])
    """

    @typed
    def __init__(
        self, encoder: nn.Module, fields: int = 8, low: float = 0.0, high: float = 1.0, gamma: float = 1.5
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.fields = integer("fields", fields, 3)
        self.low, self.high = number("low", low, "(-inf, inf)"), number("high", high, "(-inf, inf)")
        if self.low >= self.high:
            raise SettingError("low", low, f"is not below high, {high}")
        self.gamma = number("gamma", gamma, "(0, inf)")

    def forward(self, x: Tensor) -> Tensor:
        """[B, *, F] → [T, B, *, F·m], [B] → [T, B, m]."""
        check_range("Population", x, f"[{self.low:g}, {self.high:g}]")
        spikes: Tensor = self.encoder(self.responses(x))
        return spikes

    def responses(self, x: Tensor) -> Tensor:
        """The fields' responses to samples [B, *, F], in [0, 1]: [B, *, F·m]."""
        spacing = (self.high - self.low) / (self.fields - 2)
        places = torch.arange(self.fields, device=x.device, dtype=x.dtype)
        centres = self.low + (places - 0.5) * spacing
        response = ((x.unsqueeze(-1) - centres) * (self.gamma / spacing)).square().mul(-0.5).exp()
        return response if x.dim() == 1 else response.flatten(-2)

    def extra_repr(self) -> str:
        return f"fields={self.fields}, low={self.low}, high={self.high}, gamma={self.gamma}"
