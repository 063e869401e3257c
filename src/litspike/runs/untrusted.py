"""What is used of the configuration in an untrusted checkpoint."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import yaml

from litspike.installation import comes_along
from litspike.runs import yaml_text
from litspike.runs.trust import Trust, not_trusted
from litspike.settings import UserError, setting_name
from litspike.terminal import one_line

log = logging.getLogger(__name__)

SECTIONS = (
    *("seed_everything", "threads", "console", "pictures", "checkup"),
    *("calibrate", "quantise", "receipt", "checkpoint"),
)
"""Sections taken over beside model and data, and what of the trainer neither writes, starts nor connects anything."""
TRAINER = (
    *("max_epochs", "min_epochs", "max_steps", "min_steps", "max_time", "overfit_batches", "val_check_interval"),
    *("limit_train_batches", "limit_val_batches", "limit_test_batches", "limit_predict_batches"),
    *("check_val_every_n_epoch", "num_sanity_val_steps", "log_every_n_steps", "accumulate_grad_batches"),
    *("gradient_clip_val", "gradient_clip_algorithm", "deterministic", "benchmark", "inference_mode"),
    *("precision", "reload_dataloaders_every_n_epochs", "use_distributed_sampler", "detect_anomaly"),
)
_ACCELERATORS = ("auto", "cpu", "gpu", "cuda", "mps")
_LEFT = ("root", "cache", "workers")
"""Of event data: the folders that archives are unpacked in and binned recordings kept, and the number of processes."""
_FILES = tuple(f"data.init_args.{name}" for name in ("path", "val_path", "test_path"))
"""Files that are read, as data alone."""
_OF_A_CLASS = {"class_path", "init_args", "dict_kwargs"}
_NOTHING: tuple[Any, ...] = (None, False, [], {}, "auto", 1, True, "")


def limited(config: dict[str, Any], checkpoint: Path, trust: Trust) -> dict[str, Any]:
    """What is used of an untrusted configuration; a line says what is not.

    Args:
        config: as the checkpoint has it.
        checkpoint: its file.
        trust: what the user trusts.

    Raises:
        UserError: if it names a class that is not allowed, or hides something in a text.
    """
    taken = {name: config[name] for name in (*SECTIONS, "model", "data") if name in config}
    left = []
    if isinstance(trainer := config.get("trainer"), dict):
        allowed = {name for name in TRAINER if name in trainer and _is_plain(trainer[name])}
        allowed |= {"accelerator"} if trainer.get("accelerator") in _ACCELERATORS else set()
        taken["trainer"] = {name: value for name, value in trainer.items() if name in allowed}
        left += [f"trainer.{name}" for name, value in trainer.items() if name not in allowed and value not in _NOTHING]
    threads = taken.get("threads")
    if isinstance(threads, int) and threads > (os.cpu_count() or 1):
        del taken["threads"]
        left.append("threads")
    data: list[dict[str, Any]] = [taken["data"]] if isinstance(taken.get("data"), dict) else []
    data += [settings for holder in data if isinstance(settings := holder.get("init_args"), dict)]
    left += [f"data.{name}" for name in _LEFT for settings in data if settings.pop(name, None)]
    try:
        _check(taken, "", trust)
    except UserError as error:
        raise UserError(f"{checkpoint.name}: {error}") from None
    keys = [name.rsplit(".", 1)[1] for name in _FILES]
    paths = [str(settings[name]) for name in keys for settings in data if settings.get(name)]
    read = [path for path in paths if not comes_along(path)]
    for verdict, names in (("not taken over", left), ("its data are read from", read)):
        if names:
            line = f"{checkpoint.name} was not made by you: {verdict}: {', '.join(names)}"
            log.warning("litspike: %s", one_line(line))
    return taken


def check_folder(folder: Path) -> None:
    """Refuse links in the folder of an untrusted run: they would lead what is written somewhere else.

    Raises:
        UserError: if there is one.
    """
    for path in (folder, folder / "checkpoints", folder / "pictures"):
        if path.is_symlink():
            raise UserError(f"{path} is a link, in a folder that you didn't make: remove it, or copy the checkpoint")


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, (bool, int, float)) or (isinstance(value, str) and len(value) < 40)


def _check(value: Any, name: str, trust: Trust) -> None:
    """Refuse what an untrusted configuration may not hold, at any depth."""
    if isinstance(value, dict):
        for key, part in value.items():
            _check_key(str(key), name)
            if key == "class_path":
                _check_class(part, name, trust)
            else:
                _check(part, f"{name}.{key}".lstrip("."), trust)
    elif isinstance(value, list):
        for part in value:
            _check(part, name, trust)
    elif isinstance(value, str):
        _check_text(value, name, trust)


def _check_key(key: str, name: str) -> None:
    """Refuse a name that jsonargparse would take apart, or that is one of its own."""
    if key.startswith("__") or key.endswith("+") or ("." in key and _OF_A_CLASS & set(key.split("."))):
        raise UserError(f"{setting_name(name)}: an untrusted configuration may not have the name {key!r}")


def _check_class(path: Any, name: str, trust: Trust) -> None:
    if not isinstance(path, str) or not trust.allows(path):
        raise UserError(f"{setting_name(name)}: {not_trusted(str(path))}")


def _check_text(text: str, name: str, trust: Trust) -> None:
    """Refuse a text that stands for a class that is not allowed, or that hides settings."""
    if name not in _FILES and _names_a_file(text):
        raise UserError(f"{setting_name(name)}: an untrusted configuration may not name the file {text}")
    if "://" in text or "::" in text:  # jsonargparse would fetch it where it expects a class
        raise UserError(f"{setting_name(name)}: an untrusted configuration may not name the address {text}")
    parts = text.split(".")
    if len(parts) > 1 and all(part.isidentifier() for part in parts) and parts[0] in trust.roots:
        _check_class(text, name, trust)
    try:
        yaml_text.check(text)
        hidden = yaml.safe_load(text)
    except yaml_text.YamlMistake:
        hidden = {}
    except (yaml.YAMLError, ValueError, RecursionError):
        return
    if isinstance(hidden, dict) or (isinstance(hidden, list) and not all(isinstance(part, int) for part in hidden)):
        raise UserError(f"{setting_name(name)}: an untrusted configuration may not hide settings in a text")
    if isinstance(hidden, str) and hidden != text:
        _check_text(hidden, name, trust)


def _names_a_file(text: str) -> bool:
    """Whether jsonargparse would read it where it expects a class: standard input, or what is there and no folder."""
    try:
        path = Path(text).expanduser()
        return text == "-" or (path.exists() and not path.is_dir())
    except (OSError, ValueError, RuntimeError):  # too long, with a null, or of an unknown home
        return False
