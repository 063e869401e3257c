"""What a test was run on, for its receipt."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from litspike.reports.receipt.provenance import Origin
from litspike.runs import checkpoints
from litspike.runs.contents import KEY
from litspike.settings import named_settings

_WHERE = ("ckpt_path", "logs")
"""Settings that say where files are, and nothing of the test; the receipt names the checkpoint's file itself."""


def origin_of(
    path: Path, checkpoint: dict[str, Any], folder: Path, settings: dict[str, Any], typed: list[str]
) -> Origin:
    """The origin of a test's figures.

    Args:
        path: the checkpoint's file.
        checkpoint: what it holds.
        folder: where the receipt is written.
        settings: those of the test, as nested dictionaries.
        typed: names of the settings on the command line.
    """
    trained, now = dict(named_settings(checkpoints.configuration(checkpoint))), dict(named_settings(settings))
    known = (trained.keys() | typed) - {*_WHERE}
    changed = {
        name: value
        for name, value in now.items()
        if name in known and not isinstance(value, dict) and value != trained.get(name)
    }
    seeds = {name: value for name, value in now.items() if name.split(".")[-1] in ("seed", "seed_everything")}
    text = checkpoint.get(KEY, {}).get("config")
    return Origin(folder, path, text, seeds, changed)
