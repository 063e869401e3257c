"""Where a figure comes from: files, settings, versions and machine."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from litspike import installation


@dataclass(frozen=True)
class Origin:
    """What a test was run on.

    Args:
        folder: where what it says is written.
        checkpoint: the weights' file; None where they come from no file.
        configuration: text of the configuration that the weights were trained with; None where it isn't known.
        seeds: name of each seed in the configuration, with its value.
        changed: settings of this test that are not those of the training, with their values.
    """

    folder: Path
    checkpoint: Path | None = None
    configuration: str | None = None
    seeds: dict[str, Any] = field(default_factory=dict)
    changed: dict[str, Any] = field(default_factory=dict)


def text_hash(text: str) -> str:
    """SHA-256 of a text, as ``sha256sum`` gives it for a file with that text."""
    return hashlib.sha256(text.encode()).hexdigest()


def versions() -> dict[str, str]:
    """Versions of Python and of what computes the figures."""
    libraries = ("torch", "lightning", "torchmetrics", "numpy", "llvmlite")
    found = {library: importlib.metadata.version(library) for library in libraries}
    return {"python": platform.python_version(), "litspike": installation.version(), **found}


def machine(device: torch.device) -> dict[str, Any]:
    """System, processor and device. The machine's name is left out, as receipts are shown to others."""
    cuda = device.type == "cuda"
    return {
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "device": torch.cuda.get_device_name(device) if cuda else device.type,
        "threads": torch.get_num_threads(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):  # no Linux, or a processor without a name
        return platform.processor() or platform.machine()
