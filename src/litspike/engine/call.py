"""Runs a step over time: checks the inputs, and chooses the engine."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from litspike.engine import operator
from litspike.engine.events.spikes import plain
from litspike.engine.inputs import HALF, Inputs, Real
from litspike.engine.ir.nest import NUMBER
from litspike.engine.ir.numbers import trace_with_numbers
from litspike.engine.ir.surroundings import Surroundings, Untraceable
from litspike.engine.modes import ordinary
from litspike.engine.reference import Step, run_reference
from litspike.settings import UserError

Engine = Literal["auto", "reference", "fused"]

_log = logging.getLogger("litspike")


class _Compiled(NamedTuple):
    kernel: Any
    surroundings: Surroundings


_kernels: dict[Hashable, _Compiled | Untraceable] = {}
_logged: set[Hashable] = set()
"""Calls and reasons that were logged, and are tried again."""
_compiled: dict[Hashable, Any] = {}
"""One kernel for all declarations that differ in their numbers alone."""


def run(
    step: Step,
    key: Hashable,
    current: Tensor,
    states: Sequence[Tensor | float],
    constants: Sequence[Tensor | float],
    engine: Engine = "auto",
    name: str = "the neuron",
    steps: int | None = None,
) -> tuple[Tensor, Sequence[Tensor]]:
    """Run a step over time: ``(output, *states) ← step(input, *states, *constants)``, the constants as tensors.

    float64 stays float64; all else runs in float32. An input in half precision is read as it is, and the output has its
    dtype, unless autocast is on, whose layers cast what they are given: then it is float32. The states stay in float32,
    so that pieces of a sequence give what the whole gives.

    Args:
        step: one time step, elementwise and pure.
        key: what the step depends on beside its arguments; equal keys must mean equal steps. A graph that is compiled
            or exported holds the step as one operation if its key is its :class:`Rule`.
        current: input of every time step, [T, B, *] with T ≥ 1.
        states: each state before the first step: [B, *], or one number for all neurons.
        constants: what doesn't change over time: numbers, or tensors that broadcast against [B, *].
        engine: ``reference``, ``fused``, or ``auto`` for fused where that can be.
        name: what an error calls the neuron.
        steps: T, where ``current`` is [B, *] and the same at every step; its gradient is then summed as it arises.

    Returns:
        The outputs [T, B, *] and the states after the last step, each [B, *].

    Raises:
        UserError: if the input has no time step, no batch or is not real; if a state has another shape than [B, *], a
            constant doesn't broadcast to it, or either has another dtype or device than the input; if ``engine`` is
            ``fused`` and the step is not made of operations that a fused engine knows.

    Example:
        >>> import torch
        >>> from litspike.engine import run
        >>> def leaky(x, u, decay):
        ...     u = u * decay + x
        ...     return u, u
        >>> output, (u,) = run(leaky, "leaky", torch.ones(3, 1, 1), states=(0.0,), constants=(0.5,))
        >>> output.flatten().tolist()
        [1.0, 1.5, 1.75]
    """
    current = plain(current)
    if current.dtype in HALF:
        return _run_half(step, key, current, states, constants, engine, name, steps)
    inputs = Inputs.checked(name, current, states, constants, steps)
    if engine != "reference":
        results: Sequence[Tensor] | None
        if torch.compiler.is_compiling() and torch.onnx.is_in_onnx_export():
            results = None  # ONNX knows no operator of litspike's, but all that the reference is made of
        elif torch.compiler.is_compiling():
            results = operator.in_graph(key, inputs)
        else:
            results = _fused(step, key, inputs, engine, name)
        if results is not None:
            output, *lasts = results
            return output, lasts
    if steps is not None:
        current = current.expand(steps, *current.shape)
    tensors = [value if isinstance(value, Tensor) else current.new_full((), value) for value in inputs.values]
    begin = [state.expand(current.shape[1:]) for state in tensors[: len(states)]]
    return run_reference(step, current, begin, tensors[len(states) :], name)


def _run_half(
    step: Step,
    key: Hashable,
    current: Tensor,
    states: Sequence[Real],
    constants: Sequence[Real],
    engine: Engine,
    name: str,
    steps: int | None,
) -> tuple[Tensor, Sequence[Tensor]]:
    """:func:`run` of an input in half precision, by a kernel that reads it as it is or else in single precision."""
    dtype = torch.float32 if torch.is_autocast_enabled(current.device.type) else current.dtype
    if engine != "reference" and not torch.compiler.is_compiling():
        inputs = Inputs.checked(name, current, states, constants, steps)
        kernel = _chosen(step, key, inputs, name)
        if not isinstance(kernel, str) and kernel.stores(current.dtype):
            output, *after = kernel(current, inputs.values, steps, dtype)
            return output, after
    output, lasts = run(step, key, current.float(), states, constants, engine, name, steps)
    return output.to(dtype), lasts


def _fused(step: Step, key: Hashable, inputs: Inputs, engine: Engine, name: str) -> Sequence[Tensor] | None:
    """Output and last states, or None where no kernel can run the step and the reference may."""
    kernel = _chosen(step, key, inputs, name)
    if not isinstance(kernel, str):
        results: Sequence[Tensor] = kernel(inputs.current, inputs.values, inputs.steps)
        return results
    if engine == "fused":
        raise UserError(f"{name}: engine: 'fused' can't run {kernel}; use 'auto'")
    return None


def _chosen(step: Step, key: Hashable, inputs: Inputs, name: str) -> Any | str:
    """The kernel for a call, or what no kernel can run."""
    if not ordinary([inputs.current, *inputs.values]):
        return "under a transform, tracer or mode of torch"
    kernel = kernel_for(step, key, inputs, name, operator.KERNELS)
    return str(kernel) if isinstance(kernel, Untraceable) else kernel


def kernel_for(step: Step, key: Hashable, inputs: Inputs, name: str, types: Mapping[str, Any]) -> Any | Untraceable:
    """The kernel for a call; where there can't be one, the reason, which is logged once.

    A reason that lies in the step itself is remembered: what else went wrong may go right the next time.

    Args:
        step: as in :func:`run`, as are key and name.
        inputs: of the call.
        types: the class of kernels for each type of device.
    """
    current = inputs.current
    make = types.get(current.device.type)
    full = (make, key, inputs.dtype, inputs.leaves, current.device)
    made = _kernels.get(full)
    if isinstance(made, Untraceable):
        return made
    if made is not None and made.surroundings.same():
        return made.kernel
    try:
        if make is None:
            raise Untraceable(f"on {current.device}")
        with Surroundings(step) as surroundings:
            kernel = _made(make, step, inputs)
        _kernels[full] = _Compiled(kernel, surroundings)
        return kernel
    except ImportError as missing:
        reason = _kernels[full] = Untraceable(f"without {missing.name} ({missing})")
    except Untraceable as problem:
        reason = _kernels[full] = Untraceable(f"{getattr(step, '__qualname__', step)}: {problem}")
    except Exception as problem:
        reason = Untraceable(f"{getattr(step, '__qualname__', step)}: {type(problem).__name__}: {problem}")
        if (full, str(reason)) in _logged:
            return reason
        _logged.add((full, str(reason)))
    _log.warning("%s runs on the slow reference engine, as no fused engine can run %s", name, reason)
    return reason


def _made(make: Any, step: Step, inputs: Inputs) -> Any:
    program, numbers = trace_with_numbers(step, inputs.states, inputs.leaves, inputs.dtype)
    one = (make, program, (*inputs.leaves, *[NUMBER] * len(numbers)))
    if one not in _compiled:
        _compiled[one] = make(*one[1:])
    return _compiled[one].with_numbers(numbers)
