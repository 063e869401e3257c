"""The argument parser: its errors are exceptions with the whole message."""

from __future__ import annotations

from typing import Any, NoReturn

from lightning.pytorch.cli import LightningArgumentParser


class ParserExit(SystemExit):
    """Arguments that can't be parsed, in jsonargparse's own words, over several lines."""


class Parser(LightningArgumentParser):
    """Lightning's parser, which raises :class:`ParserExit` where that one prints its usage and exits.

    An exit, since jsonargparse tries several types for a value and takes any other exception for a try that failed.
    """

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        raise ParserExit(message) from ex

    def parse_args(self, args: Any = None, *more: Any, **kwargs: Any) -> Any:
        """Parse; a ``null`` two classes deep arrives here as the text None, for jsonargparse has formatted it again."""
        if isinstance(args, list):
            args = [arg.removesuffix("None") + "null" if arg.endswith("=None") else arg for arg in args]
        return super().parse_args(args, *more, **kwargs)
