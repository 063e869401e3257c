"""Every configuration trains and is tested as it stands, at a reduced size."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import PROJECT, Cli

LIBRARIES = {"digits": "sklearn"}


@pytest.mark.parametrize("path", sorted((PROJECT / "configs").glob("*.yaml")), ids=lambda path: path.stem)
def test_a_configuration_trains_and_is_tested(cli: Cli, path: Path):
    if path.stem in LIBRARIES:
        pytest.importorskip(LIBRARIES[path.stem])
    reduced = "--trainer.max_epochs 1 --trainer.limit_train_batches 5"
    assert cli(f"fit -c {path} {reduced}").status == 0
    result = cli(f"test -c {path}")
    assert (result.status, result.err) == (0, "")
    assert f"/logs/{path.stem}/" in result.out
