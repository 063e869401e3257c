"""How much each neuron of a layer fires."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric

from litspike.arguments import check_tensor
from litspike.metrics.exact import exact
from litspike.settings import UserError, integer


class Firing(Metric):
    r"""Firing rate of a layer, and the shares of its neurons that never fire and that fire at every step.

    Update: ``firing.update(spikes)`` with spikes, 0 or 1, [T, B, \*]. Compute: float32 scalars ``rate``, spikes per
    neuron and step, ``silent``, the share of neurons without a spike, and ``saturated``, the share with one at every
    step.
    Counts are exact up to 2⁶³, and are added up over processes.

    Args:
        neurons: number of neurons of the layer, the product of a sample's sizes.

    Raises:
        SettingError: if neurons is below 1.
        UserError: at an update, if the spikes are of another number of neurons.

    Example:
        >>> import torch
        >>> from litspike.metrics import Firing
        >>> firing = Firing(3)
        >>> firing.update(torch.tensor([[[1.0, 0.0, 0.0]], [[1.0, 1.0, 0.0]]]))  # [T, B, N]
        >>> firing.compute()
        {'rate': tensor(0.5000), 'silent': tensor(0.3333), 'saturated': tensor(0.3333)}
    """

    full_state_update = False
    counts: Tensor
    """Spikes of each neuron, int64 [neurons]."""
    steps: Tensor
    """Steps that each neuron was seen for."""

    def __init__(self, neurons: int) -> None:
        super().__init__()
        self.neurons = integer("neurons", neurons)
        self.add_state("counts", torch.zeros(neurons, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("steps", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, spikes: Tensor, valid: Tensor | None = None) -> None:
        """Take in the spikes of a batch, [T, B, *]; of sequences that end earlier the valid steps alone, [T, B]."""
        check_tensor(self, "the spikes", spikes)
        shape = list(spikes.shape)
        if spikes.dim() < 2 or spikes.shape[2:].numel() != self.neurons:
            raise UserError(f"Firing takes spikes [T, B, *] of {self.neurons} neurons, not {shape}")
        if valid is not None:
            spikes = spikes.flatten(2) * valid[..., None]
        self.counts += spikes.detach().sum((0, 1), dtype=torch.float32).flatten().long()
        self.steps += spikes.shape[0] * spikes.shape[1] if valid is None else valid.sum()

    def compute(self) -> dict[str, Tensor]:
        """Rate and shares of all that was taken in; NaN where that is nothing."""
        seen = (self.steps > 0).float() / (self.steps > 0)  # 1, or NaN
        return {
            "rate": (exact(self.counts).mean().to(self.steps.device, torch.float32) / self.steps),
            "silent": (self.counts == 0).float().mean() * seen,
            "saturated": (self.counts == self.steps).float().mean() * seen,
        }
