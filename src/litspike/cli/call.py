"""The arguments of one call, as far as they must be known before they are parsed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

SUBCOMMANDS = ("fit", "validate", "test", "predict", "picture")


class Call:
    """What a command line says of subcommand, checkpoint and experiment.

    Args:
        args: the arguments after the program's name.
    """

    def __init__(self, args: list[str]) -> None:
        self.args = args
        self.subcommand = next((arg for arg in args if arg in SUBCOMMANDS), None)
        self.asks_for_help = any(arg in ("-h", "--help") or ".help" in arg or "--print_config" in arg for arg in args)

    def _pairs(self) -> Iterator[tuple[str, str]]:
        """Each option with the argument that follows it or stands behind its equals sign."""
        for place, arg in enumerate(self.args):
            if "=" in arg:
                name, value = arg.split("=", 1)
                yield name, value
            elif arg.startswith("-") and place + 1 < len(self.args):
                yield arg, self.args[place + 1]

    def option(self, name: str) -> str | None:
        """The value of an option, the last where it is given several times; None where it is not given."""
        return dict(self._pairs()).get(name)

    @property
    def configs(self) -> list[str]:
        """The configuration files that were given."""
        return [value for name, value in self._pairs() if name in ("-c", "--config")]

    @property
    def options(self) -> list[str]:
        """Names of the settings that were given, without dashes."""
        return [arg.split("=")[0].lstrip("-") for arg in self.args if arg.startswith("--")]

    @property
    def experiment(self) -> str | None:
        """Name of the configuration file that was given; runs are filed under it."""
        return Path(self.configs[-1]).stem if self.configs else None

    def without(self, *names: str) -> list[str]:
        """The arguments after the subcommand, without an option and its value."""
        kept: list[str] = []
        skip = False
        for arg in self.args[self.args.index(str(self.subcommand)) + 1 :]:
            if skip:
                skip = False
            elif arg in names:
                skip = True
            elif arg.split("=")[0] not in names:
                kept.append(arg)
        return kept

    def on_top_of(self, config: dict[str, Any], checkpoint: Path) -> list[str]:
        """The arguments to parse where a checkpoint is used: its run's configuration, then what was typed.

        A configuration file on the command line counts where a checkpoint was named as well; without one it said
        whose runs to look at, and the run's own configuration holds what it said.
        """
        named = self.option("--ckpt_path")
        kept = self.without("--ckpt_path") if named else self.without("--ckpt_path", "-c", "--config")
        base = ["--config", yaml.safe_dump(config)] if config else []
        return [str(self.subcommand), *base, *kept, "--ckpt_path", str(checkpoint)]
