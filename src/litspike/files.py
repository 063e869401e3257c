"""Files that are complete or absent, even where writing them fails, and reads that always end."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

_CHECKSUM = "checksum"
_DRAFT = re.compile(r"\.(?P<name>.+)\.(?P<process>\d+)")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give the path of a draft beside ``path``, which takes its place at the end and is gone after an error.

    Raises:
        OSError: if something is there that is no file: a folder or a pipe is nothing to replace.
    """
    if not path.is_symlink() and path.exists() and not path.is_file():
        raise OSError(errno.EEXIST, "something is there that is no file", str(path))
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)  # of a process that was killed and had this one's number
    try:
        yield draft
        os.replace(draft, path)
    finally:
        with suppress(OSError):  # the folder itself may be gone; the first error counts
            draft.unlink(missing_ok=True)


def replace_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all, even where the power fails."""
    with replacing(path) as draft, draft.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def read_text(path: Path) -> str:
    """The text of a file.

    Raises:
        OSError: if it can't be read, or is no file: reading a pipe might never end.
        ValueError: if it isn't UTF-8.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "it is no file", str(path))
    return path.read_text(encoding="utf-8")


def read_json(path: Path) -> dict[str, Any]:
    """The names and values in a JSON file; none where it can't be read, is damaged, or holds anything else."""
    try:
        content = parse_json(read_text(path))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def replace_json(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON file as :func:`replace_text` does."""
    replace_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def replace_checked_json(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON file with a checksum of its content, which :func:`parse_json` takes out again."""
    replace_text(path, json.dumps({**content, _CHECKSUM: _checksum(content)}, indent=2) + "\n")


def parse_json(text: str) -> Any:
    """What a JSON text says, without its checksum.

    Raises:
        ValueError: if it is no JSON, or has a checksum of another content.
    """
    content = json.loads(text)
    stated = content.pop(_CHECKSUM, None) if isinstance(content, dict) else None
    if stated is not None and stated != _checksum(content):
        raise ValueError("it was changed since it was written: its checksum is of another content")
    return content


def _checksum(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def file_hash(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def free_name(path: Path) -> Path:
    """The first of ``NAME.before-1``, ``NAME.before-2``, … with the path's suffix that nothing has yet."""
    number = 1
    while os.path.lexists(free := path.with_name(f"{path.stem}.before-{number}{path.suffix}")):
        number += 1
    return free


def remove_abandoned(folder: Path, names: re.Pattern[str]) -> None:
    """Remove drafts that killed processes of this machine left of files with such names.

    Args:
        folder: where they lie; nothing below it is touched.
        names: what the whole name of the file matches that a draft was for.
    """
    with suppress(OSError):
        for path in list(folder.iterdir()):
            draft = _DRAFT.fullmatch(path.name)
            if draft is None or not names.fullmatch(draft["name"]) or _is_alive(int(draft["process"])):
                continue
            if path.is_file() and not path.is_symlink():
                path.unlink(missing_ok=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # it is another user's
        return True
    return True
