"""The folder of an export: written whole or not at all, and never over what somebody else has put or changed there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from litspike.files import file_hash, read_json
from litspike.settings import UserError

REPORT = "fidelity.json"
"""The report in each folder, which also says what files belong to it."""


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """Give a draft beside a folder, which takes its place at the end and is gone after an error.

    Raises:
        UserError: if something is there that no export wrote, or that was changed since, or it can't be written.
    """
    check_ours(folder)
    draft, old = (folder.with_name(f".{folder.name}.{kind}{os.getpid()}") for kind in ("", "old."))
    made = _missing(folder.parent)
    try:
        draft.mkdir(parents=True)
    except OSError as error:
        raise UserError(f"{folder} can't be written ({error.strerror})") from None
    try:
        yield draft
        check_ours(folder)
        if folder.exists():
            folder.rename(old)
        try:
            draft.rename(folder)
        except OSError:
            if old.exists():
                old.rename(folder)
            raise
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise UserError(f"{folder} can't be written ({error.strerror or error})") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        with suppress(OSError):  # one that isn't empty stays
            for path in made:
                path.rmdir()


def _missing(folder: Path) -> list[Path]:
    """The folders that have to be made for one, the innermost first."""
    return [path for path in (folder, *folder.parents) if not path.exists()]


def hashes(folder: Path) -> dict[str, str]:
    """Name → SHA-256 of each file in a folder but the report."""
    return {path.name: file_hash(path) for path in sorted(folder.iterdir()) if path.name != REPORT}


def report_of(folder: Path) -> dict[str, Any]:
    """The report in a folder; empty where there is none that can be read."""
    found = read_json(folder / REPORT)
    return found if isinstance(found.get("files"), dict) else {}


def check_ours(folder: Path) -> None:
    """Refuse a folder that holds what no export wrote, or what was changed since. Raises :class:`UserError`."""
    if not os.path.lexists(folder):
        return
    problem = "is no folder that an export wrote"
    if folder.is_dir() and not folder.is_symlink():
        report = report_of(folder)
        try:
            names = {path.name for path in folder.iterdir()}
            others = sorted(names - {REPORT} - set(report.get("files", {})))
            if not names:
                return
            changed = (
                [] if others else [name for name, sha in hashes(folder).items() if report["files"].get(name) != sha]
            )
        except OSError as error:
            others, changed = [str(error.filename or error)], []
        if report and not others and not changed:
            return
        if report:
            problem = f"holds {(others or changed)[0]}, which " + ("no export wrote" if others else "was changed since")
    raise UserError(f"{folder} {problem}: move it away, nothing of it is overwritten")
