"""``picture`` draws a checkpoint into files, and says where they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Cli, runs

QUICK = "--trainer.max_epochs 1 --data.train_points 50 --pictures.every 0"
NAMES = ["spikes-layer-1", "membrane-potential", "one-sample", "confusion-matrix", "decision-boundary"]


@pytest.mark.parametrize(("form", "beginning"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_picture_draws_the_newest_finished_run_into_its_folder(cli: Cli, home: Path, form: str, beginning: bytes):
    cli(f"fit {QUICK}")
    (run,) = runs(home)
    result = cli(f"picture --pictures.format {form}")
    assert (result.status, result.err) == (0, "")
    paths = [run / "pictures" / f"{name}.{form}" for name in NAMES]
    assert [line for line in result.out.splitlines() if line.startswith("picture:")] == [f"picture: {p}" for p in paths]
    assert all(path.read_bytes().startswith(beginning) for path in paths)
    assert sorted(path for path in run.rglob("*.ckpt")) == [run / "checkpoints" / f"{n}.ckpt" for n in ("best", "last")]
    assert not list(run.rglob(".*png*"))


def test_a_gif_is_of_one_sample_alone(cli: Cli, home: Path):
    cli(f"fit {QUICK} --model.encoder.steps 3")
    (run,) = runs(home)
    result = cli("picture --pictures.format gif")
    assert (result.status, result.err) == (0, "")
    assert result.out.splitlines()[-1] == f"picture: {run / 'pictures' / 'one-sample.gif'}"
    assert [path.name for path in (run / "pictures").iterdir()] == ["one-sample.gif"]
    assert (run / "pictures" / "one-sample.gif").read_bytes().startswith(b"GIF89a")


def test_picture_takes_a_checkpoint_by_its_name_and_its_runs_own_settings(cli: Cli, home: Path, tmp_path: Path):
    cli(f"fit {QUICK} --model.network.sizes [2,7,5,1]")
    cli(f"fit {QUICK}")
    first, second = runs(home)
    copy = tmp_path / "elsewhere" / "copy.ckpt"
    copy.parent.mkdir()
    copy.write_bytes((first / "checkpoints" / "best.ckpt").read_bytes())
    assert cli(f"picture --ckpt_path {copy}").status == 0
    assert (copy.parent / "copy.litspike" / "pictures" / "spikes-layer-2.png").is_file()
    assert not (second / "pictures").exists()


def test_a_run_without_a_checkpoint_and_a_format_that_is_none_are_answered_in_a_line(cli: Cli):
    assert "train first" in cli("picture").error_line
    cli(f"fit {QUICK}")
    result = cli("picture --pictures.format pdf")
    assert "pictures.format" in result.error_line


def test_a_folder_that_can_not_be_written_is_the_users_to_know(cli: Cli, home: Path):
    cli(f"fit {QUICK}")
    (run,) = runs(home)
    (run / "pictures").write_text("in the way")
    assert "spikes-layer-1.png can't be written" in cli("picture").error_line


def test_help_names_the_subcommand_and_its_settings(cli: Cli):
    assert "Draws a network and its neurons" in cli("--help").out
    assert "--pictures.format (here png)" in cli("picture --pictures.help").out
