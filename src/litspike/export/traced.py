"""Layers of neurons as every format gets them: the operations of their step, as the engines trace them."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from litspike.engine import Untraceable
from litspike.engine.ir.nest import Kind, Leaf
from litspike.engine.ir.program import Program
from litspike.engine.ir.surroundings import Surroundings
from litspike.engine.ir.trace import trace
from litspike.export.artefact import Refused, forward_of
from litspike.neurons import Neuron, NeuronLayer, Recurrent


class Traced(NamedTuple):
    """A layer of neurons."""

    program: Program
    states: tuple[str, ...]
    rest: tuple[float | Tensor, ...]
    """Of each state: one number, or one for each neuron, [*]."""
    constants: tuple[float | Tensor, ...]
    layer: Neuron
    connections: nn.Linear | None
    """Of a recurrent layer to itself."""


def traced_layer(format: str, layer: nn.Module, shape: Sequence[int], place: str) -> Traced:
    """A layer of neurons for samples of a shape.

    Args:
        format: the format's name, for the error.
        layer: the layer.
        shape: of what it puts out for one sample at one step.
        place: its name in messages.

    Raises:
        Refused: if it isn't a declared model, or its step isn't made of operations that a fused engine knows.
    """
    connections = None
    if isinstance(layer, Recurrent):
        connections = layer.connections
        known = forward_of(layer) is Recurrent.forward
        if connections is None or not known or forward_of(connections) is not nn.Linear.forward:
            raise Refused(format, place, "it has a forward of its own")
        layer = layer.neuron
    if not isinstance(layer, Neuron) or forward_of(layer) is not Neuron.forward:
        what = "a forward of its own" if isinstance(layer, NeuronLayer) else "no step"
        raise Refused(format, place, f"it has {what}, and is no declared model of a neuron")
    rest, constants = (
        tuple(_placed(value, shape) for value in layer.values(name)) for name in ("at_rest", "constants")
    )
    kinds = [Kind.PER_NEURON if isinstance(value, Tensor) else Kind.NUMBER for value in (*rest, *constants)]
    step: Any = layer.key().step  # type: ignore[attr-defined]  # the key is its rule
    return Traced(traced(format, place, step, len(rest), kinds), tuple(layer.rest), rest, constants, layer, connections)


def traced(format: str, place: str, step: Callable[..., Any], states: int, kinds: Sequence[Kind]) -> Program:
    """The operations of a step; raises :class:`Refused` where they are none that a fused engine knows."""
    try:
        with Surroundings(step):
            return trace(step, states, [Leaf(Kind.PER_STEP), *map(Leaf, kinds)], torch.float32)
    except Untraceable as problem:
        raise Refused(format, place, f"its step can't be traced: {problem}") from problem


def _placed(value: Tensor | float, shape: Sequence[int]) -> Tensor | float:
    """A constant in single precision: one number, or one for each neuron."""
    if isinstance(value, Tensor) and value.numel() > 1:
        return value.detach().float().expand(tuple(shape)).clone()
    return ctypes.c_float(float(value)).value
