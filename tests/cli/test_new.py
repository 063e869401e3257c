"""``new`` writes a project that runs as it stands, over nothing that is there."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from litspike.cli import main
from litspike.files import replace_text
from tests.conftest import runs

NAME = "rings_of_a_test"


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in [name for name in sys.modules if name.split(".")[0] == NAME]:
        del sys.modules[name]


def test_it_trains_and_is_tested_and_every_class_is_the_users(empty: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["new", NAME]) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith(f"fit -c {NAME}")
    fit = f"fit -c {NAME} --trainer.max_epochs 4 --pictures.every 0"
    assert main(fit.split()) == 0
    assert main(f"test -c {NAME}".split()) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    (run,) = runs(empty, NAME)
    settings = (run / "config.yaml").read_text()
    for part in ("data.Data", "network.Network", "neuron.MyNeuron"):
        assert f"class_path: {NAME}.{part}" in settings
    accuracy = next(float(line.split()[3]) for line in printed.out.splitlines() if line.startswith("│ accuracy"))
    assert accuracy > 0.8  # three classes: it learns


def test_its_neuron_runs_on_the_fast_engine(empty: Path):
    import torch

    from litspike.cli.new.template.neuron import MyNeuron

    x = torch.rand(30, 4, 5)
    fused, reference = (MyNeuron(engine=engine)(x)[0] for engine in ("fused", "reference"))
    assert fused.sum() > 0
    assert torch.equal(fused, reference)


@pytest.mark.parametrize("taken", [NAME, f"{NAME}.yaml"])
def test_what_is_there_stays_as_it_is(empty: Path, capsys: pytest.CaptureFixture[str], taken: str):
    (empty / taken).write_text("mine")
    assert main(["new", NAME]) == 1
    assert capsys.readouterr().err == f"litspike: new: {taken} is there already: choose another name\n"
    assert [path.name for path in empty.iterdir()] == [taken]
    assert (empty / taken).read_text() == "mine"


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("json", "Python has a module called json already"),
        ("digits", "litspike has a configuration called digits already"),
        ("class", "'class' can't name a Python module"),
        ("my-rings", "'my-rings' can't name a Python module"),
        ("../rings", "'../rings' can't name a Python module"),
    ],
)
def test_a_name_that_would_not_work_is_refused(
    empty: Path, capsys: pytest.CaptureFixture[str], name: str, problem: str
):
    assert main(["new", name]) == 1
    assert capsys.readouterr().err.startswith(f"litspike: new: {problem}")
    assert list(empty.iterdir()) == []


def test_nothing_is_left_where_a_file_can_not_be_written(
    empty: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def full(path: Path, text: str) -> None:
        if path.name == "network.py":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace_text(path, text)

    monkeypatch.setattr("litspike.cli.new.command.replace_text", full)
    assert main(["new", NAME]) == 1
    assert capsys.readouterr() == ("", f"litspike: new: {NAME} can't be written (No space left on device)\n")
    assert not [*empty.iterdir()]
