"""A progress bar of the user's own is shown on a terminal, and left out where there is none."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from lightning.pytorch.callbacks import LearningRateMonitor, RichProgressBar, TQDMProgressBar

from litspike.callbacks import FitProgress
from litspike.cli.trainer.progress import choose_bar
from tests.conftest import Cli

MONITOR = LearningRateMonitor()


@pytest.mark.parametrize("bar", [RichProgressBar, TQDMProgressBar])
@pytest.mark.parametrize("terminal", [True, False])
def test_a_bar_of_the_users_own(monkeypatch: pytest.MonkeyPatch, bar: Any, terminal: bool):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    own = bar()
    settings = {"enable_progress_bar": None, "callbacks": [own, MONITOR]}
    assert choose_bar(settings) == []
    expected = (None, [own, MONITOR]) if terminal else (False, [MONITOR])
    assert (settings["enable_progress_bar"], settings["callbacks"]) == expected


def test_litspikes_bar_is_a_terminals(monkeypatch: pytest.MonkeyPatch):
    settings: dict[str, Any] = {"enable_progress_bar": None, "callbacks": MONITOR}
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert [type(bar) for bar in choose_bar(settings)] == [FitProgress]
    assert choose_bar({**settings, "enable_progress_bar": False}) == []
    monkeypatch.setattr(sys.stdout, "isatty", lambda: False)
    assert choose_bar(settings) == []


@pytest.mark.parametrize("command", ["fit", "test"])
def test_a_batch_job_with_a_bar_trains_and_tests(cli: Cli, command: str):
    bar = "--trainer.callbacks RichProgressBar --trainer.max_epochs 1 --data.train_points 20 --pictures.every 0"
    result = cli(f"fit {bar}")
    assert (result.status, result.err) == (0, "")
    if command == "test":
        assert cli("test").status == 0
