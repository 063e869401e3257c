"""Machine code cached on disk for later processes, if no other user can have written it.

What is loaded runs with all rights of the user. So the folder, and each folder above it, must be one in which this user
and root alone can put something, and a file must be this user's, and neither written nor read by others. Each file
carries a digest, made with a secret that lies beside it: what was damaged, renamed or copied from elsewhere isn't
loaded. What litspike didn't make is left alone, and the code is compiled again.
"""

from __future__ import annotations

import hmac
import logging
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from litspike.private_files import DRAFT, SECRET, Distrusted, is_ours, make_secret, opened, secret
from litspike.private_files import write as put

LARGEST = 1 << 24
"""Bytes of a file that is read at all; a kernel has some 10,000."""
MOST_FILES, MOST_BYTES = 1000, 1 << 26
"""What the folder holds at most; the files that were not used for longest go."""

_KERNEL, _SECRET = ".o", "secret"
_STALE = 3600.0  # seconds after which a draft is left from a process that was killed

_log = logging.getLogger("litspike")


def read(name: str) -> bytes | None:
    """The code that was stored under this name; None where there is none, or none that can be trusted."""
    with suppress(OSError, Distrusted), _folder() as folder:
        content = _content(folder, name + _KERNEL)
        code = content[SECRET:]
        if hmac.compare_digest(_digest(folder, name, code), content[:SECRET]):
            return code
    return None


def write(name: str, code: bytes) -> None:
    """Store code under this name, in one move, so that no process sees half of it; nothing happens where that fails."""
    with suppress(OSError, Distrusted), _folder() as folder:
        with suppress(FileNotFoundError):
            opened(name + _KERNEL, LARGEST, folder).close()  # what is not ours is not replaced
        put(name + _KERNEL, _digest(folder, name, code) + code, folder)
        _evict(folder)


def _content(folder: int, place: str) -> bytes:
    with opened(place, LARGEST, folder) as file:
        with suppress(OSError):
            os.utime(file.fileno())  # just used: the last to go
        return file.read()


def _digest(folder: int, name: str, code: bytes) -> bytes:
    try:
        key = secret(_SECRET, folder)
    except FileNotFoundError:  # this is the first process that needs it
        make_secret(_SECRET, folder)
        key = secret(_SECRET, folder)
    return hmac.digest(key, name.encode() + b"\0" + code, "sha256")


def _evict(folder: int) -> None:
    """Remove the kernels that were not used for longest, where there are too many, and what killed processes left."""
    kernels: list[tuple[float, int, str]] = []
    for name in os.listdir(folder):
        with suppress(OSError):
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if is_ours(status, stat.S_ISREG) and name.endswith(_KERNEL):
                kernels.append((status.st_mtime, status.st_size, name))
            elif is_ours(status, stat.S_ISREG) and name.endswith(DRAFT) and status.st_mtime < time.time() - _STALE:
                os.unlink(name, dir_fd=folder)
    kernels.sort(reverse=True)
    room = MOST_BYTES
    for index, (_, size, name) in enumerate(kernels):
        room -= size
        if index >= MOST_FILES or room < 0:
            with suppress(OSError):  # another process was faster
                os.unlink(name, dir_fd=folder)


def folder() -> Path | None:
    """The folder of the kernels; None where no folder can be trusted with them."""
    with suppress(OSError, Distrusted), _folder():
        return _place()
    return None


def _place() -> Path:
    given = os.environ.get("XDG_CACHE_HOME", "")
    try:
        base = Path(os.path.realpath(given if os.path.isabs(given) else Path.home() / ".cache"))
    except RuntimeError as problem:  # no home
        raise Distrusted from problem
    return base / "litspike" / "kernels"


@contextmanager
def _folder() -> Iterator[int]:
    """The open folder of the kernels, made if need be.

    Raises:
        OSError, Distrusted: if it can't be made or opened, or others could put something into it.
    """
    if os.name != "posix":  # owners and modes say nothing there
        raise Distrusted
    kernels = _place()
    base = kernels.parents[1]
    for place in reversed(base.parents):
        _check(place, os.lstat(place))
    for place in (base, kernels.parent, kernels):
        with suppress(FileExistsError):
            os.mkdir(place, 0o700)
        _check(place, os.lstat(place))
    folder = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        status = os.fstat(folder)
        if not is_ours(status, stat.S_ISDIR) or status.st_mode & 0o022:
            _distrust(place)
        yield folder
    finally:
        os.close(folder)


def _check(place: Path, status: os.stat_result) -> None:
    """Refuse a folder in which others could replace what is this user's."""
    others = status.st_mode & 0o022 and not status.st_mode & stat.S_ISVTX
    if not stat.S_ISDIR(status.st_mode) or others or status.st_uid not in (0, os.geteuid()):
        _distrust(place)


def _distrust(place: Path) -> None:
    _say(str(place))
    raise Distrusted(place)


@cache
def _say(place: str) -> None:
    _log.warning("compiled kernels are not kept on disk, as others could put something into %s", place)
