"""Memory for large results: in huge pages where the system has them, and reused when a result is gone.

The first touch of a page costs more than a kernel's work on it. With pages of 2 MiB instead of 4 KiB a fresh result of
131 MB takes a third of the time; in memory that an earlier result has left, half of that again.
"""

from __future__ import annotations

import mmap
import os
import threading
import weakref
from math import prod

import numpy as np
import torch
from torch import Tensor

VECTOR = 64
"""Bytes of a vector: one register of AVX-512, and a few of other processors."""
LEAST = 1 << 21
"""Bytes from which on a result gets memory of its own: those of a huge page."""
MOST = 1 << 29
"""Bytes that are held for later results."""

_blocks: list[mmap.mmap] = []
_lock = threading.RLock()  # a result may go, and give its memory back, while another one asks for some


def fresh(like: Tensor, *shape: int) -> Tensor:
    """An uninitialised tensor of this shape, with the dtype and device of ``like``."""
    size = prod(shape) * like.element_size()
    if size < LEAST or like.device.type != "cpu" or os.name != "posix" or torch.compiler.is_compiling():
        return like.new_empty(*shape)
    block = _block(-(-size // LEAST) * LEAST)
    view = np.frombuffer(block, np.uint8, size)
    weakref.finalize(view, _keep, block).atexit = False  # the tensor holds the view, and it the block
    tensor = torch.from_numpy(view).view(like.dtype).view(*shape)
    if torch.are_deterministic_algorithms_enabled() and torch.utils.deterministic.fill_uninitialized_memory:  # type: ignore[attr-defined]  # set from afar
        tensor.fill_(torch.nan)
    return tensor.data  # which is no view: what a function returns as a view, nobody may change in place


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


def _keep(block: mmap.mmap) -> None:
    """Keep a block for reuse when its result is gone; the oldest go where there are too many."""
    with _lock:
        _blocks.append(block)
        while sum(map(len, _blocks)) > MOST:
            _blocks.pop(0)
