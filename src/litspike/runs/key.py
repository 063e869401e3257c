"""The secret key of a user on this machine: by it a checkpoint is known as the user's own."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from litspike.private_files import Distrusted, is_private, make_secret, secret


def user_key(make: bool = False) -> bytes | None:
    """The key, from ``litspike/key`` in the user's folder of settings; None where there is none that can be relied on.

    It counts only where nobody else can read or change it: in a folder and a file of this user, closed to all others.

    Args:
        make: make one where there is none yet.
    """
    with suppress(OSError, RuntimeError, Distrusted):  # the second where the user has no home
        folder = _settings() / "litspike"
        if make:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if is_private(folder.lstat(), stat.S_ISDIR):
            if make and not os.path.lexists(folder / "key"):
                make_secret(folder / "key")
            return secret(folder / "key")
    return None


def _settings() -> Path:
    given = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    return given if given.is_absolute() else Path.home() / ".config"
