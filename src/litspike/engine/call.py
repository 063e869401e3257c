"""The one call to all engines: checks what it is given, and picks the engine."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Sequence
from typing import Literal

import torch
from torch import Tensor

from litspike.engine.cpu import Kernel as CpuKernel
from litspike.engine.gpu import GpuKernel
from litspike.engine.reference import Step, run_reference
from litspike.engine.trace import Untraceable, trace
from litspike.settings import UserError

Engine = Literal["auto", "reference", "fused"]

_FULL = (torch.float32, torch.float64)
_HALF = (torch.bfloat16, torch.float16)

Kernel = CpuKernel | GpuKernel

_log = logging.getLogger("litspike")
_KERNELS: dict[str, type[Kernel]] = {"cpu": CpuKernel, "cuda": GpuKernel}
_kernels: dict[Hashable, Kernel | Untraceable] = {}


def run(
    step: Step,
    key: Hashable,
    current: Tensor,
    states: Sequence[Tensor | float],
    constants: Sequence[Tensor | float],
    engine: Engine = "auto",
    name: str = "the neuron",
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Run a step over time: ``(output, *states) ← step(input, *states, *constants)``, the constants as tensors.

    float64 stays float64; all else runs in float32, half-precision inputs included.

    Args:
        step: one time step, elementwise and pure.
        key: what the step depends on beside its arguments; equal keys must mean equal steps.
        current: input of every time step, [T, B, *] with T ≥ 1.
        states: each state before the first step: [B, *], or one number for all neurons.
        constants: what doesn't change over time: numbers, or tensors that broadcast against [B, *].
        engine: ``reference``, ``fused``, or ``auto`` for fused where that can be.
        name: what an error calls the neuron.

    Returns:
        The outputs [T, B, *] and the states after the last step, each [B, *].

    Raises:
        UserError: if the input has no time step, no batch or is not real; if a state has another shape than [B, *], a
            constant doesn't broadcast to it, or either has another dtype or device than the input; if ``engine`` is
            ``fused`` and the step is not made of operations that a fused engine knows.
    """
    current, leaves, letters = _checked(name, current, states, constants)
    if engine != "reference" and not torch.compiler.is_compiling():
        kernel = _kernel(step, key, current, leaves, letters, len(states), name)
        if isinstance(kernel, Kernel):
            output, *lasts = kernel(current, leaves)
            return output, tuple(lasts)
        if engine == "fused":
            raise UserError(f"{name}: engine: 'fused' can't run {kernel}")
    tensors = [leaf if isinstance(leaf, Tensor) else current.new_full((), leaf) for leaf in leaves]
    begin = [state.expand(current.shape[1:]) for state in tensors[: len(states)]]
    return run_reference(step, current, begin, tensors[len(states) :])


def _kernel(
    step: Step, key: Hashable, current: Tensor, leaves: Sequence[Tensor | float], letters: str, states: int, name: str
) -> Kernel | Untraceable:
    """The kernel for this call, from the last time or made now; where there can't be one, the reason."""
    wanted: tuple[bool, ...] = ()
    if torch.is_grad_enabled():
        wanted = (current.requires_grad, *[isinstance(leaf, Tensor) and leaf.requires_grad for leaf in leaves])
    full = (key, current.dtype, letters, wanted, current.device.type)
    kernel = _kernels.get(full)
    if kernel is None:
        kernel = _kernels[full] = _made(step, current, leaves, letters, states, wanted)
        if isinstance(kernel, Untraceable):
            _log.warning("%s runs on the slow reference engine, as no fused engine can run %s", name, kernel)
    return kernel


def _made(
    step: Step, current: Tensor, leaves: Sequence[Tensor | float], letters: str, states: int, wanted: Sequence[bool]
) -> Kernel | Untraceable:
    if current.device.type not in _KERNELS:
        return Untraceable(f"on {current.device}")
    wanted = wanted or (False,) * (1 + len(leaves))
    kernel = _KERNELS[current.device.type]
    try:
        return kernel(trace(step, states, len(leaves) - states, current.dtype, wanted), letters, wanted)
    except ImportError as missing:
        return Untraceable(f"without {missing.name} ({missing})")
    except Untraceable as reason:
        return Untraceable(f"{getattr(step, '__qualname__', step)}: {reason}")


def _checked(
    name: str, current: Tensor, states: Sequence[Tensor | float], constants: Sequence[Tensor | float]
) -> tuple[Tensor, list[Tensor | float], str]:
    """The input, the states and constants in one dtype, and a letter for where each of them is found."""
    shape = current.shape
    if len(shape) < 2 or shape[0] < 1:
        raise UserError(f"{name} takes [T, B, *] with T ≥ 1, not {list(shape)}")
    if current.dtype not in _FULL:
        if current.dtype not in _HALF:
            raise UserError(f"{name} takes a real input, not {_short(current.dtype)} of shape {list(shape)}")
        current = current.float()
    leaves: list[Tensor | float] = []
    letters = "t"
    count = len(states)
    for index, leaf in enumerate((*states, *constants)):
        if isinstance(leaf, Tensor):
            leaf, letter = _placed(name, leaf, current, index < count)
        else:
            leaf, letter = float(leaf), "n"
        letters += letter
        leaves.append(leaf)
    return current, leaves, letters


def _placed(name: str, leaf: Tensor, current: Tensor, state: bool) -> tuple[Tensor, str]:
    """A state or constant as the kernels read it, and the letter for where it is found."""
    if leaf.dtype is not current.dtype or leaf.device != current.device:
        if leaf.device != current.device or current.dtype is not torch.float32 or leaf.dtype not in _HALF:
            raise UserError(
                f"{name}: a state or parameter is {_short(leaf.dtype)} on {leaf.device}, "
                f"the input {_short(current.dtype)} on {current.device}"
            )
        leaf = leaf.float()
    batch = current.shape[1:]
    if state and leaf.shape != batch:
        raise UserError(f"{name}: the state is {list(leaf.shape)}, the input asks for {list(batch)}")
    if leaf.numel() == 1 and not state:
        return leaf.reshape(()), "s"
    try:
        return leaf.expand(batch).contiguous(), "l"
    except RuntimeError:
        problem = f"a parameter is {list(leaf.shape)}, which doesn't broadcast to {list(batch)}"
        raise UserError(f"{name}: {problem}") from None


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
