"""Whose classes are made: of a configuration that came in an untrusted checkpoint, only harmless ones.

A checkpoint of the user's own is trusted wholly, as a configuration file is that the user names. Of any other the
configuration may name litspike's classes, torch's layers, optimizers and schedulers, and torchmetrics'; what the
user's command line or files name; and what is inside a package that the user trusts by ``--trust``. Nothing else is
imported, whatever the way that jsonargparse would take to it.
"""

from __future__ import annotations

import inspect
import pkgutil
import re
from collections.abc import Iterable, Iterator
from typing import Any

import yaml
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from litspike.settings import UserError

_OURS = tuple(
    f"litspike.{name}" for name in ("neurons", "networks", "coding", "surrogates", "data", "tasks", "metrics")
)
_METRICS = tuple(f"torchmetrics.{name}" for name in ("aggregation", "classification", "regression"))
"""Those that compute from what they are given alone: others download models, or read pictures and sound."""
_HARMLESS = {"lightning.pytorch.cli.ReduceLROnPlateau"}
"""Lightning's classes that neither write nor start anything."""
_BEGINNINGS = ("litspike.", "torch.nn.", "torch.optim.", "torchmetrics.")
_IMPORTABLE = ["litspike", "torch.nn", "torch.optim", "lightning", "torchmetrics"]
"""What jsonargparse may import: packages that are installed beside litspike. What it may make of them is less."""
BEHIND = ["torchmetrics.functional", "torchmetrics.image", "torchmetrics.audio", "torchmetrics.text"]
BEHIND += ["torchmetrics.multimodal", "torchmetrics.wrappers", "torchmetrics.utilities", "torchmetrics.video"]
_DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")


class Trust:
    """What a user trusts beside litspike's own.

    Args:
        named: full names of classes that the user named.
        packages: packages, modules or classes whose whole content the user trusts.

    Raises:
        UserError: if a package is no name.
    """

    def __init__(self, named: set[str], packages: list[str]) -> None:
        for package in packages:
            if not all(part.isidentifier() for part in package.split(".")):
                raise UserError(f"trust: {package!r} is no name of a package")
        self.named, self.packages = named, packages

    @classmethod
    def of(cls, typed: Iterable[str], packages: Iterable[str], files: list[dict[str, Any]]) -> Trust:
        """The trust that a command line and configuration files declare.

        Args:
            typed: the values on the command line that may name classes.
            packages: those of ``--trust``.
            files: the settings in the configuration files.
        """
        values = [_value(text) for text in typed]
        named = {text for value in [*values, *files] for text in _texts(value) if _DOTTED.fullmatch(text)}
        packages = list(packages)
        for settings in files:
            listed = settings.get("trust") or []
            packages += listed if isinstance(listed, list) else [listed]
        return cls(named, [str(package) for package in packages])

    def allows(self, name: str) -> bool:
        """Whether a class may be made of an untrusted configuration."""
        if name in self.named or name in _HARMLESS:
            return True
        if any(name == package or name.startswith(f"{package}.") for package in self.packages):
            return True
        return name.startswith(_BEGINNINGS) and _harmless(name)

    @property
    def importable(self) -> list[str]:
        """The packages of everything that is allowed."""
        return [*_IMPORTABLE, *self.packages, *({name.split(".")[0] for name in self.named} - {"jsonargparse"})]

    @property
    def roots(self) -> set[str]:
        """Names of the packages of the first level in :attr:`importable`."""
        return {name.split(".")[0] for name in self.importable}


def _harmless(name: str) -> bool:
    """Whether a name inside litspike, torch or torchmetrics is that of a class that only computes."""
    try:
        thing = pkgutil.resolve_name(name)
    except Exception:
        return False
    home = f"{getattr(thing, '__module__', '')}."
    if inspect.isfunction(thing):
        return home.startswith("litspike.tasks.")
    if not inspect.isclass(thing):
        return False
    if home.startswith("torch.optim."):
        return issubclass(thing, Optimizer | LRScheduler | ReduceLROnPlateau)
    if home.startswith("torch.nn.modules."):
        return issubclass(thing, nn.Module)
    return home.startswith(tuple(f"{place}." for place in (*_OURS, *_METRICS)))


def _value(text: str) -> Any:
    """What a text on the command line stands for."""
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        return text


def _texts(value: Any) -> Iterator[str]:
    """Every text in nested settings."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part)


def not_trusted(name: str) -> str:
    """What to say of a class that is not allowed."""
    return f"{name} isn't trusted: add --trust {name.split('.')[0]} if you trust it"
