"""Configurations by name: those of the current folder, of the project, and those that come with litspike."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from litspike.cli.alone import OneLineParser
from litspike.installation import CONFIGURATIONS, program

LONGEST = 110
"""Characters of a sentence that is shown whole."""

_EXTRA = re.compile(r"\b(?:It n|N)eeds the extra (litspike\[\w+\])")


def find(given: str, home: Path | None) -> str:
    """The file that ``-c GIVEN`` means.

    A path with a folder in it is that file. A name, with or without ``.yaml``, is looked for in the current folder,
    in ``configs/`` of the home, and among litspike's own, in this order.

    Args:
        given: what was typed.
        home: folder with ``configs/``; None where there is none.

    Returns:
        The path of the file; what was typed where there is none.
    """
    if os.path.basename(given) != given:
        return given
    return next((str(path) for path in _named(given, home) if path.is_file()), given)


def hides(given: str, home: Path | None) -> Path | None:
    """The configuration of litspike's own that a name would have meant if no other file came before it."""
    named, found = own(given), Path(find(given, home))
    return named if named and os.path.basename(given) == given and not found.samefile(named) else None


def own(name: str) -> Path | None:
    """The configuration of litspike's own that is called so; None where there is none."""
    return next((path for path in _in(CONFIGURATIONS, name) if path.is_file()), None)


def default(home: Path) -> Path:
    """The configuration that every other one is a difference from: the home's, or litspike's own."""
    path = home / "configs" / "default.yaml"
    return path if path.is_file() else CONFIGURATIONS / path.name


def configs(args: list[str], home: Path) -> int:
    """List litspike's own configurations, each with the first sentence of its file.

    Args:
        args: the arguments after ``configs``.
        home: not needed.

    Returns:
        The exit status 0.
    """
    OneLineParser("configs", "").parse_args(args)
    width = max(len(path.stem) for path in _own())
    for path in _own():
        print(f"{path.stem:{width}}  {sentence(path)}")
    print(f"\ntrain one: {program()} fit -c NAME    its settings: {CONFIGURATIONS}/NAME.yaml")
    return 0


def sentence(path: Path) -> str:
    """The first sentence of the comment at a configuration's head, and the extra that it needs.

    Of a long sentence it is the part before the colon.
    """
    head: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("# "):
            break
        head.append(line.removeprefix("# ").strip())
    text = " ".join(head)
    first = text.partition(". ")[0].removesuffix(".")
    first = first if len(first) <= LONGEST else first.partition(":")[0]
    extra = _EXTRA.search(text)
    return first + (f" (needs {extra[1]})" if extra else "")


def _own() -> list[Path]:
    return sorted(CONFIGURATIONS.glob("*.yaml"))


def _named(given: str, home: Path | None) -> Iterator[Path]:
    for folder in (Path(), *([home / "configs"] if home else []), CONFIGURATIONS):
        yield from _in(folder, given)


def _in(folder: Path, given: str) -> tuple[Path, Path]:
    return folder / given, folder / f"{given}.yaml"
