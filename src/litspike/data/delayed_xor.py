"""Delayed exclusive or: two cues that must be remembered, and a question about both."""

from __future__ import annotations

import torch
from torch import Tensor

from litspike.data.drawn import DrawnDataModule, population
from litspike.settings import SettingError, integer, number

CHANNELS = ("zero", "one", "go")


class DelayedXOR(DrawnDataModule):
    """Two binary cues a and b with a delay between them, then a go signal; the label is a XOR b.

    On the axis of time: nothing, cue a, a delay, cue b, a wait, go until the end. Cue b and go stand at the same step
    in all samples, cue a comes earlier where the delay is longer; the delay is uniform from ``min_delay`` to
    ``max_delay``. The four pairs of cues are equally frequent (within one sample), so that neither cue alone tells
    anything about the label.

    Batches: x float32 [B, T, 3 · units] of spikes 0 or 1, the populations ``zero``, ``one`` and ``go`` in this order,
    T = 2 · cue_steps + max_delay + wait + go_steps (50 by default); y 0 or 1 in float32 [B], for one logit.

    Args:
        cue_steps: length of a cue in time steps.
        min_delay: shortest delay between the cues in time steps.
        max_delay: longest delay between the cues in time steps.
        wait: steps between cue b and go.
        go_steps: length of the go signal in time steps.
        units: spiking units of each population.
        rate: probability that a unit spikes in one step while its signal is on, inside (0, 1]; at 1 the input has no
            noise.
        train_samples: number of training samples.
        val_samples: number of validation samples.
        test_samples: number of test samples.
        batch_size: samples in a training batch.
        eval_batch_size: samples in a batch of validation, test and prediction.
        seed: seed of the samples and of the order of the training batches, from 0 to 2³² − 1.

    Raises:
        SettingError: if a setting is outside its range.

    Source: D. Huh and T. J. Sejnowski 2018, "Gradient descent for spiking neural networks", NeurIPS: the
    delayed-memory XOR task, here with both cues in every sample.

    Example:
        >>> from litspike.data import DelayedXOR
        >>> data = DelayedXOR(train_samples=64, val_samples=8)
        >>> data.setup("fit")
        >>> x, y = next(iter(data.train_dataloader()))
        >>> x.shape, y.shape
        (torch.Size([64, 50, 15]), torch.Size([64]))
    """

    def __init__(
        self,
        cue_steps: int = 5,
        min_delay: int = 10,
        max_delay: int = 25,
        wait: int = 5,
        go_steps: int = 10,
        units: int = 5,
        rate: float = 0.5,
        train_samples: int = 4000,
        val_samples: int = 1000,
        test_samples: int = 1000,
        batch_size: int = 64,
        eval_batch_size: int = 1000,
        seed: int = 0,
    ) -> None:
        super().__init__(train_samples, val_samples, test_samples, batch_size, eval_batch_size, seed)
        self.cue_steps = integer("cue_steps", cue_steps)
        self.min_delay = integer("min_delay", min_delay, 0)
        self.max_delay = integer("max_delay", max_delay, 0)
        if max_delay < min_delay:
            raise SettingError("max_delay", max_delay, f"is less than min_delay {min_delay}")
        self.wait = integer("wait", wait, 0)
        self.go_steps = integer("go_steps", go_steps)
        self.units = integer("units", units)
        self.rate = number("rate", rate, "(0, 1]")

    def form(self, x: Tensor) -> Tensor:
        """Spikes as float32."""
        return x.float()

    def draw(self, samples: int, randomness: torch.Generator) -> tuple[Tensor, Tensor]:
        """Spikes [N, T, 3 · units] in uint8, and labels 0 or 1 [N]."""
        pair = torch.randperm(samples, generator=randomness) % 4
        cues = torch.stack([pair // 2, pair % 2], 1)
        delay = torch.randint(self.min_delay, self.max_delay + 1, (samples,), generator=randomness)
        start = self.cue_steps + self.max_delay
        starts = torch.stack([self.max_delay - delay, torch.full_like(delay, start)], 1)
        go = start + self.cue_steps + self.wait
        time = torch.arange(go + self.go_steps)
        shown = (time >= starts[..., None]) & (time < starts[..., None] + self.cue_steps)  # [N, cue, T]
        zero = (shown & (cues == 0)[..., None]).any(1)
        one = (shown & (cues == 1)[..., None]).any(1)
        signals = torch.stack([zero, one, (time >= go).expand(samples, -1)], 2)
        return population(signals, self.units, self.rate, randomness), cues[:, 0] ^ cues[:, 1]
