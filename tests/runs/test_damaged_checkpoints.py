"""A checkpoint that isn't what was once written is one line, wherever one is read; nothing of it is used."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest
import torch

from litspike.runs.checkpoints import AtomicCheckpointIO, read
from litspike.settings import UserError
from tests.conftest import Cli
from tests.runs.checkpoints import write_unsigned

QUICK = "--trainer.max_epochs 1 --data.train_points 50 --pictures.every 0"
READERS = ["test", "validate", "predict", "picture", "fit --trainer.max_epochs 2"]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small signed checkpoint."""
    path = tmp_path_factory.mktemp("small") / "small.ckpt"
    content = {"state_dict": {"weight": torch.ones(3)}, "epoch": 1, "global_step": 2, "pytorch-lightning_version": "2"}
    AtomicCheckpointIO().save_checkpoint(content, path)
    return path


def test_a_checkpoint_is_known_as_its_writers_own(small: Path):
    assert read(small).own
    assert torch.load(small, weights_only=True)["epoch"] == 1  # torch alone reads it too


@pytest.mark.parametrize("size", [0, 1, 21, 22, 100, 1000, -1, -100, -172])
def test_a_checkpoint_cut_short_is_noticed(small: Path, tmp_path: Path, size: int):
    path = tmp_path / "cut.ckpt"
    path.write_bytes(small.read_bytes()[:size])
    with pytest.raises(UserError, match=r"cut\.ckpt is damaged"):
        read(path)


def test_what_is_put_behind_a_checkpoint_is_noticed(small: Path, tmp_path: Path):
    path = tmp_path / "more.ckpt"
    path.write_bytes(small.read_bytes() + b"\0")
    with pytest.raises(UserError, match="damaged"):
        read(path)
    path.write_bytes(small.read_bytes() + small.read_bytes())
    with pytest.raises(UserError, match="damaged"):
        read(path)


@pytest.mark.parametrize("trick", ["compressed", "twice"])
def test_an_archive_that_torch_does_not_write_is_refused(small: Path, tmp_path: Path, trick: str):
    path = write_unsigned(torch.load(small, weights_only=True), tmp_path / "odd.ckpt")
    with zipfile.ZipFile(path) as archive:
        members = {member.filename: archive.read(member) for member in archive.infolist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if trick == "compressed" else zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        if trick == "twice":
            with pytest.warns(UserWarning, match="Duplicate"):
                archive.writestr(name, content)
    with pytest.raises(UserError, match="torch writes no such archive"):
        read(path)


def test_another_users_checkpoint_is_untrusted(small: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert not read(small).own  # without a key
    AtomicCheckpointIO().save_checkpoint(torch.load(small, weights_only=True), tmp_path / "own.ckpt")
    assert read(tmp_path / "own.ckpt").own
    assert not read(small).own  # with another one


@pytest.mark.parametrize("fault", ["read by others", "in an open folder", "a link", "a pipe", "short", "a folder"])
def test_a_key_that_cannot_be_relied_on_signs_nothing(
    small: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fault: str
):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    path, key = tmp_path / "some.ckpt", tmp_path / "litspike" / "key"
    content = torch.load(small, weights_only=True)
    AtomicCheckpointIO().save_checkpoint(content, path)
    assert (key.stat().st_mode & 0o777, key.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    if fault == "read by others":
        key.chmod(0o640)
    elif fault == "in an open folder":
        key.parent.chmod(0o770)
    elif fault == "short":
        key.write_bytes(b"short")
    else:
        key.rename(tmp_path / "elsewhere")
        if fault == "a link":
            key.symlink_to(tmp_path / "elsewhere")
        elif fault == "a pipe":
            os.mkfifo(key, 0o600)
        else:
            key.mkdir(mode=0o700)
    assert not read(path).own
    AtomicCheckpointIO().save_checkpoint(content, path)
    assert not read(path).own


@pytest.mark.parametrize("home", ["/proc/nowhere", "/dev/null"])
def test_without_a_place_for_the_key_checkpoints_are_written_all_the_same(
    small: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, home: str
):
    monkeypatch.setenv("XDG_CONFIG_HOME", home)
    AtomicCheckpointIO().save_checkpoint(torch.load(small, weights_only=True), tmp_path / "some.ckpt")
    assert not read(tmp_path / "some.ckpt").own


@pytest.mark.parametrize("command", READERS)
def test_a_damaged_checkpoint_is_one_line_everywhere(cli: Cli, small: Path, home: Path, command: str):
    content = bytearray(small.read_bytes())
    content[300] ^= 1
    (home / "some.ckpt").write_bytes(content)
    line = cli(f"{command} --ckpt_path {home}/some.ckpt").error_line
    assert line == (
        f"{home}/some.ckpt is damaged (its checksum is not that of its content): name another with --ckpt_path, or "
        "train again"
    )


@pytest.mark.parametrize("kind", ["pipe", "folder", "device", "link to itself", "link to a damaged one", "huge"])
def test_what_is_no_file_of_a_checkpoint_is_one_line(cli: Cli, home: Path, kind: str):
    path = home / "some.ckpt"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "link to itself":
        path.symlink_to(path)
    elif kind == "link to a damaged one":
        (home / "other").write_bytes(b"PK\3\4")
        path.symlink_to(home / "other")
    else:
        with path.open("wb") as file:
            file.truncate(1 << 40)
    assert "some.ckpt" in (line := cli(f"test --ckpt_path {path}").error_line) or "other" in line


@pytest.mark.parametrize("command", ["test", "fit --trainer.max_epochs 2"])
@pytest.mark.parametrize("weights_only", [False, True])
def test_what_a_users_own_callback_writes_is_signed(cli: Cli, home: Path, command: str, weights_only: bool):
    (home / "mine.yaml").write_text(f"""
trainer:
  callbacks:
  - class_path: ModelCheckpoint
    init_args: {{dirpath: {home}/mine, filename: one, save_weights_only: {str(weights_only).lower()}}}
""")
    assert cli(f"fit {QUICK} -c {home}/mine.yaml").status == 0
    (path,) = (home / "mine").iterdir()
    assert read(path).own
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert "is damaged" in cli(f"{command} --ckpt_path {path}").error_line
