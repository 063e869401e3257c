"""What torch is doing around a call: running operations, or transforming, tracing or compiling them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch._C import (  # by name: after a large product each step of looking one up waits for memory
    _are_functorch_transforms_active,
    _is_tracing,
    _len_torch_dispatch_stack,
    _len_torch_function_stack,
)
from torch.autograd import Function, forward_ad
from torch.overrides import _get_current_function_mode_stack
from torch.utils._device import DeviceContext

_ORDINARY = (Tensor, nn.Parameter)


def ordinary(tensors: Sequence[Tensor | float]) -> bool:
    """Whether a kernel may read the memory of these tensors, because nothing has to see the operations inside it.

    It may not under a transform of ``torch.func``, in forward-mode differentiation, while a tracer writes operations
    down (``torch.jit.trace``, the older ONNX exporter, ``make_fx``), under a mode of torch such as that of fake
    tensors, and with tensors that are no plain memory.
    """
    if (
        _are_functorch_transforms_active()
        or _is_tracing()
        or _len_torch_dispatch_stack()
        or forward_ad._current_level >= 0
    ):
        return False
    if _len_torch_function_stack() and not all(
        isinstance(mode, DeviceContext)
        for mode in _get_current_function_mode_stack()  # type: ignore[no-untyped-call]
    ):
        return False
    for tensor in tensors:  # every call of a layer comes by here
        if type(tensor) is not float and isinstance(tensor, Tensor) and not in_memory(tensor):
            return False
    return True


def in_memory(tensor: Tensor) -> bool:
    """Whether a tensor's numbers are in memory as they are: it is of no kind of its own, and not negated later."""
    return type(tensor) in _ORDINARY and tensor.layout is torch.strided and not tensor.is_neg()


def is_batch(tensor: Tensor) -> bool:
    """Whether a gradient stands for many of them, as ``torch.autograd.grad(.., is_grads_batched=True)`` makes it."""
    return bool(torch._C._functorch.is_legacy_batchedtensor(tensor))


def apply(function: type[Function], forwards: type[Function], x: Tensor, *rest: Any) -> Tensor:
    """Call a function with a derivative of its own, ``function.apply(x, *rest)``, as the active mode of torch needs it.

    Args:
        function: it, with its derivative backwards, and that derivative as ``function.derivative(x, *rest)``.
        forwards: the same, with its derivative forwards as well, which no graph that torch compiles may hold.
    """
    result: Tensor
    if torch.compiler.is_compiling() or (not _is_tracing() and forward_ad._current_level < 0):
        result = function.apply(x, *rest)  # type: ignore[no-untyped-call]  # torch leaves apply untyped
    elif not _is_tracing():
        result = forwards.apply(x, *rest)  # type: ignore[no-untyped-call]
    else:  # torch.jit saves no function of Python, but a sum with 0 that has the derivative
        result = function.forward(x, *rest).detach()
        if not torch.onnx.is_in_onnx_export():
            slope = torch.nan_to_num(function.derivative(x, *rest).detach())  # type: ignore[attr-defined]
            finite = torch.nan_to_num(x)
            result = result + (finite - finite.detach()) * slope
    return result
