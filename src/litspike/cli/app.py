"""The parser of one command line, and the configuration that it comes to: LightningCLI, which runs nothing here."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from lightning import LightningDataModule, LightningModule
from lightning.pytorch.cli import LightningCLI

from litspike.cli.arguments import Call
from litspike.cli.check.arguments import check_form
from litspike.cli.help import GROUPS
from litspike.cli.parser import Parser, ParserExit
from litspike.cli.parser_errors import parser_message
from litspike.cli.schedules import take_chains
from litspike.cli.trainer.convert import add_convert_arguments
from litspike.cli.trainer.export import add_export_arguments
from litspike.internals.jsonargparse import setting_names
from litspike.internals.lightning import read_integers_first
from litspike.seeding import seed_in_range
from litspike.settings import ParseError, named_settings


class LitspikeCLI(LightningCLI):
    """Parser and configuration of one command.

    Lightning's own subcommands are not used: its parser would be one of parsers, and its constructor would run the
    command. What is made of the configuration, and when, is :mod:`litspike.cli.command`'s and the subcommands'.

    Args:
        call: the command line, with a subcommand.
        default: path of the configuration that every other one is a difference from.
        files: the settings in the configuration files, the default's first.
        base: the configuration in a checkpoint and the checkpoint's path, which what is typed comes on top of; None
            where there is no checkpoint.

    Raises:
        UserError: if the parser takes an argument or a file for wrong, or would overlook it.
    """

    def __init__(
        self, call: Call, default: str, files: list[dict[str, Any]], base: tuple[dict[str, Any], Path] | None
    ) -> None:
        take_chains()
        read_integers_first()
        self.call, self.files, self.base = call, files, base
        super().__init__(
            LightningModule,
            LightningDataModule,
            subclass_mode_model=True,
            subclass_mode_data=True,
            save_config_callback=None,
            parser_class=Parser,
            parser_kwargs={"default_config_files": [default], "allow_abbrev": False},
            args=call.arguments if base is None else call.on_top_of(*base),
            run=False,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,  # a checkpoint has its run's whole configuration
        )

    def add_arguments_to_parser(self, parser: Any) -> None:
        """Add what there is beside trainer, model and data."""
        parser.add_argument("--logs", type=str | None)
        if self.call.subcommand == "fit":
            parser.add_argument("--seeds", type=int | None)
            parser.add_argument("--weights", type=str | None)
        if self.call.subcommand == "export":
            add_export_arguments(parser)
        if self.call.subcommand == "convert":
            add_convert_arguments(parser)
        parser.add_argument("--trust", action="append")
        parser.add_argument("--threads", type=int | None)
        for name, group in GROUPS.items():
            parser.add_lightning_class_args(group, name)
        parser.add_argument("--checkpoint.monitor", type=str, default="val/loss")
        parser.add_argument("--checkpoint.mode", type=Literal["min", "max"] | None, default=None)
        parser.add_argument("--ckpt_path", type=str | None)

    def parse_arguments(self, parser: Any, args: Any) -> None:
        """Parse, and refuse in one line what is wrong."""
        known = setting_names(parser)
        check_form(self.call, self.files, known)
        try:
            self.config = parser.parse_args(args)
        except ParserExit as error:
            default, *filed = self.files
            settings = [*reversed(filed), *([self.base[0]] if self.base else [])]
            given = [*self.call.settings, *(setting for one in settings for setting in named_settings(one))]
            known += [name for name, _ in named_settings(default)]
            raise ParseError(parser_message(str(error), given, known)) from error
        self.config.pop("trust", None)  # of this call, not of the run
        if not isinstance(seed := self.config.get("seed_everything"), bool):
            seed_in_range("seed_everything", seed)

    def instantiate_classes(self) -> None:
        """Nothing is made yet."""
