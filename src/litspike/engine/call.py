"""The one call to all engines: checks what it is given, and picks the engine."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from litspike.engine import operator
from litspike.engine.autograd import Kernel
from litspike.engine.cpu.kernel import CpuKernel
from litspike.engine.events.spikes import plain
from litspike.engine.gpu.kernel import GpuKernel
from litspike.engine.ir.numbers import trace_with_numbers
from litspike.engine.ir.surroundings import Surroundings, Untraceable
from litspike.engine.modes import ordinary
from litspike.engine.reference import Step, run_reference
from litspike.settings import UserError

Engine = Literal["auto", "reference", "fused"]

HALF = (torch.bfloat16, torch.float16)

_log = logging.getLogger("litspike")
_KERNELS: dict[str, type[Kernel]] = {"cpu": CpuKernel, "cuda": GpuKernel}


class _Made(NamedTuple):
    kernel: Any
    surroundings: Surroundings


_kernels: dict[Hashable, _Made | Untraceable] = {}
_logged: set[Hashable] = set()
"""Calls and reasons that are not kept, and that a line was written for."""
_compiled: dict[Hashable, Any] = {}
"""One for all declarations that differ in their numbers alone."""


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

    float64 stays float64; all else runs in float32. Of a half-precision input the output has the input's dtype, unless
    autocast is on, whose layers cast what they are given; the states stay in float32, so that a sequence may be cut.

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
    """
    current = plain(current)
    if current.dtype in HALF:
        output, lasts = run(step, key, current.float(), states, constants, engine, name, steps)
        return output if _autocast(current) else output.to(current.dtype), lasts
    leaves, letters = checked(name, current, states, constants, steps)
    if engine != "reference":
        many = current.shape[0] if steps is None else steps
        results: Sequence[Tensor] | None
        if torch.compiler.is_compiling() and torch.onnx.is_in_onnx_export():
            results = None  # ONNX knows no operator of litspike's, but all that the reference is made of
        elif torch.compiler.is_compiling():
            results = operator.in_graph(key, current, leaves, letters, len(states), many)
        else:
            results = _fused(step, key, current, leaves, letters, len(states), engine, name, steps)
        if results is not None:
            output, *lasts = results
            return output, lasts
    if steps is not None:
        current = current.expand(steps, *current.shape)
    tensors = [leaf if isinstance(leaf, Tensor) else current.new_full((), leaf) for leaf in leaves]
    begin = [state.expand(current.shape[1:]) for state in tensors[: len(states)]]
    return run_reference(step, current, begin, tensors[len(states) :], name)


def _fused(
    step: Step,
    key: Hashable,
    current: Tensor,
    leaves: Sequence[Tensor | float],
    letters: str,
    states: int,
    engine: Engine,
    name: str,
    steps: int | None,
) -> Sequence[Tensor] | None:
    """Output and last states, or None where no kernel can run the step and the reference may."""
    if ordinary([current, *leaves]):
        kernel = kernel_for(step, key, current, letters, states, name, _KERNELS)
        if not isinstance(kernel, Untraceable):
            results: Sequence[Tensor] = kernel(current, leaves, steps)
            return results
        problem = f"can't run {kernel}"
    else:
        problem = "can't run under a transform, tracer or mode of torch"
    if engine == "fused":
        raise UserError(f"{name}: engine: 'fused' {problem}; use 'auto'")
    return None


def kernel_for(
    step: Step,
    key: Hashable,
    current: Tensor,
    letters: str,
    states: int,
    name: str,
    kinds: Mapping[str, Any] = _KERNELS,
) -> Any | Untraceable:
    """The kernel for a call; where there can't be one, the reason, which is logged once.

    Only a reason that lies in the step itself is kept: what else went wrong may go right the next time.

    Args:
        step: as in :func:`run`, as are key, current and name.
        letters: where each leaf is found, a capital where its gradient is wanted.
        states: number of states.
        kinds: the class of kernels for each type of device.
    """
    make = kinds.get(current.device.type)
    full = (make, key, current.dtype, letters, current.device)
    made = _kernels.get(full)
    if isinstance(made, Untraceable):
        return made
    if made is not None and made.surroundings.same():
        return made.kernel
    try:
        if make is None:
            raise Untraceable(f"on {current.device}")
        with Surroundings(step) as surroundings:
            kernel = _made(make, step, current, letters, states)
        _kernels[full] = _Made(kernel, surroundings)
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


def _made(make: Any, step: Step, current: Tensor, letters: str, states: int) -> Any:
    wanted = [letter.isupper() for letter in letters]
    program, numbers = trace_with_numbers(step, states, letters, current.dtype)
    letters += "n" * len(numbers)
    one = (make, program, letters)
    if one not in _compiled:
        _compiled[one] = make(program, letters.lower(), [*wanted, *[False] * len(numbers)])
    return _compiled[one].with_numbers(numbers)


def checked(
    name: str,
    current: Tensor,
    states: Sequence[Tensor | float],
    constants: Sequence[Tensor | float],
    steps: int | None,
) -> tuple[list[Tensor | float], str]:
    """The states and constants in the input's dtype, and a letter for where each of them and the input is found.

    The letter is a capital where the gradient is wanted.
    """
    shape = current.shape
    if steps is not None:
        if steps < 1 or not shape:
            raise UserError(f"{name} takes [B, *] for T ≥ 1 steps, not {list(shape)} for {steps}")
    elif len(shape) < 2 or shape[0] < 1:
        raise UserError(f"{name} takes [T, B, *] with T ≥ 1, not {list(shape)}")
    dtype = current.dtype
    if dtype is not torch.float32 and dtype is not torch.float64:
        raise UserError(f"{name} takes a real input, not {_short(dtype)} of shape {list(shape)}")
    learning = torch.is_grad_enabled()
    letters = "t" if steps is None else "l"
    if learning and current.requires_grad:
        letters = letters.upper()
    leaves: list[Tensor | float] = []
    count = len(states)
    for index, leaf in enumerate((*states, *constants)):
        if isinstance(leaf, Tensor):
            leaf, letter = _placed(name, leaf, current, shape[1:] if steps is None else shape, index < count)
            letters += letter.upper() if learning and leaf.requires_grad else letter
        else:
            letters += "n"
        leaves.append(leaf)
    return leaves, letters


def _placed(name: str, leaf: Tensor, current: Tensor, batch: Sequence[int], state: bool) -> tuple[Tensor, str]:
    """A state or constant as the kernels read it, and the letter for where it is found."""
    if leaf.dtype is not current.dtype or leaf.device != current.device:
        if leaf.device != current.device or current.dtype is not torch.float32 or leaf.dtype not in HALF:
            raise UserError(
                f"{name}: a state or parameter is {_short(leaf.dtype)} on {leaf.device}, "
                f"the input {_short(current.dtype)} on {current.device}"
            )
        leaf = leaf.float()
    if state and leaf.shape != batch:
        raise UserError(f"{name}: the state is {list(leaf.shape)}, the input asks for {list(batch)}")
    if leaf.numel() == 1 and not state:
        return leaf.reshape(()), "s"
    try:
        return leaf.expand(batch).contiguous(), "l"
    except RuntimeError:
        problem = f"a parameter is {list(leaf.shape)}, which doesn't broadcast to {list(batch)}"
        raise UserError(f"{name}: {problem}") from None


def _autocast(tensor: Tensor) -> bool:
    return torch.is_autocast_enabled(tensor.device.type)


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
