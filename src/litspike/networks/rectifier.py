"""A rectifier in the place of a layer of neurons."""

from __future__ import annotations

from typing import Self

from torch import Tensor

from litspike.neurons import NeuronLayer


class ReLU(NeuronLayer):
    r"""A rectifier in the place of a layer of neurons, without state.

    Equation: ``y = max(0, x)`` at each step.

    It makes an ordinary perceptron of a ``Perceptron`` and an ordinary convolutional network of a ``ConvNet``; on an
    input that stays the same over time, one step is enough. ``convert`` makes a spiking network of it. It maps
    [T, B, \*] to [T, B, \*].

    Example:
        >>> import torch
        >>> from litspike.networks import ReLU
        >>> ReLU()(torch.tensor([[[-1.0, 2.0]]]))[0].tolist()
        [[[0.0, 2.0]]]
    """

    def shaped(self, *shape: int) -> Self:
        """A layer of its own; it needs no sizes."""
        return type(self)()

    def forward(
        self, current: Tensor, state: tuple[()] | None = None, steps: int | None = None
    ) -> tuple[Tensor, tuple[()]]:
        """See :class:`~litspike.neurons.NeuronLayer`."""
        output = current.relu()
        return (output if steps is None else output.expand(steps, *output.shape)), ()
