"""The arguments of one call, taken apart once: the parser gets them in a form that leaves no choice."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from litspike.cli import configurations
from litspike.cli.missing import plain
from litspike.installation import program
from litspike.runs import yaml_text
from litspike.runs.folder import BEST, LAST
from litspike.runs.resolve import CheckpointRequest

SUBCOMMANDS = {
    "fit": "Trains a network, and keeps the checkpoint that is best on the validation data.",
    "sweep": "Tries settings from a search space, one fit each, and shows those that are best on the validation data.",
    "validate": "Measures a checkpoint on the validation data.",
    "test": "Measures a checkpoint on the test data, and writes its receipt.",
    "predict": "Writes a checkpoint's predictions for the test data into predictions.csv.",
    "picture": "Draws a network and its neurons on validation data, into files.",
    "convert": "Turns a checkpoint's ReLU network into a spiking network, to be tested and fine-tuned.",
    "export": "Writes a checkpoint in another format, runs it there, and reports any difference.",
}
"""The subcommands that have a trainer, and what each does."""
_CONFIG = "--config"
_SWITCHES = ("--approximate",)  # they are on where they are named
_NO_CLASSES = ("--ckpt_path", _CONFIG, "--logs", "--trust")
_CLASS = re.compile(r"(?:\w+\.)*[A-Z]\w*")
_NUMBER = re.compile(r"-\.?\d")


@dataclass(frozen=True)
class Word:
    """An option with its value, or an argument that belongs to none."""

    name: str | None
    """The option with its dashes; None of an argument that belongs to none."""
    value: str | None
    """What follows the option or stands behind its equals sign, or the argument; None where there is nothing."""

    @property
    def asks_for_help(self) -> bool:
        """Whether it is the option ``--help``, that of a class, as ``--model.help``, or ``--print_config``."""
        return self.name is not None and (self.name in ("--help", "--print_config") or self.name.endswith(".help"))

    @property
    def asks_for_help_text(self) -> bool:
        """Whether it asks for a text that explains: all that :attr:`asks_for_help` says but ``--print_config``."""
        return self.asks_for_help and self.name != "--print_config"

    @property
    def argument(self) -> str:
        """The same as one argument."""
        return "=".join(part for part in (self.name, self.value) if part is not None)


def words(args: list[str]) -> list[Word]:
    """Take arguments apart: an option's value follows it, unless that is an option too, or an equals sign joins them.

    An argument that begins with a dash and no digit is an option; behind an equals sign any value may stand.
    """
    found: list[Word] = []
    rest = list(args)
    while rest:
        arg = rest.pop(0)
        if arg == "--":
            return [*found, *(Word(None, other) for other in rest)]
        if not _is_option(arg):
            found.append(Word(None, arg))
            continue
        if not arg.startswith("--"):  # -c FILE, -cFILE and -c=FILE
            name, equals, value = arg[:2], arg[2:3], arg[2:].removeprefix("=")
        else:
            name, equals, value = arg.partition("=")
        word = Word({"-c": _CONFIG, "-h": "--help"}.get(name, name), value if equals else None)
        takes = not equals and word.name not in ("--help", "--print_config")
        if takes and rest and not _is_option(rest[0]) and rest[0] != "--":
            word = Word(word.name, rest.pop(0))
        if word.name in _SWITCHES and word.value is None:
            word = Word(word.name, "true")
        found.append(word)
    return found


def _is_option(arg: str) -> bool:
    return arg.startswith("-") and len(arg) > 1 and arg != "--" and not _NUMBER.match(arg)


class Call:
    """What a command line says of subcommand, checkpoint and experiment.

    Args:
        args: the arguments after the program's name.
        home: folder with ``configs/``, where configurations are looked for by name; None where there is none.
    """

    def __init__(self, args: list[str], home: Path | None = None) -> None:
        found = words(args)
        at = next((at for at, word in enumerate(found) if word.name is None), None)
        first = None if at is None else found[at].value
        self.subcommand = first if first in SUBCOMMANDS else None
        self.unknown = first if self.subcommand is None else None
        if self.subcommand and at is not None:
            del found[at]
        self.words, self._home = found, home
        self.asks_for_help = any(word.asks_for_help for word in found)

    @property
    def typed_classes(self) -> dict[str, Any]:
        """The classes that were given on the command line, as a configuration has them."""
        config: dict[str, Any] = {}
        for word in self.words:
            if word.asks_for_help or not _CLASS.fullmatch(word.value or ""):
                continue
            *path, last = (word.name or "").removeprefix("--").removesuffix(".class_path").split(".")
            place = config
            for part in path:
                place = place.setdefault(part, {}).setdefault("init_args", {})
            place[last] = {"class_path": word.value}
        return config

    def option(self, name: str) -> str | None:
        """The value of an option, the last where it is given several times; None where it is not given."""
        return next((word.value for word in reversed(self.words) if word.name == name), None)

    def in_files(self, name: str) -> Any:
        """The value of a setting of the first level in the configuration files, the last where several have it."""
        return next((value for path in reversed(self.configs) if (value := yaml_text.read(path).get(name))), None)

    @property
    def logs(self) -> str | None:
        """The folder of all runs, from the command line or else a configuration file."""
        typed, filed = self.option("--logs"), self.in_files("logs")
        return typed if typed is not None or filed is None else str(filed)

    @property
    def configs(self) -> list[str]:
        """The configuration files that were given, those given by name with their paths."""
        return [configurations.find(name, self._home) for name in self.named]

    @property
    def named(self) -> list[str]:
        """The configuration files as they were given."""
        return [word.value or "" for word in self.words if word.name == _CONFIG]

    @property
    def options(self) -> list[str]:
        """Names of the settings that were given, without dashes."""
        return [word.name.lstrip("-").removesuffix("+") for word in self.words if word.name]

    @property
    def settings(self) -> list[tuple[str, Any]]:
        """The same with their values, the last first."""
        named = [(word.name.lstrip("-").removesuffix("+"), word.value) for word in self.words if word.name]
        return [(name, plain(value)) for name, value in reversed(named)]

    @property
    def class_values(self) -> list[str]:
        """The values that may name classes: all but those of options that take a path or a package."""
        return [word.value or "" for word in self.words if word.name not in _NO_CLASSES]

    @property
    def trusted(self) -> list[str]:
        """The packages that the user trusts."""
        return [word.value or "" for word in self.words if word.name == "--trust"]

    @property
    def experiment(self) -> str | None:
        """Name of the configuration file that was given; runs are filed under it."""
        if not self.configs:
            return None
        path = Path(self.configs[-1])
        return path.name if path.stem in (".", "..") else path.stem  # which are other folders

    @property
    def training(self) -> str:
        """The command that trains what this one is about."""
        chosen = [word for name in self.named for word in ("-c", name)]
        logs = self.option("--logs")
        return shlex.join([*program().split(), "fit", *chosen, *(["--logs", logs] if logs else [])])

    @property
    def checkpoint_request(self) -> CheckpointRequest:
        """The checkpoint that is asked for."""
        preferred = (LAST, BEST) if self.subcommand == "fit" else (BEST,)
        return CheckpointRequest(self.option("--ckpt_path"), preferred, self.experiment, self.training)

    @property
    def arguments(self) -> list[str]:
        """The arguments after the subcommand, in the parser's order: the configuration files, what is typed."""
        return self.without()

    def without(self, *names: str) -> list[str]:
        """The arguments after the subcommand, without some options and their values.

        Configuration files come first, in their order, so that what is typed holds, whatever its place.
        """
        words = [word for word in self.words if word.name not in names]
        words.sort(key=lambda word: word.name != _CONFIG)
        files = iter(self.configs)
        return [f"{_CONFIG}={next(files)}" if word.name == _CONFIG else word.argument for word in words]

    def on_top_of(self, config: dict[str, Any], checkpoint: Path) -> list[str]:
        """The arguments to parse where a checkpoint is used: its run's configuration, then what was typed.

        A configuration file on the command line counts where a checkpoint was named as well; without one it chose the
        experiment, and the run's own configuration has its settings.
        """
        named = self.option("--ckpt_path")
        others = self.without("--ckpt_path") if named else self.without("--ckpt_path", _CONFIG)
        base = [f"{_CONFIG}={yaml.safe_dump(config)}"] if config else []
        return [*base, *others, f"--ckpt_path={checkpoint}"]
