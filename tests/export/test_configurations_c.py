"""Every configuration that can be exported to c is, and its report is checked."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Cli
from tests.export.configurations import check, exported, in_turn

pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings("ignore:.*published are")]


@pytest.mark.parametrize("name", in_turn(0))
def test_a_configuration_is_exported_or_refused_by_a_line(
    cli: Cli, home: Path, name: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(home)
    report = exported(cli, home, name, "c")
    if report is not None:
        check(report, "c", 0.999)
        assert "bit_for_bit" in report  # it would have been refused otherwise
