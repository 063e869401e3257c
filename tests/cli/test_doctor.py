"""``doctor`` says what is here, and its status is 1 where the fast engine isn't to be relied on."""

from __future__ import annotations

import builtins
import importlib.metadata
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from litspike.cli import doctor, main
from litspike.engine.reference import run_reference


def lines(capsys: pytest.CaptureFixture[str], status: int = 0) -> dict[str, str]:
    assert main(["doctor"]) == status
    return {line[:14].strip(): line[14:] for line in capsys.readouterr().out.splitlines()}


def test_it_says_what_is_here(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    found = lines(capsys)
    assert f"torch {torch.__version__}" in found["libraries"]
    assert found["litspike"].startswith(importlib.metadata.version("litspike"))
    assert found["threads"].startswith(f"{torch.get_num_threads()} on {os.cpu_count()} cores, one OpenMP team")
    assert found["fused engine"] == "compiles, and agrees with the reference"
    assert found["kernels"] == f"{os.environ['XDG_CACHE_HOME']}/litspike/kernels"
    assert str(tmp_path / "logs") in found["own files"]
    assert "Triton" in found["GPU"]
    assert len(found) == 10


def test_the_vector_width_is_that_of_the_processors_flags():
    flags = next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("flags")).split()
    expected = 512 if "avx512f" in flags else 256 if "avx" in flags else 128
    assert doctor.vector_width() == expected


def test_an_extra_of_which_a_package_is_missing_is_named_with_its_command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    known = doctor.version

    def version(name: str) -> str:
        if name == "pyarrow":
            raise importlib.metadata.PackageNotFoundError(name)
        return known(name)

    monkeypatch.setattr(doctor, "version", version)
    found = lines(capsys)
    missing, command = found["missing"].split("; ")
    assert command == "pip install -e '.[NAME]' installs one"
    assert "data" in missing.split(", ")
    assert "dev" in found["extras"].split(", ")
    assert "data" not in found["extras"].split(", ")
    assert "dev" not in missing.split(", ")
    assert len(found) == 10


@pytest.mark.parametrize("what", ["spikes", "gradient"])
def test_an_engine_that_disagrees_is_told_from_one_that_agrees(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, what: str
):
    def wrong(*arguments: Any) -> Any:
        output, lasts = run_reference(*arguments)
        if what == "spikes":
            return 1 - output, lasts
        return output + 0.1 * (arguments[1] - arguments[1].detach()), lasts

    monkeypatch.setattr("litspike.engine.call.run_reference", wrong)
    assert lines(capsys, status=1)["fused engine"].startswith("WRONG: ")


def test_an_engine_that_does_not_compile_is_said_with_its_reason(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("litspike.engine.operator.KERNELS", {})
    assert "on cpu" in lines(capsys, status=1)["fused engine"]


def test_it_needs_no_trainer(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    real = builtins.__import__

    def without(name: str, *arguments: Any, **more: Any) -> Any:
        assert name != "litspike.cli.execute"
        return real(name, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    assert lines(capsys)
