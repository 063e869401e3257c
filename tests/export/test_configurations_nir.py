"""Every configuration that can be exported to NIR is, and its report is checked; the others are refused by a line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Cli
from tests.export.configurations import check, exported, in_turn

pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings("ignore:.*published are")]

ADAPTIVE = "an adaptive threshold has no place in NIR; --approximate writes it as a threshold that stays"
REFUSED = {
    **dict.fromkeys(("delayed_xor", "store_recall"), f"nir: layer 1 (AdaptiveLIF, 64): {ADAPTIVE}"),
    **dict.fromkeys(("shd", "ssc"), "nir: layer 1 (Recurrent SymplecticAdaptiveLIF, 16): "),
    "digits_sequence": "nir: layer 1 (ResonateAndFire, 32): ResonateAndFire is none of NIR's neurons",
    "mackey_glass": "nir: layer 1 (SynapticLIF, 64): reset: subtract has no place in NIR; --approximate writes it as a",
}


@pytest.mark.parametrize("name", in_turn(3))
def test_a_configuration_is_exported_or_refused_by_a_line(
    cli: Cli, home: Path, name: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(home)
    pytest.importorskip("nir", reason="files in NIR need the extra: pip install 'litspike[nir]'")
    report = exported(cli, home, name, "nir", REFUSED)
    if report is not None:
        check(report, "nir", 0.999)
        assert report["facts"]["nodes"].startswith("1 Input, ")
        assert "approximated" not in report["facts"]
