"""Places of a sequence where a gradient is asked for, one bit each, and the product of a gradient that stops there."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from litspike.engine.cpu.memory import fresh
from litspike.engine.events.form import Form
from litspike.engine.events.kernels import run

_ROWS = 64
"""Rows of a unit at most: an integer has a bit for each."""
_CACHED = 1 << 18
"""Bytes of the gradient of a unit, so that they stay in the second-level cache."""
_SAMPLES = 16
"""Steps whose bits are counted to know how many are set."""


class Places(NamedTuple):
    """Some places of [T, M], for M numbers to a step.

    Args:
        bits: of each step, beginning with a byte, [T, stride]; an even number of bytes, what is behind the last bit
            of a step being 0. Behind the last step there are 8 bytes more.
        numbers: M.
    """

    bits: Tensor
    numbers: int

    @classmethod
    def room(cls, steps: int, numbers: int) -> Places:
        """Room for the bits of this many steps."""
        stride = -(-numbers // 16) * 2
        return cls(torch.zeros(steps * stride + 8, dtype=torch.uint8)[:-8].view(steps, stride), numbers)

    @property
    def density(self) -> float:
        """Share of places that are set, by some of the steps."""
        some = self.bits[:: max(len(self.bits) // _SAMPLES, 1)]
        return float(np.unpackbits(some.numpy()).sum()) / max(len(some) * self.numbers, 1)


def input_gradient_at(places: Places, grad: Tensor, weight: Tensor) -> Tensor:
    """grad · weightᵀ, [rows, inputs], at some places, and 0 elsewhere.

    Args:
        places: of rows · inputs numbers in all; a step holds whole rows.
        grad: contiguous, [rows, outputs].
        weight: contiguous and transposed, [inputs, outputs].
    """
    (rows, outputs), inputs = grad.shape, len(weight)
    dx = fresh(grad, rows, inputs)
    per_unit = min(max(_CACHED // max(outputs * grad.element_size(), 1), 16), _ROWS)
    units = -(-rows // per_unit)
    columns = torch.empty(units, inputs, dtype=torch.int64)
    run(
        "sampled", Form(grad.dtype), units, rows * inputs * outputs // 8, places.bits.data_ptr(),
        places.bits.shape[1], places.numbers // max(inputs, 1), rows, inputs, outputs, per_unit,
        columns.data_ptr(), weight.data_ptr(), grad.data_ptr(), dx.data_ptr(),
    )  # fmt: skip
    return dx
