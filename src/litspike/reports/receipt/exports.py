"""What was exported from a run, for its receipt: read from the reports that lie beside the exports."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from litspike.files import read_json, replace_json, replace_text
from litspike.reports.receipt.render import markdown

_FIELDS = ("written", "checkpoint", "samples", "all_of_the_test_part", "layers", "outputs", "values", "metrics")
_AND = ("bit_for_bit", "facts", "bytes")


def exports_in(folder: Path, checkpoint: str | None) -> dict[str, Any]:
    """Name of each format → what its report says.

    Args:
        folder: the run's.
        checkpoint: SHA-256 of the weights; the exports of others are left out.
    """
    found = {}
    for report in _reports(folder):
        if report.get("checkpoint", {}).get("sha256") == checkpoint is not None:
            found[str(report["format"])] = {key: report[key] for key in (*_FIELDS, *_AND) if key in report}
    return found


def _reports(folder: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(folder.glob("export/*/fidelity.json")):
        report = read_json(path)
        if all(key in report for key in ("format", *_FIELDS)):
            yield report


def add_to_receipt(folder: Path) -> None:
    """Write the exports into the receipt that a test has left in a folder; where there is none, the next test does."""
    path = folder / "receipt.json"
    receipt = read_json(path)
    try:
        checkpoint = receipt["checkpoint"]["sha256"]
        receipt["exports"] = exports_in(folder, checkpoint)
        text = markdown(receipt)
    except (KeyError, TypeError, ValueError):
        return
    replace_json(path, receipt)
    replace_text(folder / "receipt.md", text)
