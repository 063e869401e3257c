"""The inputs of a step over time, checked once before any engine runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from litspike.engine.ir.nest import NUMBER, Kind, Leaf
from litspike.settings import UserError

HALF = (torch.bfloat16, torch.float16)

Real = Tensor | float
"""The values of a state or a constant: a tensor, or one number."""


class Inputs(NamedTuple):
    """The input of a step with its states and constants, after the check that they fit each other.

    Args:
        current: [T, B, *], or [B, *] if it is the same at every step.
        values: the states, then the constants: tensors in the dtype in which the step runs, or numbers.
        leaves: where the input and each of the values is found.
        states: number of states.
        steps: T where the input is [B, *], else None.
    """

    current: Tensor
    values: list[Real]
    leaves: tuple[Leaf, ...]
    states: int
    steps: int | None

    @property
    def dtype(self) -> torch.dtype:
        """In which the step runs."""
        return torch.float32 if self.current.dtype in HALF else self.current.dtype

    @classmethod
    def checked(
        cls, name: str, current: Tensor, states: Sequence[Real], constants: Sequence[Real], steps: int | None = None
    ) -> Inputs:
        """The inputs of :func:`litspike.engine.run`.

        Raises:
            UserError: as :func:`litspike.engine.run`.
        """
        shape = current.shape
        if steps is not None:
            if steps < 1 or not shape:
                raise UserError(f"{name} takes [B, *] for T ≥ 1 steps, not {list(shape)} for {steps}")
        elif len(shape) < 2 or shape[0] < 1:
            raise UserError(f"{name} takes [T, B, *] with T ≥ 1, not {list(shape)}")
        dtype = current.dtype
        if dtype is not torch.float32 and dtype is not torch.float64 and dtype not in HALF:
            raise UserError(f"{name} takes a real input, not {_short(dtype)} of shape {list(shape)}")
        batch = shape[1:] if steps is None else shape
        learning = torch.is_grad_enabled()
        leaves = [Leaf(Kind.PER_STEP if steps is None else Kind.PER_NEURON, learning and current.requires_grad)]
        values: list[Real] = []
        count = len(states)
        for index, value in enumerate((*states, *constants)):
            if isinstance(value, Tensor):
                value, kind = _placed(name, value, current, batch, index < count)
                leaves.append(Leaf(kind, learning and value.requires_grad))
            else:
                leaves.append(NUMBER)
            values.append(value)
        return cls(current, values, tuple(leaves), count, steps)


def _placed(name: str, value: Tensor, current: Tensor, batch: Sequence[int], state: bool) -> tuple[Tensor, Kind]:
    """A state or constant as the kernels read it, and where they find it."""
    single = current.dtype is torch.float32 or current.dtype in HALF
    if value.dtype is not (torch.float32 if single else current.dtype) or value.device != current.device:
        if value.device != current.device or not single or value.dtype not in HALF:
            raise UserError(
                f"{name}: a state or parameter is {_short(value.dtype)} on {value.device}, "
                f"the input {_short(current.dtype)} on {current.device}"
            )
        value = value.float()
    if state and value.shape != batch:
        raise UserError(f"{name}: the state is {list(value.shape)}, the input asks for {list(batch)}")
    if value.numel() == 1 and not state:
        return value.reshape(()), Kind.SHARED
    try:
        return value.expand(batch).contiguous(), Kind.PER_NEURON
    except RuntimeError:
        problem = f"a parameter is {list(value.shape)}, which doesn't broadcast to {list(batch)}"
        raise UserError(f"{name}: {problem}") from None


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


class Feedback(NamedTuple):
    """The feedback of a recurrent layer: ``weight · y[t − 1] + bias``.

    Args:
        first: the output before the first step, [B, *].
        weight: [N, N] for the N neurons of a sample.
        bias: [N]; None for 0.
    """

    first: Tensor
    weight: Tensor
    bias: Tensor | None
