"""What the command on reliability tries, a smaller number of times: no promise is broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.reliability import Outcomes, Section, run, sections
from tests.grids import thorough

# the others have tests of their own
TIMES = {
    "flips": 400,
    "flips-unsigned": 400,
    "damages": 300,
    "parts": 20,
    "untrusted": 30,
    "neurons": 60,
    "recurrent": 10,
}


@pytest.mark.slow
@pytest.mark.parametrize("share", [pytest.param(0.1, id="few"), thorough(1.0, id="many")])
@pytest.mark.parametrize(
    "section", [section for section in sections() if section.name in TIMES], ids=lambda section: section.name
)
def test_no_promise_is_broken(section: Section, share: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))  # it sets another one
    outcomes = Outcomes()
    section.tries(tmp_path, max(10, int(share * TIMES[section.name])), outcomes)
    assert outcomes.broken == []
    assert outcomes.counts["one line"] + outcomes.counts["equal"] > 0


def test_a_broken_promise_is_said_and_counted(capsys: pytest.CaptureFixture[str]):
    def tries(folder: Path, times: int, outcomes: Outcomes) -> None:
        for number in range(times):
            outcomes.note("fell over" if number else "stood", broken=f"push {number}" if number else None)

    assert not run([Section("pushes", "what is pushed stands", tries, 3)])
    out = capsys.readouterr().out
    assert "     2  fell over" in out
    assert "BROKEN push 2: fell over" in out
    assert run([Section("pushes", "what is pushed stands", tries, 3)], times=1)
