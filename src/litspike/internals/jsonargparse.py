"""What litspike uses of jsonargparse's private parts."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jsonargparse
from jsonargparse import _common
from jsonargparse._loaders_dumpers import get_yaml_default_loader


def yaml_loader() -> Any:
    """The class that reads every YAML text for jsonargparse, a value on the command line among them.

    ``set_loader`` replaces what reads files, and not what reads values.
    """
    return get_yaml_default_loader()  # type: ignore[no-untyped-call]  # jsonargparse leaves it untyped


@contextmanager
def limited_imports(allowed: list[str], denied: list[str]) -> Iterator[None]:
    """Let jsonargparse import only what is allowed, and make nothing in a place without a type.

    ``set_parsing_settings`` has no way back, and other calls in this process may have other limits: what it changes is
    put back here.

    Args:
        allowed: packages.
        denied: parts of these that are not allowed.
    """
    before = dict(_common.parsing_settings)
    try:
        jsonargparse.set_parsing_settings(
            import_path_denylist=["*", *denied],
            import_path_allowlist=allowed,
            instantiate_subclass_spec_in_any=False,
        )
        yield
    finally:
        _common.parsing_settings.update(before)


def setting_names(parser: argparse.ArgumentParser) -> list[str]:
    """Full names of all settings of a parser, with dots; argparse has no list of its arguments."""
    return [action.dest for action in parser._actions]
