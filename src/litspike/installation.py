"""What an installed litspike knows of itself: its version, the files that come with it, the command that runs it."""

from __future__ import annotations

import difflib
import importlib.util
import re
import sys
import tomllib
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, requires
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

_PACKAGE = Path(__file__).resolve().parent

CLONED = not (_PACKAGE / "configs").is_dir()
"""Whether it runs from a clone of the project, and not from a wheel."""

_WITH_IT = _PACKAGE.parents[1] if CLONED else _PACKAGE

CONFIGURATIONS = _WITH_IT / "configs"
"""Folder of litspike's own configurations, and of the example files that they name."""

ZOO = _WITH_IT / "zoo"
"""Folder of the trained networks that come with litspike, each in a folder of its name."""

TRAINED = "zoo:"
"""What the name of a checkpoint begins with that is one of :data:`ZOO`."""

OWN = "litspike:"
"""What a path begins with that names a file in :data:`CONFIGURATIONS`."""


_OF_EXTRA = re.compile(r'([\w.-]+).*extra == "(\w+)"')


def version() -> str:
    """The version, such as ``0.1.0``."""
    try:
        return version_of("litspike")
    except PackageNotFoundError:  # run from its sources
        return str(_project().get("version", "unknown"))


def extras() -> dict[str, list[str]]:
    """The extras, each with the packages that it brings."""
    optional = _project().get("optional-dependencies", {})  # in a clone, which may be newer than what was installed
    requirements = [f'{one}; extra == "{extra}"' for extra, packages in optional.items() for one in packages]
    with suppress(PackageNotFoundError):
        requirements = requirements or requires("litspike") or []
    found: dict[str, list[str]] = {}
    for match in filter(None, map(_OF_EXTRA.match, requirements)):
        found.setdefault(match[2], []).append(match[1])
    return found


def installing(extra: str) -> str:
    """The command that installs an extra."""
    return f"pip install -e '.[{extra}]'" if CLONED else f"pip install 'litspike[{extra}]'"


def _project() -> dict[str, Any]:
    """What a clone says of the package; nothing where its file isn't there."""
    with suppress(FileNotFoundError), (_WITH_IT / "pyproject.toml").open("rb") as file:
        project: dict[str, Any] = tomllib.load(file)["project"]
        return project
    return {}


def program() -> str:
    """What starts litspike as this process was started: ``litspike`` or ``python main.py``."""
    return "litspike" if Path(sys.argv[0]).stem == "litspike" else "python main.py"


def trained(name: str) -> Path:
    """The checkpoint of the network in :data:`ZOO` that has this name, whether it is there or not."""
    return ZOO / name / f"{name}.ckpt"


def trained_names() -> list[str]:
    """The names of the networks in :data:`ZOO`."""
    return sorted(path.stem for path in ZOO.glob("*/*.ckpt"))


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


def comes_along(path: str) -> bool:
    """Whether a path names a file that comes with litspike."""
    return path.startswith(OWN) and (CONFIGURATIONS / path.removeprefix(OWN)).parent == CONFIGURATIONS
