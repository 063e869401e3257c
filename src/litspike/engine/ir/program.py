"""A time step and its adjoint as a list of scalar operations."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch

from litspike.engine.ir.operations import Value


class Node(NamedTuple):
    """One value of a program: an operation on earlier values, ``leaf``, or ``literal`` with its number."""

    operation: str
    operands: tuple[Value, ...] = ()
    literal: str = ""  # as float.hex writes it, since 0 and −0 are equal as numbers and NaN is not


class Program(NamedTuple):
    """A time step and its adjoint as scalar operations, in an order of evaluation.

    The first nodes are the leaves: the input, the states, the constants, then the gradients of the output and of the
    new states. ``outputs`` are the output and the new states; ``gradients`` those of input, states and constants,
    None where not asked for. Programs compare and hash by value.
    """

    dtype: torch.dtype
    states: int
    constants: int
    nodes: tuple[Node, ...]
    outputs: tuple[Value, ...]
    gradients: tuple[Value | None, ...]

    def needed(self, results: Iterable[Value]) -> list[Value]:
        """The values that ``results`` depend on, themselves included, in an order of evaluation."""
        needed = set(results)
        for value in range(len(self.nodes) - 1, -1, -1):
            if value in needed:
                needed.update(self.nodes[value].operands)
        return sorted(needed)
