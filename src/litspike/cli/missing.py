"""What jsonargparse doesn't say of a class: the full name of an argument that it needs, a method that it lacks.

It is a file of its own, as :mod:`litspike.cli.parser_errors` reads texts and this looks at classes.
"""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import Any

import yaml
from lightning import LightningDataModule, LightningModule
from lightning.pytorch import callbacks
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

_SOME = 6
"""Names of classes that are shown."""

_UNMARKED: dict[type, tuple[tuple[str, ...], ...]] = {
    Optimizer: (("step",),),
    LRScheduler: (("get_lr", "step"),),
    LightningModule: (("training_step", "validation_step", "test_step", "predict_step"),),
    LightningDataModule: (("train_dataloader", "val_dataloader", "test_dataloader", "predict_dataloader"),),
    callbacks.BaseFinetuning: (("freeze_before_training",), ("finetune_function",)),
    callbacks.BasePredictionWriter: (("write_on_batch_end", "write_on_epoch_end"),),
}
"""Base class that isn't marked as abstract → methods of which a class below must have its own, one of each group."""
_ALONE: dict[type, str] = {nn.Module: "forward", callbacks.ProgressBar: "print"}
"""Base class that has no use alone → what it lacks. A class below may do without, as ``nn.ModuleList`` does."""


def full_name(argument: str, given: Iterable[tuple[str, Any]]) -> str:
    """Where a class that needs an argument is named without it; the argument alone where that isn't known.

    Args:
        argument: the argument's name.
        given: names and values of settings, those that hold first.
    """
    settings: dict[str, Any] = {}
    for name, value in given:
        for part, inner in parts(name, value):
            settings.setdefault(part, inner)
    for place, value in settings.items():
        if f"{place}.{argument}" not in settings and any(_needs(kind, argument) for kind in _classes(value)):
            return f"{place}.{argument}"
    return argument


def unfinished(path: Any) -> str | None:
    """What a class lacks that is there to derive others from; None of one that can be used.

    Args:
        path: the class's, in full, or its name.
    """
    if not (methods := ", ".join(sorted({name for kind in _classes(path) for name in _lacking(kind)}))):
        return None
    return f"{path} has no method {methods}: give it what it lacks, or take a class that has all"


def _lacking(kind: type) -> Iterator[str]:
    """The methods that a class must have before one of it can be used, and hasn't."""
    yield from getattr(kind, "__abstractmethods__", ())
    for base, groups in _UNMARKED.items():
        for names in groups if issubclass(kind, base) else ():
            if all(getattr(kind, name) is getattr(base, name) for name in names):
                yield " or ".join(names)
    if kind in _ALONE:
        yield _ALONE[kind]


def remedy(name: str) -> str:
    """What to take where a class of litspike's is asked for that is called so; empty of anybody else's."""
    base = next((kind for kind in _classes(name) if kind.__module__.startswith("litspike.")), None)
    if base is None:
        return ""
    package = ".".join(base.__module__.split(".")[:2])
    public = vars(import_module(package))
    below = [kind.__name__ for kind in _all_below(base, set()) if not inspect.isabstract(kind)]
    there = sorted(one for one in below if one in public)
    some = f"{', '.join(there[:_SOME])}{', …' if there[_SOME:] else ''} or " if there else ""
    return f": take {some}a class derived from {package if name in public else base.__module__}.{name}"


def plain(text: str | None) -> Any:
    """The value of an option, as a configuration file would hold it."""
    try:
        return yaml.safe_load(text or "")
    except (yaml.YAMLError, ValueError, RecursionError):
        return text


def parts(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """A setting and those inside it; of a class the setting's value is its path."""
    if isinstance(value, dict):
        yield name, value.get("class_path")
        for key, inner in value.items():
            if key != "class_path":
                yield from parts(name if key == "init_args" else f"{name}.{key}", inner)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from parts(f"{name}[{index}]", inner)
    else:
        yield name.removesuffix(".class_path"), value


def _classes(path: Any) -> list[type]:
    """The class of a full path, or those that are called so."""
    if not isinstance(path, str):
        return []
    if "." in path:
        try:
            found = pkgutil.resolve_name(path)
        except (ValueError, ImportError, AttributeError):
            return []
        return [found] if inspect.isclass(found) else []
    return [kind for kind in _all_below(object, set()) if kind.__name__ == path]


def _all_below(kind: type, seen: set[type]) -> set[type]:
    below: type
    for below in type.__subclasses__(kind):
        if below not in seen:
            seen.add(below)
            _all_below(below, seen)
    return seen


def _needs(kind: type, argument: str) -> bool:
    try:
        parameter = inspect.signature(kind).parameters.get(argument)
    except (TypeError, ValueError):  # one of C's
        return False
    return parameter is not None and parameter.default is parameter.empty
