"""Writes the pages of the site that follow from the sources: settings, command line, API, neurons, notebooks, zoo."""

from __future__ import annotations

import importlib
import re
import shutil
import sys
from functools import partial
from pathlib import Path
from typing import Any

import griffe
import yaml

from litspike.cli import alone, configurations
from litspike.cli.arguments import SUBCOMMANDS
from litspike.cli.help import of_class, of_command, overview, without_roles
from litspike.installation import CONFIGURATIONS, ZOO, trained_names

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))  # MkDocs loads this file by its path

from docs import notebooks, traces

PACKAGES = {
    "litspike": "Neurons, surrogates, encoders, readouts and networks; every name below is there, or in its package.",
    "litspike.neurons": "Models of neurons, each the mathematics of one time step.",
    "litspike.surrogates": "What stands in for the derivative of a spike.",
    "litspike.networks": "Networks: layers without a state, and layers of neurons between them.",
    "litspike.coding": "Encoders from samples to currents or spikes, and readouts from outputs to answers.",
    "litspike.data": "Data modules: data sets, and your own files.",
    "litspike.tasks": "Tasks and losses.",
    "litspike.metrics": "Metrics of spikes and what they cost.",
}
"""The packages in the reference, and what is in each."""


class Markdown(griffe.Extension):
    """Makes the docstrings Markdown: their roles, their literal blocks and their examples."""

    def on_instance(self, *, obj: Any, **_: Any) -> None:
        """Change the text of one docstring."""
        if obj.docstring is not None:
            text = without_roles(obj.docstring.value)
            obj.docstring.value = re.sub(r"^Example:$", "Examples:", text, flags=re.MULTILINE)


def page_of_configurations() -> str:
    """Every configuration that comes with litspike, as its file has it."""
    parts = ["# Configurations\n\n`litspike configs` lists them; `litspike fit -c NAME` takes one by its name.\n"]
    for path in sorted(CONFIGURATIONS.glob("*.yaml")):
        about = configurations.sentence(path)
        parts.append(f"## {path.stem}\n\n{about}.\n\n```yaml\n{path.read_text(encoding='utf-8').rstrip()}\n```\n")
    return "\n".join(parts)


def page_of_the_command_line() -> str:
    """What each command's help says."""
    default = [yaml.safe_load((CONFIGURATIONS / "default.yaml").read_text(encoding="utf-8"))]
    texts = {"litspike --help": overview()}
    texts |= {f"litspike {name} --help": of_command(name, default) for name in SUBCOMMANDS}
    texts["litspike fit --trainer.help"] = of_class("trainer", None, default)
    parts = ["# Command line\n"]
    for command, text in texts.items():
        parts.append(f"## {command}\n\n```text\n{text.replace('python main.py', 'litspike')}\n```\n")
    others = ", ".join(f"`litspike {name} --help`" for name in alone.COMMANDS)
    return "\n".join([*parts, f"The others say what they take by {others}.\n"])


def page_of_the_api() -> str:
    """The public names of each package, from their docstrings."""
    parts = ["# API\n"]
    seen: set[object] = set()
    for package, about in PACKAGES.items():
        module = importlib.import_module(package)
        names = [name for name in getattr(module, "__all__", []) if package != "litspike" or name == "load"]
        if package == "litspike.surrogates":
            names = [name for name, thing in vars(module).items() if getattr(thing, "__module__", "") == package]
            names = [name for name in names if isinstance(vars(module)[name], type) and not name.startswith("_")]
        parts.append(f"## {package}\n\n{about}\n")
        for name in names:
            thing = getattr(module, name)
            if id(thing) not in seen:
                seen.add(id(thing))
                parts.append(f"::: {package}.{name}\n    options:\n      heading_level: 3\n")
    return "\n".join(parts)


def page_of_the_zoo() -> str:
    """The table of trained networks, and a picture of each."""
    text = re.sub(r"\]\((\w+)/receipt\.md\)", r"](#\1)", (ZOO / "README.md").read_text(encoding="utf-8"))
    parts, pictures = [text], HERE / "zoo"
    pictures.mkdir(exist_ok=True)
    for name in trained_names():
        shutil.copyfile(ZOO / name / "pictures" / "one-sample.png", pictures / f"{name}.png")
        parts.append(f"## {name}\n\n![One sample through the network {name}](zoo/{name}.png)\n")
    return "\n".join(parts)


NOTEBOOKS = sorted((HERE / "learn").glob("*.py"))

GENERATED = {
    "configurations.md": page_of_configurations,
    "command-line.md": page_of_the_command_line,
    "api.md": page_of_the_api,
    "equations.md": lambda: traces.page(HERE / "equations"),
    "zoo.md": page_of_the_zoo,
    **{f"learn/{path.stem}.md": partial(notebooks.page, path, HERE / "learn" / "pictures") for path in NOTEBOOKS},
}
"""The pages, and what writes each."""


def on_pre_build(config: dict[str, object]) -> None:
    """Write the pages before MkDocs reads them."""
    for name, write in GENERATED.items():
        path, text = Path(str(config["docs_dir"])) / name, write()
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Give a block that is a file its name as title; MkDocs shows one with a second word as plain text."""
    return re.sub(r"^```(\w+) (\S+)$", r'```\1 title="\2"', markdown, flags=re.MULTILINE)
