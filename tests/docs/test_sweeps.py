"""The page about sweeps: its space is the one that comes with litspike, and its commands run."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from tests.conftest import PROJECT, Cli
from tests.docs.pages import blocks

PAGE = PROJECT / "docs" / "sweeps.md"
SMALL = "--trainer.max_epochs 1 --trainer.limit_train_batches 2 --pictures.every 0"


def test_the_space_on_the_page_is_litspikes_own():
    (shown,) = [block.text for block in blocks(PAGE) if block.language == "yaml"]
    assert shown == (PROJECT / "configs" / "spaces" / "arrays.yaml").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_pages_commands_run(cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("optuna", reason="sweeps need Optuna: pip install 'litspike[sweep]'")
    monkeypatch.chdir(home)
    own = (PROJECT / "configs" / "spaces" / "arrays.yaml").read_text(encoding="utf-8")
    (home / "mine.yaml").write_text(own.replace("trials: 30", "trials: 2"))
    lines = [line for block in blocks(PAGE) if block.language == "sh" for line, _ in block.commands()]
    sweeps = [shlex.split(line, comments=True)[1:] for line in lines]
    assert len(sweeps) == 3
    for words in sweeps:
        result = cli(f"{shlex.join(words)} {SMALL} --trials 1")
        assert (result.status, result.err) == (0, "")
