"""Traces a step: a list of scalar operations for one time step and its adjoint."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import set_detect_anomaly
from torch.autograd.graph import _engine_run_backward, saved_tensors_hooks

from litspike.engine.ir.nest import Kind, Leaf
from litspike.engine.ir.operations import Value
from litspike.engine.ir.program import Program
from litspike.engine.ir.recorder import Queries, Recorder
from litspike.engine.ir.surroundings import Untraceable

_SHAPES = ((2, 5, 3), (3, 7))  # of [B, *]; a step that knows its shape can't fit both


def trace(step: Callable[..., Any], states: int, leaves: Sequence[Leaf], dtype: torch.dtype) -> Program:
    """What a step and its gradient do with one element, by running it on small tensors of two shapes.

    Args:
        step: ``step(input, *states, *constants) → (output, *states)``.
        states: number of states.
        leaves: the input, the states and the constants.
        dtype: float32 or float64.

    Raises:
        Untraceable: if the step does anything else than known operations on its arguments, element by element.
    """
    program, other = (record(step, states, leaves, dtype, shape=shape)[0] for shape in _SHAPES)
    single, _ = record(step, states, [Leaf(leaf.kind) for leaf in leaves], dtype)
    if program != other or (single.outputs, single.nodes) != (program.outputs, program.nodes[: len(single.nodes)]):
        raise Untraceable("it does something else each time, or with each shape of its input")
    return program


def record(
    step: Callable[..., Any],
    states: int,
    leaves: Sequence[Leaf],
    dtype: torch.dtype,
    places: Sequence[int | None] = (),
    shape: tuple[int, ...] = _SHAPES[0],
) -> tuple[Program, list[float]]:
    """The program of :func:`trace`, and all numbers that it was made with, in the order in which they came up.

    Where no gradient is asked for, what is one value for all neurons is a tensor of no dimension, as in the reference.

    Args:
        places: for each of these numbers, which further constant of the program stands for it, or None where it is
            a literal; empty where all are.
        shape: of the input at one step, [B, *].
    """
    learns = any(leaf.wants_gradient for leaf in leaves)
    arguments = []
    for index, leaf in enumerate(leaves):
        single = index > states and leaf.kind in (Kind.NUMBER, Kind.SHARED)
        # States depend on all earlier steps, so their gradients are carried through time whenever any is wanted.
        carried = leaf.wants_gradient or (learns and 1 <= index <= states)
        size = () if single and not learns else shape
        arguments.append(torch.ones(size, dtype=dtype, device="cpu", requires_grad=carried))
    cotangents = [torch.ones(shape, dtype=dtype, device="cpu") for _ in range(1 + states)]
    recorder = Recorder(dtype, shape, arguments, cotangents, places)
    plain = saved_tensors_hooks(_itself, _itself)  # in place of those that a user has set, as for checkpointing
    with torch.inference_mode(False), torch.enable_grad(), plain, recorder:
        with Queries(recorder):
            results = step(*arguments)
        if not isinstance(results, tuple) or [type(r) for r in results] != [Tensor] * (1 + states):
            raise Untraceable(f"it returns no tuple of its output and {states} states")
        outputs = [recorder.result(result) for result in results]
        gradients = _gradients(recorder, results, arguments, cotangents)
    gradients += [None] * recorder.further
    constants = len(leaves) - 1 - states + recorder.further
    program = Program(dtype, states, constants, tuple(recorder.nodes), tuple(outputs), tuple(gradients))
    return program, recorder.numbers


def _gradients(
    recorder: Recorder, results: Sequence[Tensor], leaves: Sequence[Tensor], cotangents: Sequence[Tensor]
) -> list[Value | None]:
    asked = [leaf for leaf in leaves if leaf.requires_grad]
    reached = [(result, g) for result, g in zip(results, cotangents, strict=True) if result.requires_grad]
    found: Sequence[Tensor | None] = [None] * len(asked)
    if reached and asked:
        outputs, upstream = zip(*reached, strict=True)
        # torch.autograd.grad itself would hide from the modes what it calls, and import all of sympy.
        with Queries(recorder), set_detect_anomaly(False):  # which checks what is being traced for NaN
            found = _engine_run_backward(outputs, upstream, False, False, tuple(asked), True, accumulate_grad=False)
    each = iter(found)
    gradients: list[Value | None] = []
    for leaf in leaves:
        gradient = next(each) if leaf.requires_grad else None
        zero = recorder.literal(0.0) if leaf.requires_grad else None
        gradients.append(zero if gradient is None else recorder.real(gradient))
    return gradients


def _itself(tensor: Tensor) -> Tensor:
    return tensor
