"""``export`` writes a checkpoint in another format, proves it, and says what came of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from litspike.cli import main
from litspike.export import command
from tests.conftest import PROJECT, Cli, runs

SHORT = "--trainer.max_epochs 1 --trainer.limit_train_batches 20 --pictures.every 0"


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of all runs, with one of the default network with a batch norm in it."""
    home = tmp_path_factory.mktemp("fitted")
    (home / "configs").symlink_to(PROJECT / "configs")
    changed = ["--data.test_points", "30", "--model.network.batch_norm", "true"]
    assert main(["fit", *SHORT.split(), *changed], home=home) == 0
    return home / "logs"


@pytest.fixture
def trained(fitted: Path, home: Path) -> Path:
    """The folder of a run of the default network, in the project of the test."""
    shutil.copytree(fitted, home / "logs")
    (folder,) = runs(home)
    return folder


def report(folder: Path, to: str = "c") -> dict:
    return json.loads((folder / "export" / to / "fidelity.json").read_text(encoding="utf-8"))


def test_export_writes_into_the_runs_folder_and_says_how_much_is_the_same(cli: Cli, trained: Path):
    result = cli("export --to c --name side")
    assert (result.status, result.err) == (0, "")
    assert f"export: {trained}/export/c" in result.out
    assert {path.name for path in (trained / "export" / "c").iterdir()} == {
        *("side.c", "side.h", "Makefile", "fidelity.json")
    }
    said = report(trained)
    assert (said["samples"], said["all_of_the_test_part"]) == (30, True)
    (layer,) = said["layers"]
    assert (layer["layer"], layer["equal"], layer["numbers"]) == ("layer 1 (LIF, 10)", 1.0, 30 * 16 * 10)
    assert said["metrics"]["accuracy"]["c"] == said["metrics"]["accuracy"]["litspike"]
    assert said["values"]["largest_difference"] < 1e-5 < said["values"]["largest_number"]
    assert "every bit is that of the reference engine" in result.out
    assert "layer 1 (LIF, 10)" in result.out


@pytest.mark.slow
def test_the_metrics_of_the_report_are_those_of_a_test(cli: Cli, trained: Path):
    assert cli("test").status == 0
    receipt = json.loads((trained / "receipt.json").read_text(encoding="utf-8"))
    assert cli("export --to c").status == 0
    for name, values in report(trained)["metrics"].items():
        assert values["litspike"] == pytest.approx(receipt["figures"][name]["value"], rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    ["export --to torch", "export --to c --integer 8", "test", "validate", "predict", "picture"],
)
def test_a_trained_network_is_only_ever_run_as_in_evaluation(
    cli: Cli, trained: Path, command: str, monkeypatch: pytest.MonkeyPatch
):
    normalise, calls = torch.nn.functional.batch_norm, []

    def noted(*args: Any, **more: Any) -> torch.Tensor:
        calls.append(more.get("training", args[5] if len(args) > 5 else False))
        return normalise(*args, **more)

    monkeypatch.setattr(torch.nn.functional, "batch_norm", noted)
    assert cli(command).status == 0
    assert calls
    assert not any(calls)  # else it takes the mean and the variance of what it is run on into its own


@pytest.mark.slow
def test_the_receipt_has_the_exports_whichever_of_both_came_first(cli: Cli, trained: Path):
    assert cli("test").status == 0
    assert json.loads((trained / "receipt.json").read_text())["exports"] == {}
    assert cli("export --to c").status == 0
    after_export = json.loads((trained / "receipt.json").read_text())["exports"]
    assert after_export["c"]["samples"] == 30
    assert "## Exports" in (trained / "receipt.md").read_text()
    assert cli("test").status == 0
    assert json.loads((trained / "receipt.json").read_text())["exports"] == after_export
    assert cli("test --ckpt_path last --receipt.enabled true").status == 0  # the same weights, in another file


@pytest.mark.slow
def test_another_export_takes_the_place_of_the_one_before(cli: Cli, trained: Path):
    assert cli("export --to c").status == 0
    assert cli("export --to c --name other").status == 0
    folder = trained / "export"
    assert {path.name for path in folder.iterdir()} == {"c"}
    assert (folder / "c" / "other.c").is_file()
    assert not (folder / "c" / "network.c").exists()


@pytest.mark.slow
def test_nothing_that_somebody_put_or_changed_there_is_overwritten(cli: Cli, trained: Path):
    assert cli("export --to c").status == 0
    folder = trained / "export" / "c"
    notes = folder / "notes.txt"
    notes.write_text("mine")
    assert "export/c holds notes.txt, which no export wrote: move it away" in cli("export --to c").error_line
    notes.unlink()
    (folder / "network.c").write_text("mine")
    assert "export/c holds network.c, which was changed since: move it away" in cli("export --to c").error_line
    assert (folder / "network.c").read_text() == "mine"
    (folder / "fidelity.json").unlink()
    assert "export/c is no folder that an export wrote" in cli("export --to c").error_line


