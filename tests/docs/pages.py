"""README and the pages of the site, and what their fenced blocks hold."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from tests.conftest import PROJECT

READMES = (PROJECT / "README.md", PROJECT / "README.zh-CN.md")
PAGES = (*READMES, PROJECT / "CONTRIBUTING.md", *sorted((PROJECT / "docs").glob("*.md")))
GENERATED = {"configurations.md", "command-line.md", "api.md"}
WRITTEN = tuple(path for path in PAGES if path.name not in GENERATED)


def blocks(path: Path, language: str = "") -> list[str]:
    """The fenced blocks of a page whose first line names a language; those that name none by default."""
    text = path.read_text(encoding="utf-8")
    found = re.findall(r"^```(\w*)[^\n]*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [body for named, body in found if named == language]


def commands(path: Path) -> list[list[str]]:
    """The command lines of litspike in a page's blocks, each as its arguments after ``litspike`` or ``main.py``."""
    found = []
    for block in (*blocks(path), *blocks(path, "sh")):
        for line in block.replace("\\\n", " ").splitlines():
            if match := re.match(r"(?:\$ )?(?:litspike|python main\.py) (.*)", line):
                found.append(shlex.split(match[1], comments=True))
    return found
