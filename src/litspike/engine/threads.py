"""A few threads that help the caller of a kernel with its blocks.

The threads sleep in between. torch's own pool is left alone: its workers can't be reached from Python, and a kernel
that has the interpreter's lock free needs no more than a wake-up.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from itertools import pairwise
from queue import SimpleQueue

import torch

Function = Callable[[bytes, int, int], None]
"""``function(arguments, first, last)``: runs a kernel over some of its blocks, the interpreter's lock being free."""

_ALONE = 1 << 17  # neuron-steps below which waking another thread costs more than it saves
_CHUNKS = 4  # for each thread, so that one which starts late leaves its share to the others


class _Work:
    """Chunks of blocks for whoever takes them; ``done`` receives one entry for each."""

    def __init__(self, function: Function, arguments: bytes, blocks: int, chunks: int) -> None:
        self.function, self.arguments = function, arguments
        bounds = [blocks * index // chunks for index in range(chunks + 1)]
        self.chunks: Iterator[tuple[int, int]] = iter(list(pairwise(bounds)))
        self.done: SimpleQueue[None] = SimpleQueue()

    def help(self) -> None:
        """Take chunks until none is left; no two threads get the same, as taking one holds the interpreter's lock."""
        for first, last in self.chunks:
            self.function(self.arguments, first, last)
            self.done.put(None)


class _Helpers:
    """Threads that wait for work."""

    def __init__(self) -> None:
        self.queue: SimpleQueue[_Work] = SimpleQueue()
        self.threads = 0
        self.lock = threading.Lock()

    def call(self, work: _Work, helpers: int) -> None:
        """Ask this many threads to help."""
        if self.threads < helpers:
            with self.lock:
                while self.threads < helpers:
                    threading.Thread(target=self._serve, name="litspike", daemon=True).start()
                    self.threads += 1
        for _ in range(helpers):
            self.queue.put(work)

    def _serve(self) -> None:
        while True:
            self.queue.get().help()


_helpers = _Helpers()


def _start_anew() -> None:
    global _helpers
    _helpers = _Helpers()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_anew)  # a child has none of its parent's threads


def run_blocks(function: Function, arguments: bytes, blocks: int, size: int) -> None:
    """Run a kernel over all its blocks, in torch's number of threads where ``size`` neuron-steps are worth it."""
    threads = 1 if size < _ALONE or blocks < 2 else torch.get_num_threads()
    if threads == 1:
        function(arguments, 0, blocks)
        return
    chunks = min(blocks, threads * _CHUNKS)
    work = _Work(function, arguments, blocks, chunks)
    _helpers.call(work, min(threads, chunks) - 1)
    work.help()
    for _ in range(chunks):
        work.done.get()
