"""Checkpoints for the tests of what may happen to one."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch

from litspike.runs.contents import KEY


def best(run: Path) -> Path:
    """The best checkpoint of a run."""
    return run / "checkpoints" / "best.ckpt"


def write_unsigned(content: Any, path: Path) -> Path:
    """Write a checkpoint as ``torch.save`` does: it counts as untrusted."""
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    torch.save(content, buffer)
    path.write_bytes(buffer.getvalue())
    return path


def with_config(source: Path, path: Path, config: str) -> Path:
    """An untrusted checkpoint with the weights of another and a configuration of its own."""
    content = torch.load(source, weights_only=True)
    return write_unsigned({**content, KEY: {**content[KEY], "config": config}}, path)
