"""Private files and secrets: what is not this user's alone is neither read nor replaced."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from litspike.private_files import SECRET, Distrusted, is_private, make_secret, opened, secret, write

pytestmark = pytest.mark.skipif(os.name != "posix", reason="owners and modes say nothing there")


@pytest.fixture(params=["by path", "in an open folder"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Path | str, int | None]]:
    """A place for a file, said in both ways."""
    if request.param == "by path":
        yield tmp_path / "name", None
        return
    folder = os.open(tmp_path, os.O_RDONLY)
    yield "name", folder
    os.close(folder)


def content(place: tuple[Path | str, int | None], largest: int = 100) -> bytes:
    with opened(place[0], largest, place[1]) as file:
        return file.read()


def test_what_is_written_is_private_whole_and_all_there_is(place: tuple[Path | str, int | None], tmp_path: Path):
    before = os.umask(0)
    try:
        for text in (b"first", b"second"):
            write(place[0], text, place[1])
            assert content(place) == text
    finally:
        os.umask(before)
    (made,) = tmp_path.iterdir()
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    assert is_private(made.stat(), stat.S_ISREG)


def test_a_secret_is_made_once(place: tuple[Path | str, int | None], tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        secret(*place)
    make_secret(*place)
    first = secret(*place)
    assert len(first) == SECRET
    make_secret(*place)
    assert secret(*place) == first
    assert [path.name for path in tmp_path.iterdir()] == ["name"]


def test_two_secrets_differ(tmp_path: Path):
    for name in "ab":
        make_secret(tmp_path / name)
    assert secret(tmp_path / "a") != secret(tmp_path / "b")


@pytest.mark.parametrize("length", [0, SECRET - 1, SECRET + 1])
def test_a_secret_of_another_length_is_none(tmp_path: Path, length: int):
    write(tmp_path / "name", bytes(length))
    with pytest.raises(Distrusted):
        secret(tmp_path / "name")


def of_a_link(place: Path) -> None:
    place.rename(place.with_name("elsewhere"))
    place.symlink_to("elsewhere")


def of_a_pipe(place: Path) -> None:
    place.unlink()
    os.mkfifo(place, 0o600)


def of_a_folder(place: Path) -> None:
    place.unlink()
    place.mkdir(0o700)


@pytest.mark.parametrize(
    "change",
    [
        of_a_link, of_a_pipe, of_a_folder, lambda place: place.chmod(0o640), lambda place: place.chmod(0o604),
        lambda place: place.chmod(0o620), lambda place: place.write_bytes(bytes(101)),
    ],
)  # fmt: skip
def test_what_is_no_private_file_is_not_opened(tmp_path: Path, change: Callable[[Path], None]):
    place = tmp_path / "name"
    write(place, b"text")
    assert content((place, None)) == b"text"
    change(place)
    with pytest.raises(Distrusted):
        content((place, None))


def test_a_draft_that_cannot_be_put_in_place_is_removed(tmp_path: Path):
    (tmp_path / "name").mkdir()
    with pytest.raises(OSError, match="directory"):
        write(tmp_path / "name", b"text")
    assert [path.name for path in tmp_path.iterdir()] == ["name"]
