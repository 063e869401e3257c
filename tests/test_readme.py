"""The README's Python runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import PROJECT, Cli


def test_the_python_of_the_readme_runs(cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch):
    assert cli("fit --trainer.max_epochs 1 --data.train_points 20 --pictures.every 0").status == 0
    monkeypatch.chdir(home)  # its run is there to be loaded
    blocks = re.findall(r"```python\n(.*?)```", (PROJECT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})
