"""The secret key of a user on this machine: by it a checkpoint is known as the user's own."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

SIZE = 32
"""Bytes of a key."""
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)


def user_key(make: bool = False) -> bytes | None:
    """The key, from ``litspike/key`` in the user's folder of settings; None where there is none that can be relied on.

    It counts only where nobody else can read or change it: in a folder and a file of this user, closed to all others.

    Args:
        make: make one where there is none yet.
    """
    with suppress(OSError, RuntimeError):  # the latter where the user has no home
        folder = _settings() / "litspike"
        if make:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if _private(folder.lstat(), stat.S_ISDIR):
            path = folder / "key"
            if make and not os.path.lexists(path):
                _make(path)
            return _read(path)
    return None


def _settings() -> Path:
    given = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    return given if given.is_absolute() else Path.home() / ".config"


def _private(found: os.stat_result, kind: Callable[[int], bool]) -> bool:
    """Whether something is of a kind, this user's, and closed to all others."""
    ours = not hasattr(os, "geteuid") or (found.st_uid == os.geteuid() and not found.st_mode & 0o077)
    return kind(found.st_mode) and ours


def _read(path: Path) -> bytes | None:
    with open(os.open(path, os.O_RDONLY | _NO_LINK | os.O_NONBLOCK), "rb") as file:
        if not _private(os.fstat(file.fileno()), stat.S_ISREG):
            return None
        key = file.read(SIZE + 1)
    return key if len(key) == SIZE else None


def _make(path: Path) -> None:
    """Write a new key, whole or not at all; that of another process that was faster stays."""
    draft = path.with_name(f".key.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_bytes(SIZE))
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
