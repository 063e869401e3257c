"""Every configuration, fitted for a moment at a reduced size, and exported to one format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Cli, runs
from tests.grids import thorough
from tests.test_configurations import CONFIGURATIONS, EVENTS, FEWER, LARGE, LIBRARIES, SMALLER

NAMES = [path.stem for path in CONFIGURATIONS]
REFUSED = {
    "mackey_glass_forecast": "trainer.precision: 64-true is not what is written: set 32-true",
    "article": "CarriedClassification has a forward of its own",
    "sequences": "the sequences have different lengths; this needs sequences of one length",
}
"""Name of each configuration that no format can say, and the line that says so."""


def in_turn(format: int) -> list[Any]:
    """The names for ``parametrize``: those that aren't thorough have their turn in one of four formats."""
    quick = [name for index, name in enumerate(NAMES) if index % 8 == 2 * format and name not in LARGE]
    return [name if name in quick else thorough(name) for name in NAMES]


LITTLE = "--trainer.max_epochs 1 --trainer.limit_train_batches 1 --trainer.limit_val_batches 1"
SHORTER = {"digits_sequence": "--model.network.sizes [8,32,16,10]"}
ONE_SAMPLE = {"mackey_glass_forecast"}
"""Configurations whose data have no batches."""


def exported(cli: Cli, home: Path, name: str, to: str, refused: dict[str, str] | None = None) -> dict[str, Any] | None:
    """The report of a configuration's export; None where it is refused, after a look at the line."""
    if name in LIBRARIES:
        pytest.importorskip(LIBRARIES[name])
    more = SHORTER.get(name, "") or SMALLER.get(name, "")
    batch = "" if name in ONE_SAMPLE else "--data.eval_batch_size 8"
    if name in EVENTS:
        pytest.importorskip("tonic", reason="event data need Tonic: pip install 'litspike[events]'")
        from tests.data.events.miniatures import CASES

        (case,) = (case for case in CASES if case.module.__name__ == EVENTS[name])
        case.make(home / "data")
        more = f"{FEWER} --trainer.accelerator cpu {SMALLER.get(name, '')}"
    fitted = cli(f"fit -c {home}/configs/{name}.yaml {LITTLE} {more}")
    assert fitted.status == 0, fitted.err
    result = cli(f"export --to {to} -c {home}/configs/{name}.yaml --trainer.limit_test_batches 2 {batch}")
    lines = REFUSED | (refused or {})
    if name in lines:
        assert lines[name] in result.error_line
        return None
    assert (result.status, result.err) == (0, "")
    (run,) = runs(home, name)
    report: dict[str, Any] = json.loads((run / "export" / to / "fidelity.json").read_text(encoding="utf-8"))
    assert report["layers"]
    assert report["samples"] >= 1
    return report


def check(report: dict[str, Any], to: str, equal: float) -> None:
    """The layers' spikes are equal but for a share, and so are the metrics but for what follows from it."""
    assert min(layer["equal"] for layer in report["layers"]) >= equal
    for metric in report["metrics"].values():
        assert metric[to] == pytest.approx(metric["litspike"], rel=0.05, abs=0.02)
