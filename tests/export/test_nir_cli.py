"""``export --to nir`` and a network of its file in a configuration."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from litspike.export.artefact import Refused
from litspike.export.formats import format_named
from tests.conftest import Cli, runs

nir = pytest.importorskip("nir", reason="files in NIR need the extra: pip install 'litspike[nir]'")

SHORT = "--trainer.max_epochs 1 --trainer.limit_train_batches 20 --data.test_points 30"
FROM = "--model.network litspike.networks.FromNIR --model.network.path"


def report(folder: Path, to: str = "nir") -> dict:
    return json.loads((folder / "export" / to / "fidelity.json").read_text(encoding="utf-8"))


@pytest.mark.slow
def test_a_network_leaves_comes_back_is_trained_on_and_leaves_again(
    cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(home)
    assert cli(f"fit {SHORT}").status == 0
    (first,) = runs(home)
    result = cli("export --to nir")
    assert (result.status, result.err) == (0, "")
    assert "discretisation: forward Euler" in result.out
    said = report(first)
    assert [layer["equal"] for layer in said["layers"]] == [1.0]
    assert said["outputs"]["largest_difference"] == 0.0
    path = first / "export" / "nir" / "network.nir"

    fitted = cli(f"fit {SHORT} {FROM} {path}")
    assert (fitted.status, fitted.err) == (0, "")
    _, second = runs(home)
    assert cli("test").status == 0
    assert json.loads((second / "receipt.json").read_text())["figures"]["accuracy"]["value"] > 0.5
    for to in ("nir", "c"):
        result = cli(f"export --to {to}")
        assert (result.status, result.err) == (0, "")
        assert [layer["equal"] for layer in report(second, to)["layers"]] == [1.0]

    path.write_bytes(path.read_bytes()[:900])
    line = cli("test").error_line
    assert "network.nir: it is no file in NIR, or a damaged one" in line


@pytest.mark.slow
def test_what_nir_has_no_place_for_is_written_when_asked(cli: Cli, home: Path):
    assert cli(f"fit {SHORT} --model.network.neuron.reset subtract").status == 0
    (run,) = runs(home)
    refusal = "nir: layer 1 (LIF, 10): reset: subtract has no place in NIR; --approximate writes it as a reset to zero"
    assert cli("export --to nir").error_line == refusal
    assert cli("export --to nir --approximate false").error_line == refusal
    assert not (run / "export").exists()
    result = cli("export --approximate --to nir")
    assert result.status == 0
    said = "approximated: layer 1 (LIF, 10): reset: subtract is written as a reset to zero"
    assert said in " ".join(result.out.split())
    assert report(run)["layers"][0]["equal"] < 1
    assert cli("export --to nir --dialect sinabs --approximate --name other").status == 0
    assert report(run)["facts"]["dialect"] == "sinabs"
    assert nir.read(run / "export" / "nir" / "other.nir").metadata["dialect"] == "sinabs"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("--to c --dialect norse", "export: dialect: norse is for --to nir alone, not for c"),
        ("--to torch --approximate", "export: approximate: True is for --to nir alone, not for torch"),
        ("--to nir --dialect brian", "export: dialect: 'brian' is none of snntorch, spikingjelly, norse, sinabs"),
        ("--to nir --dt 0", "export: dt: 0.0 is outside (0, inf)"),
        ("--to nir --name a/b", "nir: name: 'a/b': is no name of a file"),
    ],
)
def test_a_mistake_is_a_line(cli: Cli, home: Path, arguments: str, line: str):
    assert cli(f"fit {SHORT}").status == 0
    assert cli(f"export {arguments}").error_line == line
    (run,) = runs(home)
    assert not (run / "export").exists()


def test_a_file_that_asks_for_a_setting_says_so_in_a_configuration(cli: Cli, home: Path, tmp_path: Path):
    from tests.networks.nir_oracle import neurons, write

    path = write(tmp_path / "n.nir", neurons("LIF", 2))
    line = cli(f"fit {SHORT} {FROM} {path}").error_line
    assert line == f"model.network: {path}: n0 (LIF): the file doesn't say how long a step is: set dt, in seconds"
    assert "nothing.nir: it is not there" in cli(f"fit {SHORT} {FROM} nothing.nir").error_line


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "nir", None)
    monkeypatch.delitem(sys.modules, "litspike.export.nir", raising=False)
    with pytest.raises(Refused, match=r"^nir: nir is not installed: it needs the extra litspike\[nir\]"):
        format_named("nir")
