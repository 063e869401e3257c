"""The one configuration of time series runs on each set of its table, which has the sizes that stand there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.time_series import QUIET, SIZES, arguments
from tests.conftest import Cli, runs
from tests.test_configurations import SMALLER


@pytest.mark.slow
@pytest.mark.parametrize("name", SIZES)
def test_a_set_is_fitted_and_tested_with_its_sizes(cli: Cli, home: Path, name: str, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("aeon", reason="its series: pip install --no-deps aeon")
    monkeypatch.chdir(home)
    given = " ".join([*arguments(name), *QUIET, SMALLER["time_series"]])
    fitted = cli(f"fit {given}")
    assert (fitted.status, fitted.err) == (0, "")
    tested = cli(f"test {given}")
    assert (tested.status, tested.err) == (0, "")
    (run,) = runs(home, "time_series")
    receipt = json.loads((run / "receipt.json").read_text(encoding="utf-8"))
    _, steps, classes, samples = SIZES[name]
    assert (receipt["samples"], receipt["time_steps"], len(receipt["classes"])) == (samples, steps, classes)
    assert receipt["parameters"]["trained"] == classes * (20 + 1)
