"""What ``new`` does."""

from __future__ import annotations

import importlib.util
import keyword
import re
from contextlib import suppress
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
    """Write a configuration ``NAME.yaml`` and a folder ``NAME/`` with data, neuron and network of the user's own; or,
    of a file with data, the configuration that suits it alone.

    Args:
        args: the arguments after ``new``.
        home: not needed: the files are written into the current folder, where own classes are found.

    Returns:
        The exit status 0.

    Raises:
        UserError: if the name is no name of a Python module, is taken, or the files can't be written; if nothing can
            be learned from the data.
    """
    parser = OneLineParser("new", "[-h] NAME | --data FILE [--label COLUMN ...] [NAME]")
    about = "Name of the configuration, and of the folder, such as rings; by default that of the file."
    parser.add_argument("name", metavar="NAME", nargs="?", help=about)
    parser.add_argument("--data", metavar="FILE", help="Table, arrays, time series or folder of images to look at.")
    about = "Column of a table that is the label; can be given several times; by default guessed."
    parser.add_argument("--label", metavar="COLUMN", action="append", default=[], help=about)
    given = parser.parse_args(args)
    if given.data is not None:
        return _for_data(Path(given.data).expanduser(), given.label, given.name)
    if given.label:
        raise UserError("new: --label is for --data FILE")
    if given.name is None:
        raise UserError("new: say a name, as in `new rings`, or a file, as in `new --data my.csv`")
    name = given.name
    texts = _texts(_checked(name))
    _write(name, {Path(path): text for path, (text, _) in texts.items()})
    for path, (_, about) in texts.items():
        print(f"{path:{max(map(len, texts))}}  {about}")
    print(f"\ntrain it: {program()} fit -c {name}")
    return 0


def _write(folder: str, texts: dict[Path, str]) -> None:
    """Make a folder and write files, all of them or none; raises :class:`UserError`."""
    written: list[Path] = []
    try:
        Path(folder).mkdir()
        for path, text in texts.items():
            replace_text(path, text)
            written.append(path)
    except OSError as error:
        with suppress(OSError):
            for path in written:
                path.unlink()
            Path(folder).rmdir()
        raise UserError(f"new: {folder} can't be written ({error.strerror})") from None


def _for_data(path: Path, label: list[str], name: str | None) -> int:
    """Write the configuration that suits a file, once its data were read with it."""
    from litspike.cli.new.configuration import arguments, configuration, name_for, summary
    from litspike.cli.new.profile import profile
    from litspike.data import Arrays  # it needs Lightning, which takes seconds to import

    found = profile(path, label)
    if label and name in found.columns:
        several = f"--label {label[-1]} --label {name}"
        raise UserError(f"new: {name!r} is a column of {path}: several labels are {several}; else choose another NAME")
    name = name_for(path) if name is None else name
    if not re.fullmatch(r"[\w.-]+", name):
        raise UserError(f"new: {name!r} can't name a configuration: use letters, digits, - and _")
    target = Path(f"{name}.yaml")
    if target.exists() or target.is_symlink():
        raise UserError(f"new: {target} is there already: choose another name, as in `new --data {path} NAME`")
    text = configuration(found, name)
    Arrays(**arguments(text)).setup("fit")
    replace_text(target, text)
    print(f"{target}  {path}: {summary(found)[0]}", *(f"  {line}" for line in summary(found)[1:]), sep="\n")
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
