"""Recordings read through Tonic, which is never let near the network."""

from __future__ import annotations

import importlib
import re
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from litspike.data.events.binning import Events
from litspike.installation import installing
from litspike.settings import UserError


class Recordings:
    """The recordings of one split of a data set, in an order that doesn't depend on the file system.

    Args:
        kind: name of Tonic's class, which is also the name of the folder under ``root``.
        root: the folder that holds the folders of data sets.
        arguments: further arguments of Tonic's class, such as the split.
        files: the files that hold the recordings, which tell whether a cache is still theirs.
        place: names of the fields that say where an event is, in the order of the sensor's dimensions.
        starts_at_first_event: count time from the first event, for clocks that don't start with the recording.

    Raises:
        UserError: if Tonic is missing or can't read the files, or one of them is empty.
    """

    def __init__(
        self,
        kind: str,
        root: Path,
        arguments: dict[str, Any],
        files: list[Path],
        place: tuple[str, ...] = ("p", "y", "x"),
        starts_at_first_event: bool = False,
    ) -> None:
        self.kind, self.root, self.arguments, self.files = kind, root, arguments, files
        self._place, self._from_first = place, starts_at_first_event
        self._open: Any = None
        for path in files:  # some formats have a recording without events for an empty file
            if path.stat().st_size == 0:
                raise UserError(f"{path} is empty: copy it again")
        names = list(self.tonic.data)
        self._order = np.array(sorted(range(len(self.tonic)), key=lambda i: natural(names[i]) if names else [i]), int)

    @property
    def tonic(self) -> Any:
        """Tonic's data set, opened by each process for itself."""
        if self._open is None:
            with reading(self.root / self.kind):
                self._open = offline(self.kind)(save_to=str(self.root), **self.arguments)
        return self._open

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, index: int) -> Events:
        """The events of one recording; raises :class:`UserError` where its file can't be read."""
        with reading(self.name(index)):
            events, _ = self.tonic[self._order[index]]
        time = events["t"]
        if self._from_first and len(time):
            time = time - time.min()
        return Events(time.astype(np.int64), tuple(events[name].astype(np.int64) for name in self._place))

    def name(self, index: int) -> str:
        """What to call a recording in a message."""
        number = self._order[index]
        return str(self.tonic.data[number]) if self.tonic.data else f"recording {number} of {self.files[0]}"

    def each(self, values: Any) -> NDArray[np.int64]:
        """What Tonic says about each recording, such as its label, in our order: [N]."""
        ordered: NDArray[np.int64] = np.asarray(values).astype(np.int64)[self._order]
        return ordered

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": None}


@contextmanager
def reading(name: object) -> Iterator[None]:
    """Turn whatever Tonic raises while it reads ``name`` into one line that says so."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # Tonic and what stands below it raise anything, from AssertionError to bare Exception
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{name} can't be read: {reason}") from error


def offline(kind: str) -> Any:
    """Tonic's class of this name, which neither downloads nor counts files, since we have looked for them ourselves.

    Raises:
        UserError: if Tonic is not installed.
    """
    try:
        base = getattr(importlib.import_module("tonic.datasets"), kind)
    except ImportError as error:
        raise UserError(f"event data need Tonic ({error}): {installing('events')}") from error
    # Tonic takes the folder's name from the class, and asks these two methods before it opens a file
    return type(kind, (base,), {"_check_exists": lambda self: True, "download": _refuse})


def _refuse(self: Any) -> None:
    raise UserError(f"{self.location_on_system}: litspike downloads nothing")


def version() -> str:
    """Tonic's version: a cache made by another may rest on another reading of the files."""
    return str(importlib.import_module("tonic").__version__)


def natural(name: str) -> list[Any]:
    """A key by which file names sort as people count: 2 before 10."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)]


def provide(result: Path, *archives: str) -> bool:
    """Whether ``result`` is there, after unpacking it, where it isn't yet, from an archive beside it that holds it.

    Args:
        result: a file or folder.
        archives: name of the archive that holds it, then of the archive that holds that archive, and so on.

    Raises:
        UserError: if an archive is cut short or can't be unpacked where it lies.
    """
    if result.exists():
        return True
    if not archives or not provide(result.parent / archives[0], *archives[1:]):
        return False
    _unpack(result.parent / archives[0], result)
    return result.exists()


def _unpack(archive: Path, result: Path) -> None:
    draft = archive.with_name(f".{archive.name}.unpacking")
    try:
        with FileLock(archive.with_name(f".{archive.name}.lock")):
            if result.exists():  # another process was faster
                return
            shutil.rmtree(draft, ignore_errors=True)
            try:
                options: dict[str, Any] = {"filter": "data"} if ".tar" in archive.name else {}
                shutil.unpack_archive(archive, draft, **options)
                for item in draft.iterdir():
                    if not (archive.parent / item.name).exists():
                        item.rename(archive.parent / item.name)
            finally:
                shutil.rmtree(draft, ignore_errors=True)
    except (zipfile.BadZipFile, shutil.ReadError, tarfile.TarError, EOFError, zlib.error) as error:
        raise UserError(f"{archive} is not a whole archive ({error}): copy it again") from error
    except OSError as error:
        raise UserError(f"{archive} can't be unpacked where it lies: {error}") from error