def test_what_goes_wrong_leaves_nothing_behind(cli: Cli, trained: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CC", "false")
    assert cli("export --to c").error_line.startswith("c: the C file doesn't compile here: false says")
    assert not (trained / "export").exists()


def test_a_file_whose_bits_differ_is_not_kept(cli: Cli, trained: Path, monkeypatch: pytest.MonkeyPatch):
    from litspike.export.c.twin import Twin

    ask = Twin.__call__

    def other(self: Twin, x: torch.Tensor) -> object:
        answer = ask(self, x)
        answer.layers[0][0, 0, 3] = 1 - answer.layers[0][0, 0, 3]
        return answer

    monkeypatch.setattr(Twin, "__call__", other)
    line = cli("export --to c").error_line
    assert line.startswith("c: layer 1 (LIF, 10): 1 of 160 numbers differ from the reference engine")
    assert not (trained / "export").exists()


def test_a_proof_ends_after_its_time_and_says_on_how_many_samples_it_stands(
    cli: Cli, trained: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(command, "LONGEST", 0.0)
    result = cli("export --to c")
    assert result.status == 0
    assert (report(trained)["samples"], report(trained)["all_of_the_test_part"]) == (1, False)
    assert "c, 1 sample: the first of the test part" in " ".join(result.out.split())


def test_a_checkpoint_outside_a_run_is_exported_beside_it(cli: Cli, trained: Path, tmp_path: Path):
    copy = tmp_path / "mine.ckpt"
    copy.write_bytes((trained / "checkpoints" / "best.ckpt").read_bytes())
    assert cli(f"export --to c --ckpt_path {copy}").status == 0
    assert (tmp_path / "mine.litspike" / "export" / "c" / "network.c").is_file()
    assert not (trained / "export").exists()


def test_the_number_of_batches_is_the_trainers(cli: Cli, trained: Path):
    assert cli("export --to c --trainer.limit_test_batches 2 --data.eval_batch_size 7").status == 0
    assert (report(trained)["samples"], report(trained)["all_of_the_test_part"]) == (14, False)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("", "export: say to which format, --to c"),
        ("--to pdf", "export: say to which format, --to c"),
        ("--to c --name int", "c: name: 'int': is no name in C"),
        (
            "--to c --trainer.precision 64-true",
            "export: trainer.precision: 64-true is not what is written: set 32-true",
        ),
    ],
)
def test_a_mistake_is_a_line(cli: Cli, trained: Path, arguments: str, line: str):
    assert line in cli(f"export {arguments}").error_line
    assert not (trained / "export").exists()


def test_without_a_run_export_says_what_to_do_first(cli: Cli):
    assert "train first" in cli("export --to c").error_line


@pytest.mark.slow
def test_an_export_in_integers_stands_beside_that_in_floating_point(cli: Cli, trained: Path):
    assert cli("export --to c").status == 0
    result = cli("export --to c --integer 8 --scale power_of_two --states 32")
    assert (result.status, result.err) == (0, "")
    assert {path.name for path in (trained / "export").iterdir()} == {"c", "c-int8"}
    said = report(trained, "c-int8")
    assert said["bit_for_bit"] == "the network in integers, run in torch"
    assert said["facts"]["weights"] == "8 bits, scale power_of_two"
    assert said["facts"]["states"] == "32 bits"
    assert {"kB of constants", "kB of RAM", "microseconds a step"} <= said["facts"].keys()
    (layer,) = said["layers"]
    assert 0.9 < layer["equal"] <= 1
    accuracy = said["metrics"]["accuracy"]
    assert accuracy["c-int8"] == pytest.approx(accuracy["litspike"], abs=0.1)
    assert "every bit is that of the network in integers" in result.out


def test_integers_take_their_ranges_from_the_validation_part(cli: Cli, trained: Path, monkeypatch: pytest.MonkeyPatch):
    from litspike.data import HalfPlane

    def none(self: HalfPlane) -> object:
        return iter(())

    monkeypatch.setattr(HalfPlane, "val_dataloader", none)
    assert "the validation data are empty" in cli("export --to c --integer 8").error_line
    assert cli("export --to c").status == 0


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("--to onnx --integer 8", "export: integer: 8 is for --to c alone, not for onnx"),
        ("--to c --integer 9", "export: integer: 9 is no number of bits from 2 to 8"),
        ("--to c --integer 8 --states 24", "export: states: 24 bits are neither 16 nor 32"),
        ("--to c --scale free", "export: scale: free is of integers: set --integer 8 as well"),
        ("--to c --states 16", "export: states: 16 is of integers: set --integer 8 as well"),
        ("--to c --integer 8 --scale odd", "scale"),
    ],
)
def test_a_mistake_in_the_settings_of_integers_is_a_line(cli: Cli, trained: Path, arguments: str, line: str):
    assert line in cli(f"export {arguments}").error_line
    assert not (trained / "export").exists()
