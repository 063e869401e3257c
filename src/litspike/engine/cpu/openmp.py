"""The blocks of a kernel, over the threads that torch's own operations run in.

torch's CPU operations share one team of OpenMP threads, which spin for a while after each of them. Threads of our own
would have to fight these for the cores; so a kernel asks the same team, through the same library.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from struct import Struct
from typing import NamedTuple

import torch

_ALONE = 1 << 17  # neuron-steps below which a second thread costs more than it saves
_CHUNKS = 4  # for each thread, so that one which starts late leaves its share to the others
_HEAD = Struct("qqqq").pack
_forked = False  # a forked child has none of its parent's threads, and OpenMP does not know


def _after_fork() -> None:
    global _forked
    _forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

SHARE = """
define void @share(ptr %work) nounwind {
entry:
%function = load ptr, ptr %work
%blocks.at = getelementptr i64, ptr %work, i64 1
%blocks = load i64, ptr %blocks.at
%chunks.at = getelementptr i64, ptr %work, i64 2
%chunks = load i64, ptr %chunks.at
%next = getelementptr i64, ptr %work, i64 3
%arguments = getelementptr i64, ptr %work, i64 4
br label %take
take:
%chunk = atomicrmw add ptr %next, i64 1 monotonic
%more = icmp slt i64 %chunk, %chunks
br i1 %more, label %run, label %exit
run:
%before = mul i64 %chunk, %blocks
%first = sdiv i64 %before, %chunks
%after = add i64 %before, %blocks
%last = sdiv i64 %after, %chunks
call void %function(ptr %arguments, i64 %first, i64 %last)
br label %take
exit:
ret void
}
"""
"""What each thread of the team runs: it takes chunks of blocks until none is left.

Its argument points to 8 bytes each of: the kernel's address, blocks, chunks, chunks taken; then the kernel's arguments.
"""


class Function(NamedTuple):
    """A kernel in machine code."""

    call: Callable[[bytes, int, int], None]
    """``call(arguments, first, last)`` runs it over some of its blocks, the interpreter's lock being free."""

    address: int

    @classmethod
    def at(cls, address: int) -> Function:
        """The kernel at an address."""
        call = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_int64, ctypes.c_int64)
        return cls(call(address), address)


def run_blocks(function: Function, arguments: bytes, blocks: int, size: int) -> None:
    """Run a kernel over all its blocks, in torch's number of threads where ``size`` neuron-steps are enough."""
    threads = 1 if size < _ALONE or blocks < 2 or _forked else torch.get_num_threads()
    run_in_team = team() if threads > 1 else None
    if run_in_team is None:
        function.call(arguments, 0, blocks)
        return
    work = _HEAD(function.address, blocks, min(blocks, threads * _CHUNKS), 0) + arguments
    run_in_team(ctypes.create_string_buffer(work, len(work)), threads)


@cache
def team() -> Callable[[ctypes.Array[ctypes.c_char], int], None] | None:
    """Runs ``share`` on work in a number of threads; None where torch's threads are not OpenMP's."""
    from litspike.engine.cpu.jit import load

    parallel = _parallel()
    if parallel is None:
        return None
    share = load(SHARE, ["share"])[0]
    return lambda work, threads: parallel(share, work, threads, 0)


def _parallel() -> Callable[..., None] | None:
    """The entry of the OpenMP library that torch itself has loaded; LLVM's library has GNU's entry too."""
    for place in (Path(torch.__file__).parent / "lib", Path(torch.__file__).parent.parent / "torch.libs"):
        for library in sorted([*place.glob("libgomp*"), *place.glob("libomp*")]):
            try:
                parallel = ctypes.CDLL(str(library)).GOMP_parallel
            except (OSError, AttributeError):
                continue
            parallel.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
            parallel.restype = None
            return parallel
    return None
