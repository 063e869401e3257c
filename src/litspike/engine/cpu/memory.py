"""Memory for large results: in huge pages where the system has them, and reused when a result is gone.

The first touch of a page costs more than a kernel's work on it. With pages of 2 MiB instead of 4 KiB a fresh result of
131 MB takes a third of the time; in memory that an earlier result has left, half of that again.
"""

from __future__ import annotations

import mmap
import os
import sys
import threading
from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor

VECTOR = 64
"""Bytes of a vector: one register of AVX-512, and a few of other processors."""
LEAST = 1 << 21
"""Bytes from which on a result gets memory of its own: those of a huge page."""
MOST = 1 << 29
"""Bytes that are held for later results."""

_NUMPY = {torch.float32: np.float32, torch.float64: np.float64, torch.int16: np.int16, torch.int32: np.int32}

_blocks: list[mmap.mmap] = []
_lock = threading.RLock()  # a result may go, and give its memory back, while another one asks for some


def fresh(like: Tensor, *shape: int) -> Tensor:
    """An uninitialised tensor of this shape, with the dtype and device of ``like``."""
    size = prod(shape) * like.element_size()
    if size < LEAST or like.device.type != "cpu" or os.name != "posix" or torch.compiler.is_compiling():
        return like.new_empty(*shape)
    block = _block(-(-size // LEAST) * LEAST)
    kind = _NUMPY.get(like.dtype)
    if kind is None:
        tensor = torch.from_numpy(_Bytes(size, np.uint8, block)).view(like.dtype).view(*shape)
        tensor = tensor.data  # which is no view: what a function returns as a view, nobody may change in place
    else:
        tensor = torch.from_numpy(_Bytes(shape, kind, block))
    if torch.are_deterministic_algorithms_enabled() and torch.utils.deterministic.fill_uninitialized_memory:  # type: ignore[attr-defined]  # set from afar
        tensor.fill_(torch.nan)
    return tensor


class _Bytes(np.ndarray):
    """A block as an array, which a tensor holds; when it goes, the block is there for the next one."""

    def __del__(self, ending: Callable[[], bool] = sys.is_finalizing) -> None:
        if not ending():
            _keep(self.base)


def address(tensor: Tensor | None) -> int:
    """Where a tensor's values begin; 0 where it is missing."""
    return 0 if tensor is None else tensor.data_ptr()


def _block(size: int) -> mmap.mmap:
    """The newest free block of this size, or a new one."""
    with _lock:
        for index in reversed(range(len(_blocks))):
            if len(_blocks[index]) == size:
                return _blocks.pop(index)
    block = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)  # a forked process gets a copy
    if hasattr(mmap, "MADV_HUGEPAGE"):  # on Linux alone
        block.madvise(mmap.MADV_HUGEPAGE)
    return block


def _keep(block: Any) -> None:
    """Keep a block for reuse when its result is gone; the oldest go where there are too many."""
    with _lock:
        _blocks.append(block)
        while sum(map(len, _blocks)) > MOST:
            _blocks.pop(0)
