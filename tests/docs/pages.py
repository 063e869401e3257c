"""README and the pages of the site, and what their fenced blocks hold.

What a block is, its first line says: ``sh`` is commands, ``console`` is commands after ``$`` with what they print
below, ``python`` is a program, ``python NAME.py``, ``yaml NAME.yaml`` and ``c NAME.c`` are files, ``text`` is what the
block before it printed. Comments before a block, which a reader doesn't see, say what isn't plain in it:

    <!-- every fit below: --trainer.max_epochs 1 -->     settings that come before those of each fit, to the page's end
    <!-- before: litspike fit -->                        a command that the block stands on
    <!-- needs: sklearn -->                              a package without which it can't run
    <!-- not run: it needs a GPU -->                     why no test runs it
    <!-- run by: tests/runs/test_signals.py -->          the test that does
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

from tests.conftest import PROJECT

READMES = (PROJECT / "README.md", PROJECT / "README.zh-CN.md")
PAGES = (*READMES, PROJECT / "CONTRIBUTING.md", *sorted((PROJECT / "docs").glob("*.md")))
NOTEBOOKS = tuple(sorted((PROJECT / "docs" / "learn").glob("*.py")))
GENERATED = {
    *("configurations.md", "command-line.md", "api.md", "equations.md", "zoo.md"),
    *(f"learn/{path.stem}.md" for path in NOTEBOOKS),
}
WRITTEN = tuple(path for path in PAGES if path.name not in GENERATED)

LANGUAGES = ("sh", "console", "python", "yaml", "c", "text")
_PART = re.compile(r"^<!-- (?P<mark>[a-z ]+): (?P<said>.*?) -->$|^```(?P<info>[^\n]*)\n(?P<text>.*?)^```$", re.M | re.S)


@dataclass
class Block:
    """One fenced block."""

    page: Path
    line: int
    info: str
    text: str
    marks: dict[str, list[str]] = field(default_factory=dict)

    @property
    def language(self) -> str:
        """The first word of its first line."""
        return self.info.partition(" ")[0]

    @property
    def name(self) -> str:
        """What follows the language: a file's name."""
        return self.info.partition(" ")[2]

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"

    @property
    def left_out(self) -> str | None:
        """Why it isn't run by the runner of blocks; None where it is."""
        return next((said for mark in ("not run", "run by") for said in self.marks.get(mark, [])), None)

    def commands(self) -> list[tuple[str, str]]:
        """Its command lines, each with what it prints, as far as the block shows it."""
        lines = self.text.replace("\\\n", " ").splitlines()
        if self.language == "sh":
            return [(line, "") for line in lines if shlex.split(line, comments=True)]
        found: list[tuple[str, list[str]]] = []
        for line in lines:
            if line.startswith("$ "):
                found.append((line[2:], []))
            elif line:
                found[-1][1].append(line)
        return [(line, "\n".join(printed)) for line, printed in found]


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, each with the marks before it."""
    text, found = page.read_text(encoding="utf-8"), []
    marks: dict[str, list[str]] = {}
    every: list[str] = []
    for part in _PART.finditer(text):
        if part["mark"] == "every fit below":
            every = [part["said"]]
        elif part["mark"] is not None:
            marks.setdefault(part["mark"], []).append(part["said"])
        else:
            line = text.count("\n", 0, part.start()) + 1
            found.append(Block(page, line, part["info"], part["text"], {"every fit below": every, **marks}))
            marks = {}
    assert not marks, f"{page.name}: a mark before no block: {marks}"
    return found
