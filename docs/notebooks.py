"""Runs the notebooks in docs/learn, which are Python with cells (jupytext's percent format), and makes pages of them.

python docs/notebooks.py docs/learn/1-spikes.py     # its page and its pictures, beside it
"""

from __future__ import annotations

import io
import os
import re
import sys
import tempfile
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from unittest import mock

_CELL = re.compile(r"^# %%(?P<text> \[markdown\])?\n", re.MULTILINE)


def cells(source: str) -> list[tuple[str, str]]:
    """The cells of a notebook, each as ``text`` or ``code`` and its content."""
    parts = _CELL.split(source)[1:]
    found = []
    for marker, content in zip(parts[::2], parts[1::2], strict=True):
        if marker:
            lines = [line.removeprefix("#").removeprefix(" ") for line in content.strip().splitlines()]
            found.append(("text", "\n".join(lines)))
        else:
            found.append(("code", content.strip()))
    return found


def page(notebook: Path, pictures: Path) -> str:
    """Run a notebook from top to bottom in an empty folder, and return it as Markdown with what its cells print.

    Args:
        notebook: its file.
        pictures: the folder for what its cells draw, as ``NOTEBOOK-1.png`` and so on.
    """
    source, pictures = notebook.read_text(encoding="utf-8"), pictures.resolve()
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    pictures.mkdir(parents=True, exist_ok=True)
    names: dict[str, object] = {"__name__": notebook.stem}
    parts, number = [], 0
    pyplot.close("all")
    # its commands are those of somebody who has installed litspike
    with tempfile.TemporaryDirectory() as folder, chdir(folder), mock.patch.object(sys, "argv", ["litspike"]):
        for kind, content in cells(source):
            if kind == "text":
                parts.append(content)
                continue
            parts.append(f"```python\n{content}\n```")
            printed = _run(content, names, str(notebook))
            if printed:
                parts.append(f"```text\n{printed}\n```")
            for figure in map(pyplot.figure, pyplot.get_fignums()):
                number += 1
                name = f"{notebook.stem}-{number}.png"
                figure.savefig(pictures / name, dpi=110)
                parts.append(f"![What the cell above draws]({pictures.name}/{name})")
            pyplot.close("all")
    return "\n\n".join(parts) + "\n"


def _run(code: str, names: dict[str, object], where: str) -> str:
    """What a cell prints, on standard output and standard error."""
    output = io.StringIO()
    with redirect_stdout(output), redirect_stderr(output):
        exec(compile(code, where, "exec"), names)
    return "\n".join(line.rstrip() for line in output.getvalue().strip("\n").splitlines())


if __name__ == "__main__":
    for given in map(Path, sys.argv[1:]):
        text = page(given, given.parent / "pictures")
        given.with_suffix(".md").write_text(text, encoding="utf-8")
        os.write(1, f"{given.with_suffix('.md')}\n".encode())
