"""What an installed litspike knows of itself: its version, the files that come with it, the command that runs it."""

from __future__ import annotations

import difflib
import importlib.util
import sys
from importlib.metadata import version as version_of
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_IN_A_WHEEL, _IN_THE_PROJECT = _PACKAGE / "configs", _PACKAGE.parents[1] / "configs"

CLONED = not _IN_A_WHEEL.is_dir()
"""Whether it runs from a clone of the project, and not from a wheel."""

CONFIGURATIONS = _IN_THE_PROJECT if CLONED else _IN_A_WHEEL
"""Folder of litspike's own configurations, and of the example files that they name."""

OWN = "litspike:"
"""What a path begins with that names a file in :data:`CONFIGURATIONS`."""


def version() -> str:
    """The version, such as ``0.1.0``."""
    return version_of("litspike")


def program() -> str:
    """What starts litspike as this process was started: ``litspike`` or ``python main.py``."""
    return "litspike" if Path(sys.argv[0]).stem == "litspike" else "python main.py"


def similar_configuration(path: Path) -> str:
    """What to type instead of a configuration that isn't there; empty where none of litspike's own is like it."""
    near = difflib.get_close_matches(path.stem, [own.stem for own in CONFIGURATIONS.glob("*.yaml")], n=1)
    return f"; litspike has one that is called {near[0]}: -c {near[0]}" if near else ""


SERIES = "aeon:"
"""What a path begins with that names a file of the time series that come with the package aeon."""


def file_of(path: str) -> Path | None:
    """The file that a path names, one of litspike's own where it begins with :data:`OWN`, one of aeon's where it begins
    with :data:`SERIES`; None of aeon's where that isn't installed.

    Of aeon nothing is imported: its files alone are needed, and not what it depends on.
    """
    if path.startswith(OWN):
        return CONFIGURATIONS / path.removeprefix(OWN)
    if not path.startswith(SERIES):
        return Path(path).expanduser()
    aeon = importlib.util.find_spec("aeon")
    places = (aeon.submodule_search_locations if aeon else None) or []
    return next((Path(place, "datasets", "data", path.removeprefix(SERIES)) for place in places), None)
