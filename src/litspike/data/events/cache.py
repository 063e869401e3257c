"""Binned recordings on disk: one file for each split and each way of binning, whole and unharmed or built anew.

It is no ``.npy``, which has no checksum and rows of one length. The file: a header of 64 bytes (magic, key, numbers
of recordings and of cells, CRC-32 of all that follows), the cells of all recordings one after another, and the place
where each recording begins.
"""

from __future__ import annotations

import logging
import re
import struct
import sys
import time
import zlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
from filelock import FileLock, Timeout
from lightning.pytorch.utilities import rank_zero_warn
from numpy.typing import NDArray

from litspike.data.events.binning import CELL, Cells
from litspike.files import remove_abandoned, replacing
from litspike.settings import LitspikeWarning
from litspike.terminal import progress_bar

FORMAT = 1
"""Raised whenever the file or the meaning of its cells changes: older files are then no longer found."""

_log = logging.getLogger(__name__)

_HEADER = struct.Struct("<8s32sQQI4x")
_MAGIC = b"LITSPIKE"
_CHUNK = 1 << 24
_PATIENCE = 1.0  # seconds of waiting for another process before that is logged


class Binned(Protocol):
    """The cells of recordings, by number."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Cells: ...


class CacheFile:
    """The cells of N recordings, read from a file as they are asked for.

    Args:
        path: the file.
        key: 32 bytes that say what the cells were made of.
        recordings: N.

    Raises:
        ValueError: if the file is cut short, was changed since it was written, or holds something else.
        OSError: if it can't be read.
    """

    def __init__(self, path: Path, key: bytes, recordings: int) -> None:
        self.path = path
        with path.open("rb") as file:
            header = file.read(_HEADER.size)
            if len(header) < _HEADER.size:
                raise ValueError("cut short")
            magic, its_key, its_recordings, self._cells, checksum = _HEADER.unpack(header)
            if (magic, its_key, its_recordings) != (_MAGIC, key, recordings):
                raise ValueError("of something else")
            offsets_at = _HEADER.size + self._cells * CELL.itemsize
            if path.stat().st_size != offsets_at + 8 * (recordings + 1):
                raise ValueError("cut short")
            if _checksum(file) != checksum:
                raise ValueError("corrupt")
            file.seek(offsets_at)
            self._offsets: NDArray[np.int64] = np.frombuffer(file.read(), "<i8")
        self._map: Cells | None = None

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def __getitem__(self, index: int) -> Cells:
        if self._map is None:  # each process maps the file for itself; an empty file can't be mapped
            shape = (self._cells,)
            self._map = np.memmap(self.path, CELL, "r", _HEADER.size, shape) if self._cells else np.empty(0, CELL)
        return self._map[self._offsets[index] : self._offsets[index + 1]]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_map": None}


def cached(path: Path, key: bytes, binned: Binned) -> Binned:
    """The same cells from the file ``path``, which is built first where it is missing, cut short or corrupt.

    Processes that need the same file at once wait for the one that builds it. Log and terminal report the building,
    which may take minutes. Where the file can't be written, one warning says so and the cells are made from the
    recordings each time they are asked for.
    """
    try:
        return _open_or_build(path, key, binned)
    except OSError as error:
        reason = error.strerror or error
        rank_zero_warn(
            f"no cache in {path.parent} ({reason}): events are read and binned anew each epoch",
            category=LitspikeWarning,
        )
        return binned


def _open_or_build(path: Path, key: bytes, binned: Binned) -> CacheFile:
    with suppress(FileNotFoundError, ValueError):  # without the lock, which a folder may be too read-only for
        return CacheFile(path, key, len(binned))
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path.with_name(f"{path.name}.lock"))
    try:
        lock.acquire(timeout=_PATIENCE)
    except Timeout:
        _log.info("another process bins the recordings into %s: waiting for it", path)
        lock.acquire()
    try:
        try:
            return CacheFile(path, key, len(binned))
        except FileNotFoundError:
            pass
        except ValueError as error:
            rank_zero_warn(
                f"the cache {path} is not believed, it is {error}: it is built anew", category=LitspikeWarning
            )
        _build(path, key, binned)
    finally:
        lock.release()
    return CacheFile(path, key, len(binned))


def _build(path: Path, key: bytes, binned: Binned) -> None:
    remove_abandoned(path.parent, re.compile(re.escape(path.name)))
    _log.info("binning %d recordings into %s, once: later runs read that file", len(binned), path)
    began = time.monotonic()
    # rich itself believes FORCE_COLOR, where a log file would get the bar
    bar = progress_bar("binning", "recordings", disable=not sys.stdout.isatty())
    with replacing(path) as draft, draft.open("wb") as file, bar:
        _write(file, key, bar.track((binned[index] for index in range(len(binned))), len(binned)))
    took, size = time.monotonic() - began, path.stat().st_size / 1e6
    _log.info("binned %d recordings into %s: %.0f s, %.1f MB", len(binned), path, took, size)


def _write(file: BinaryIO, key: bytes, recordings: Iterable[Cells]) -> None:
    file.write(bytes(_HEADER.size))
    offsets, checksum = [0], 0
    for cells in recordings:
        content = cells.tobytes()
        checksum = zlib.crc32(content, checksum)
        file.write(content)
        offsets.append(offsets[-1] + len(cells))
    content = np.array(offsets, "<i8").tobytes()
    file.write(content)
    file.seek(0)
    file.write(_HEADER.pack(_MAGIC, key, len(offsets) - 1, offsets[-1], zlib.crc32(content, checksum)))


def _checksum(file: BinaryIO) -> int:
    checksum = 0
    while chunk := file.read(_CHUNK):
        checksum = zlib.crc32(chunk, checksum)
    return checksum
