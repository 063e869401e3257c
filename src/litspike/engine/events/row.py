"""The product of one row of spikes with a matrix."""

from __future__ import annotations

import torch
from torch import Tensor

from litspike.engine.cpu.openmp import Function
from litspike.engine.events.choice import is_finite
from litspike.engine.events.form import Form
from litspike.engine.events.kernels import available, prepared, run


class RowProduct:
    """``start + weight · x`` for one row x: the start plus the columns of the events in the order of their index.

    Args:
        weight: [outputs, inputs]; a copy is held.
    """

    def __init__(self, weight: Tensor) -> None:
        self.outputs, self.inputs = weight.shape
        self._weight = weight.detach().t().contiguous()
        self._indices = torch.empty(self.inputs, dtype=torch.int32)
        self._form = Form(weight.dtype, bits=32)

    @staticmethod
    def takes(weight: Tensor) -> bool:
        """Whether there can be one for a weight."""
        kernel = weight.device.type == "cpu" and weight.dtype in (torch.float32, torch.float64) and available()
        return kernel and is_finite(weight)

    def __call__(self, x: Tensor, start: Tensor) -> Tensor:
        """The product as a new tensor; row and start are contiguous, of the weight's dtype."""
        y = torch.empty_like(start)
        run("row", self._form, 1, 0, *self._arguments(x, start, y))
        return y

    def prepared(self, x: Tensor, start: Tensor, y: Tensor) -> tuple[Function, bytes]:
        """What writes the product to ``y``, to be called later."""
        return prepared("row", self._form, *self._arguments(x, start, y))

    def _arguments(self, x: Tensor, start: Tensor, y: Tensor) -> tuple[int, ...]:
        return (
            *(x.data_ptr(), self.inputs, self.outputs, self._weight.data_ptr()),
            *(start.data_ptr(), self._indices.data_ptr(), y.data_ptr()),
        )
