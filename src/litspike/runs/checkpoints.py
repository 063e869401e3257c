"""Checkpoints: read without running any code in them, compared with the model, written whole or not at all."""

from __future__ import annotations

import errno
import io
import os
import pickle
import shutil
import stat
from pathlib import Path
from typing import Any

import torch
import yaml
from lightning.fabric.plugins import TorchCheckpointIO

from litspike import memory
from litspike.files import replacing
from litspike.runs.contents import KEY, check, inside
from litspike.runs.signature import Damaged, sign, verify
from litspike.settings import UserError

_ROOM = 1 << 20
"""Bytes left on a disk that is full."""


class Checkpoint(dict[str, Any]):
    """What a checkpoint holds."""

    own = False
    """Whether it was written by this user on this machine; what anyone else wrote is untrusted."""


def read(path: Path) -> Checkpoint:
    """Read a checkpoint. Nothing in it is run: it may hold tensors and plain values alone.

    Raises:
        UserError: if it can't be read, is not what was once written, or holds anything else.
    """
    try:
        content = _bytes(path)
        own = verify(content)
        checkpoint = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        check(checkpoint)
    except pickle.UnpicklingError as error:
        # torch's own words begin with how to open the file all the same, and end with where to read about it
        reasons = [part.strip() for part in str(error).split("\n\n")[1:] if part.strip()]
        reason = reasons[0].rstrip(".") if reasons else "no plain values"
        raise UserError(f"{path} is damaged, or holds code and was not opened ({reason}): name another") from None
    except UserError:
        raise
    except Exception as error:  # torch raises whatever a wrong byte leads it to
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        reason = str(reason).splitlines()[0]
        raise UserError(f"{path} is damaged ({reason}): name another with --ckpt_path, or train again") from None
    found = Checkpoint(checkpoint)
    found.own = own
    if not own:
        for state in found.get("callbacks", {}).values():
            if isinstance(state, dict):
                inside(state, path.resolve().parent)
    return found


def _bytes(path: Path) -> bytes:
    """All of a file. It is checked and loaded from this one copy, so that nobody can change it in between."""
    with open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as file:  # a pipe without a writer waits
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise Damaged("it is no file")
        if found.st_size > memory.available():
            raise Damaged("it is larger than this machine's memory")
        return file.read()


def configuration(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """The configuration of the run that wrote the checkpoint; empty where it holds none."""
    text = config_text(checkpoint)
    return yaml.safe_load(text) or {} if text else {}


def config_text(checkpoint: dict[str, Any]) -> str | None:
    """The same as it was written; None where the checkpoint holds none."""
    text: str | None = checkpoint.get(KEY, {}).get("config")
    return text


def is_complete(checkpoint: dict[str, Any]) -> bool:
    """Whether the training that wrote the checkpoint came to its end with it."""
    return checkpoint.get(KEY, {}).get("complete") is True


def figures(checkpoint: dict[str, Any]) -> dict[str, float]:
    """The metrics of validation of the weights in the checkpoint; empty where it holds none."""
    recorded = checkpoint.get(KEY, {}).get("figures")
    entries = recorded.items() if isinstance(recorded, dict) else ()
    return {name: value for name, value in entries if isinstance(name, str) and isinstance(value, float)}


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the file and then puts it in place, so that a kill at any moment leaves the old or the new one.

    What it writes is signed, and what it reads is checked: see :mod:`litspike.runs.signature`.

    Args:
        config: the run's configuration, for checkpoints of weights alone, which callbacks put nothing into.
    """

    def __init__(self, config: str | None = None) -> None:
        super().__init__()
        self.config = config

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Save, or raise :class:`UserError` where the disk does not take it; the file there before stays whole."""
        target = Path(path)
        if self.config is not None and KEY not in checkpoint:
            checkpoint = {**checkpoint, KEY: {"config": self.config}}
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with replacing(target) as draft:
                _save(checkpoint, draft)
                sign(draft)
        except (OSError, RuntimeError) as error:
            reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
            raise UserError(f"{target} can't be written ({reason}): the checkpoint before it is kept") from error

    def remove_checkpoint(self, path: Any) -> None:
        """Remove a file, and never a folder, as Lightning's own would with all that is in it."""
        if Path(path).is_file():
            Path(path).unlink()

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        """Read, as :func:`read` does."""
        return read(Path(path))


def _save(checkpoint: dict[str, Any], path: Path) -> None:
    """Save, and say so where the disk is full: torch speaks of positions in the file."""
    try:
        torch.save(checkpoint, path)
    except RuntimeError:
        if shutil.disk_usage(path.parent).free < _ROOM:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from None
        raise
