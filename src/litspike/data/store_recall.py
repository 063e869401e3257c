"""Store and recall: keep the value that a stream had at the store command until it is asked for."""

from __future__ import annotations

import torch
from torch import Tensor

from litspike.data.drawn import DrawnDataModule, population
from litspike.settings import SettingError, integer, number

CHANNELS = ("zero", "one", "store", "recall")


class StoreRecall(DrawnDataModule):
    """A stream of binary values, a store command beside some of them, and a recall at the end.

    A sample has ``symbols`` symbols of ``symbol_steps`` steps each, each with a value 0 or 1, and after them a symbol
    in which the recall command stands alone. ``stores`` of the symbols, drawn among those that end at least
    ``min_delay`` symbols before the recall, carry the store command. The label is the value beside the last store
    command: a later one overwrites what an earlier one kept, and the values after it must leave it alone.

    Batches: x float32 [B, T, 4 · units] of spikes 0 or 1, the populations ``zero``, ``one``, ``store`` and ``recall``
    in this order, T = (symbols + 1) · symbol_steps (110 by default); y 0 or 1 in float32 [B], for one logit.

    Args:
        symbols: number of values before the recall.
        symbol_steps: length of a symbol in time steps.
        stores: number of store commands.
        min_delay: least number of symbols between the last store command and the recall.
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
        SettingError: if a setting is outside its range, or there are fewer symbols than ``stores`` and
            ``min_delay`` need.

    Source: G. Bellec et al. 2018, "Long short-term memory and learning-to-learn in networks of spiking neurons",
    NeurIPS: the store–recall task, here with one recall a sample.

    Example:
        >>> from litspike.data import StoreRecall
        >>> data = StoreRecall(train_samples=64, val_samples=8)
        >>> data.setup("fit")
        >>> x, y = next(iter(data.train_dataloader()))
        >>> x.shape, y.shape
        (torch.Size([64, 110, 20]), torch.Size([64]))
    """

    def __init__(
        self,
        symbols: int = 10,
        symbol_steps: int = 10,
        stores: int = 1,
        min_delay: int = 2,
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
        self.symbol_steps = integer("symbol_steps", symbol_steps)
        self.stores = integer("stores", stores)
        self.min_delay = integer("min_delay", min_delay, 0)
        self.symbols = integer("symbols", symbols)
        if symbols < stores + min_delay:
            raise SettingError("symbols", symbols, f"is less than stores + min_delay = {stores + min_delay}")
        self.units = integer("units", units)
        self.rate = number("rate", rate, "(0, 1]")

    def form(self, x: Tensor) -> Tensor:
        """Spikes as float32."""
        return x.float()

    def draw(self, samples: int, randomness: torch.Generator) -> tuple[Tensor, Tensor]:
        """Spikes [N, T, 4 · units] in uint8, and labels 0 or 1 [N]."""
        values = torch.randint(2, (samples, self.symbols), generator=randomness)
        places = torch.rand(samples, self.symbols - self.min_delay, generator=randomness).topk(self.stores).indices
        signals = torch.zeros(samples, self.symbols + 1, len(CHANNELS), dtype=torch.bool)
        signals[:, :-1].scatter_(2, values[..., None], True)
        signals[..., CHANNELS.index("store")].scatter_(1, places, True)
        signals[:, -1, CHANNELS.index("recall")] = True
        label = values.gather(1, places.max(1, keepdim=True).values).squeeze(1)
        steps = signals.repeat_interleave(self.symbol_steps, dim=1)
        return population(steps, self.units, self.rate, randomness), label
