"""What ``new`` does."""

from __future__ import annotations

import importlib.util
import keyword
import re
from pathlib import Path

from litspike.cli import configurations
from litspike.cli.alone import OneLineParser
from litspike.files import replace_text
from litspike.installation import program
from litspike.settings import UserError

TEMPLATE = Path(__file__).parent / "template"
PARTS = {
    "data": "your data",
    "neuron": "your neuron",
    "network": "your network",
}
"""The modules of a project, and what each holds."""


def new(args: list[str], home: Path) -> int:
    """Write a configuration ``NAME.yaml`` and a folder ``NAME/`` with data, neuron and network of the user's own.

    Args:
        args: the arguments after ``new``.
        home: not needed: the files are written into the current folder, where own classes are found.

    Returns:
        The exit status 0.

    Raises:
        UserError: if the name is no name of a Python module, is taken, or the files can't be written.
    """
    parser = OneLineParser("new", "[-h] NAME")
    parser.add_argument("name", metavar="NAME", help="Name of the configuration and of the folder, such as rings.")
    name = parser.parse_args(args).name
    texts = _texts(_checked(name))
    Path(name).mkdir()
    for path, (text, about) in texts.items():
        replace_text(Path(path), text)
        print(f"{path:{max(map(len, texts))}}  {about}")
    print(f"\ntrain it: {program()} fit -c {name}")
    return 0


def _checked(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z]\w*", name, re.ASCII) or keyword.iskeyword(name):
        raise UserError(f"new: {name!r} can't name a Python module: use letters, digits and _, as in my_rings")
    for path in (Path(name), Path(f"{name}.yaml")):
        if path.exists() or path.is_symlink():
            raise UserError(f"new: {path} is there already: choose another name")
    if importlib.util.find_spec(name) is not None:
        raise UserError(f"new: Python has a module called {name} already: choose another name")
    if own := configurations.own(name):
        raise UserError(f"new: litspike has a configuration called {own.stem} already: choose another name")
    return name


def _texts(name: str) -> dict[str, tuple[str, str]]:
    """The text of each file, and what it is."""
    settings = (TEMPLATE / "NAME.yaml").read_text(encoding="utf-8").replace("NAME", name)
    parts = {
        f"{name}/{part}.py": ((TEMPLATE / f"{part}.py").read_text(encoding="utf-8"), about)
        for part, about in PARTS.items()
    }
    return {f"{name}.yaml": (settings, "the configuration"), **parts}
