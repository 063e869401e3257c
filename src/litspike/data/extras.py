"""Libraries that only some data need, imported at their first use."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from litspike.installation import installing
from litspike.settings import UserError


def library(module: str, package: str, extra: str, purpose: str) -> ModuleType:
    """Import a module of an optional library.

    Args:
        module: what to import, such as ``sklearn.datasets``.
        package: what pip calls the library.
        extra: the extra of litspike that brings it.
        purpose: what needs it, for the message.

    Raises:
        UserError: if it is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        if isinstance(error, ModuleNotFoundError):
            raise UserError(f"{purpose} needs {package}: {installing(extra)}") from error
        raise UserError(f"{purpose} needs {package}, which can't be imported here ({error})") from error
