"""Networks without spikes that a task trains in place of a spiking one: the same data, batches, loss and optimizer."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from litspike.networks import ReLU, TimeDropout
from litspike.settings import number

__all__ = ["GRU", "LSTM", "ReLU"]


class GRU(nn.Module):
    r"""Gated recurrent units in the place of recurrent spiking neurons: GRU → … → Linear.

    It maps [T, B, inputs] to [T, B, outputs], and is called as ``output, state = network(input, state)``; the state
    has [1, B, N] for each layer.

    Args:
        sizes: width of the input, of each hidden layer and of the output, such as [8, 128, 10].
        dropout: probability with which a hidden unit is silenced for a whole sequence in training, on its way to the
            next layer.

    Source: Cho et al. 2014, "Learning phrase representations using RNN encoder–decoder for statistical machine
    translation".
    """

    cell: type[nn.Module] = nn.GRU

    def __init__(self, sizes: list[int], dropout: float = 0.0) -> None:
        super().__init__()
        self.layers = nn.ModuleList(self.cell(width, following) for width, following in pairwise(sizes[:-1]))
        self.dropout = TimeDropout(number("dropout", dropout, "[0, 1)"))
        self.last = nn.Linear(sizes[-2], sizes[-1])

    def forward(self, current: Tensor, state: tuple[Any, ...] | None = None) -> tuple[Tensor, tuple[Any, ...]]:
        """Run over a sequence [T, B, *], whose features are laid out in a row."""
        x = current.flatten(2)
        after = []
        for index, layer in enumerate(self.layers):
            x, last = layer(x, None if state is None else state[index])
            x = self.dropout(x)
            after.append(last)
        y: Tensor = self.last(x)
        return y, tuple(after)


class LSTM(GRU):
    """Long short-term memory in the place of recurrent spiking neurons: LSTM → … → Linear, as :class:`GRU` is.

    Source: Hochreiter and Schmidhuber 1997, "Long short-term memory"; the forget gate of Gers et al. 2000.
    """

    cell = nn.LSTM
