"""What is compared: one run, or the runs of one experiment from several seeds."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from litspike.files import file_hash, parse_json, read_text
from litspike.reports.compare.schema import RECEIPT, SEEDS, mismatch
from litspike.runs import yaml_text
from litspike.runs.folder import BEST, Run, runs_in, tested
from litspike.runs.resolve import newest_finished
from litspike.settings import UserError


@dataclass(frozen=True)
class Subject:
    """One side of a comparison.

    Args:
        folder: what the user named, or the run that was found in it.
        runs: one run, or one for each seed.
        figures: of several seeds, what their figures come to together, as ``seeds.json`` has it; else empty.
    """

    folder: Path
    runs: list[Run]
    figures: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Experiment and run, or the group of seeds."""
        return f"{self.folder.name}, {len(self.runs)} seeds" if self.figures else "/".join(self.folder.parts[-2:])

    def receipts(self) -> list[dict[str, Any]]:
        """The receipts there are. Raises :class:`UserError` where one can't be read."""
        return [receipt for _, receipt in self._with_receipts()]

    def _with_receipts(self) -> list[tuple[Run, dict[str, Any]]]:
        paths = {run: run.folder / "receipt.json" for run in self.runs}
        return [(run, read(path, RECEIPT)) for run, path in paths.items() if os.path.lexists(path)]

    def without_receipt(self) -> list[Path]:
        """The checkpoints whose test would write the receipts that are missing."""
        return [run.checkpoint(BEST) for run in self.runs if not os.path.lexists(run.folder / "receipt.json")]

    def of_other_weights(self) -> list[str]:
        """What a receipt was written of, where that isn't the best checkpoint as it is now."""
        found = []
        for run, receipt in self._with_receipts():
            best, tested = run.checkpoint(BEST), receipt.get("checkpoint", {})
            if not best.is_file() or not tested.get("file") or not tested.get("sha256"):
                continue
            if os.path.basename(tested["file"]) != best.name:
                found.append(f"{tested['file']}, which is not its best checkpoint")
            elif file_hash(best) != tested["sha256"]:
                found.append(f"{tested['file']} as it was before the fit went on: test it again")
        return found

    def configurations(self) -> list[dict[str, Any]]:
        """The configuration of each run. Raises :class:`UserError` where one can't be read."""
        return [read(run.folder / "config.yaml") for run in self.runs]


def find(given: str) -> Subject:
    """What a folder holds: a run, an experiment, of which it is the newest finished run, or a group of seeds.

    Raises:
        UserError: if there is no such folder, no run in it, or its files can't be read.
    """
    folder = Path(os.path.realpath(os.path.expanduser(given)))
    if not os.path.isdir(folder):
        raise UserError(f"compare: there is no folder {given}")
    if os.path.lexists(folder / "run.json"):
        read(folder / "run.json")
        return Subject(folder, [Run(folder)])
    if os.path.lexists(folder / "seeds.json"):
        return _group(folder)
    if runs_in(folder.parent, folder.name):
        run = newest_finished(folder.parent, folder.name)
        return Subject(run.folder, [run])
    raise UserError(f"compare: no run in {given}: name the folder of a run, of an experiment or of a group of seeds")


def _group(folder: Path) -> Subject:
    content = read(folder / "seeds.json", SEEDS)
    runs = [run for seed in content["seeds"] if (run := tested(folder / str(seed)))]
    if not runs or not content["figures"]:
        raise UserError(f"compare: no tested run of a seed in {folder}: run its `fit --seeds` again")
    return Subject(folder, runs, content["figures"])


def read(path: Path, form: Any = MappingProxyType({})) -> dict[str, Any]:
    """A file of nested settings or metrics, JSON or YAML.

    Args:
        path: the file.
        form: what it has to look like, as :func:`mismatch` has it.

    Raises:
        UserError: if it can't be read, or holds anything else.
    """
    try:
        text = read_text(path)
        if path.suffix != ".json":
            yaml_text.check(text)
        content = parse_json(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise UserError(f"compare: {path} can't be read ({reason})") from None
    if not isinstance(content, dict):
        raise UserError(f"compare: {path} can't be read (it holds no names and values)")
    if (wrong := mismatch(content, dict(form))) is not None:
        raise UserError(f"compare: {path} can't be read ({wrong} is not as litspike writes it)")
    return content
