"""Files that this user alone can read and change, and secrets in them.

What is relied on must be this user's and closed to all others; no link, pipe or file of somebody else is opened.
Where a system has no owners, as Windows, nothing is known of them and nothing is checked.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

SECRET = 32
"""Bytes of a secret."""
DRAFT = ".draft"
"""What the name of a file ends with that isn't whole yet."""
_READ = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC"))
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)


class Distrusted(Exception):
    """Something is not as it is made here."""


def is_ours(found: os.stat_result, kind: Callable[[int], bool]) -> bool:
    """Whether something is of a kind, such as :func:`stat.S_ISREG`, and this user's."""
    return kind(found.st_mode) and (not hasattr(os, "geteuid") or found.st_uid == os.geteuid())


def is_private(found: os.stat_result, kind: Callable[[int], bool]) -> bool:
    """Whether it is closed to all others as well."""
    return is_ours(found, kind) and (not hasattr(os, "geteuid") or not found.st_mode & 0o077)


def opened(place: Path | str, largest: int, folder: int | None = None) -> BinaryIO:
    """Open a private file for reading; nothing is waited for, as at a pipe.

    Args:
        place: its path.
        largest: bytes that it may have.
        folder: an open folder that the path begins in.

    Raises:
        FileNotFoundError: if there is none.
        Distrusted: if what is there isn't private, no file, or larger.
    """
    try:
        file = os.open(place, _READ, dir_fd=folder)
    except FileNotFoundError:
        raise
    except OSError as problem:  # a link, a socket, or not for us to read
        raise Distrusted(place) from problem
    found = os.fstat(file)
    if is_private(found, stat.S_ISREG) and found.st_size <= largest:
        return open(file, "rb")
    os.close(file)
    raise Distrusted(place)


def write(place: Path | str, content: bytes, folder: int | None = None) -> None:
    """Write a private file, whole or not at all, in place of what is there.

    Raises:
        OSError: if it can't be written.
    """
    draft = _draft(place, content, folder)
    try:
        os.replace(draft, place, src_dir_fd=folder, dst_dir_fd=folder)
    except OSError:
        _remove(draft, folder)
        raise


def secret(place: Path | str, folder: int | None = None) -> bytes:
    """The secret that a private file holds.

    Raises:
        FileNotFoundError: if there is no file.
        Distrusted: if it isn't private, or holds something else.
    """
    with opened(place, SECRET, folder) as file:
        content = file.read()
    if len(content) != SECRET:
        raise Distrusted(place)
    return content


def make_secret(place: Path | str, folder: int | None = None) -> None:
    """Write a new secret where nothing is yet; that of another process that was faster stays.

    Raises:
        OSError: if it can't be written.
    """
    draft = _draft(place, secrets.token_bytes(SECRET), folder)
    try:
        with suppress(FileExistsError):
            os.link(draft, place, src_dir_fd=folder, dst_dir_fd=folder)
    finally:
        _remove(draft, folder)


def _draft(place: Path | str, content: bytes, folder: int | None) -> str:
    """Write a private file beside a place, and return its path."""
    draft = f"{os.path.join(os.path.dirname(place), secrets.token_hex(8))}{DRAFT}"
    try:
        with open(os.open(draft, _WRITE, 0o600, dir_fd=folder), "wb") as file:
            file.write(content)
    except OSError:
        _remove(draft, folder)
        raise
    return draft


def _remove(draft: str, folder: int | None) -> None:
    with suppress(OSError):
        os.unlink(draft, dir_fd=folder)
