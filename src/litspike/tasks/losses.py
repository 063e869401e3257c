"""Losses: what a task makes as small as it can.

A task calls ``loss(value, outputs, target)``: the readout's value [B, *], the network's outputs over time [T, B, *]
for a loss over every step, and the targets. Before the first batch of an epoch, or before each, it calls
``loss.check(value.shape, target)``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Size, Tensor
from torch.nn import functional

from litspike.arguments import check_tensor, typed
from litspike.coding.valid import mean_over_steps
from litspike.settings import UserError, number


class Loss(ABC):
    """A mean loss over the samples of a batch."""

    @abstractmethod
    def __call__(self, value: Tensor, outputs: Tensor, target: Tensor, lengths: Tensor | None = None) -> Tensor:
        r"""The loss, a tensor of no dimension.

        Args:
            value: what the readout made of the outputs, [B, \*].
            outputs: the network's output at every step, [T, B, \*].
            target: [B] or [B, \*].
            lengths: number of steps of each sequence, [B], where they differ: no later step counts.
        """

    @abstractmethod
    def check(self, shape: Size, target: Tensor) -> None:
        """Check that the readout's value and the targets fit each other and the loss; reads the targets.

        Args:
            shape: shape of the readout's value, with the batch first.
            target: as the loss takes it.

        Raises:
            UserError: if they don't.
        """


class MeanSquaredError(Loss):
    r"""Mean squared error: ``L = w · mean (value − target)²``, over all values of all samples, in their unit squared.
    Of sequences of different lengths it is the mean over the samples of each one's own mean.

    The targets have the shape of the readout's value, [B, D], or [B, T, D] for targets at every step; for one value a
    sample, [B, 1], they may be [B].

    Args:
        weight: w. ``torch.optim.LBFGS`` leaves its estimate of the curvature as it is where a step changes it by less
            than 1e-10 in the loss's unit: where the error becomes so small, 1e6 lets it go on.

    Raises:
        SettingError: if the weight is not positive.

    Example:
        >>> import torch
        >>> from litspike.tasks import MeanSquaredError
        >>> outputs = torch.zeros(5, 2, 1)  # [T, B, 1], which this loss doesn't need
        >>> MeanSquaredError()(torch.tensor([[1.0], [2.0]]), outputs, torch.tensor([0.0, 2.0]))
        tensor(0.5000)
    """

    @typed
    def __init__(self, weight: float = 1.0) -> None:
        self.weight = number("weight", weight, "(0, inf)")

    def __call__(self, value: Tensor, outputs: Tensor, target: Tensor, lengths: Tensor | None = None) -> Tensor:
        """The loss of values [B, *]."""
        check_tensors(self, value, outputs, target)
        target = target.to(value.dtype).reshape(value.shape)
        if lengths is None or value.shape[:2] != outputs.shape[1::-1]:
            return self.weight * functional.mse_loss(value, target)
        return self.weight * mean_over_steps((value - target).square().transpose(0, 1), lengths).mean()

    def check(self, shape: Size, target: Tensor) -> None:
        """Raise :class:`UserError` unless there is a target for each value."""
        check_samples(shape, target)
        expected = list(target.shape[1:]) or [1]
        given = list(shape[1:])
        if given != expected:
            raise UserError(
                f"the network gives {given} values a sample; the targets are {expected}{_remedy(given, expected)}"
            )


def in_single(values: Tensor) -> Tensor:
    """Values of 16 bits in float32: a loss or a probability of them in 16 bits has two or three digits."""
    return values.float() if values.dtype in (torch.bfloat16, torch.float16) else values


def check_tensors(loss: Loss, value: Any, outputs: Any, target: Any) -> None:
    """Refuse a call of a loss with anything but tensors; raises :class:`~litspike.arguments.InputError`."""
    for name, given in (("the value", value), ("the outputs", outputs), ("the target", target)):
        check_tensor(loss, name, given)


def checked(setting: str, part: object, result: Any, of: Tensor) -> Tensor:
    """What a loss or a regulariser gave of a tensor.

    Raises:
        UserError: unless it is one number, with a gradient where the tensor has one.
    """
    name = f"model.{setting}: {type(part).__name__}"
    if not isinstance(result, Tensor) or result.numel() != 1:
        shown = f"a tensor {list(result.shape)}" if isinstance(result, Tensor) else repr(result)[:100]
        raise UserError(f"{name} gives {shown} for a batch; it must give a tensor of one number, as a mean is")
    if of.requires_grad and not result.requires_grad:
        raise UserError(f"{name} gives a number without a gradient: compute it by torch, without detach() and item()")
    return result


def _remedy(given: list[int], expected: list[int]) -> str:
    """What to change where one of values and targets, whose shapes these are, is of every step and the other not."""
    if len(expected) == 2 and len(given) == 1:
        return ", those of every step: the readout litspike.coding.EveryStep gives a value for each"
    if len(given) == 2 and len(expected) == 1:
        return ", one set a sample: take a readout that gives one, such as litspike.coding.LeakyIntegratorReadout"
    return ""


def check_samples(shape: Size, target: Tensor) -> None:
    """Raise :class:`UserError` unless there is a target for each of the samples, and a sample at least."""
    if target.dim() == 0 or len(target) != shape[0]:
        raise UserError(f"the targets are {list(target.shape)}; {shape[0]} samples need one each")
    if shape[0] == 0:
        raise UserError("a batch without samples has no loss")
