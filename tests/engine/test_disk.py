"""Kernels on disk: found by the next process, and believed only where nobody else can have put them there."""

import hashlib
import logging
import os
import random
import socket
import stat
import subprocess
import sys

import pytest

from litspike.engine.cpu import disk, jit
from litspike.engine.cpu.openmp import Function

TEXT = "define void @f(ptr %a, i64 %first, i64 %last) {{\n store i64 {}, ptr %a\n ret void\n}}"
ROOT = os.name == "posix" and os.geteuid() == 0

pytestmark = pytest.mark.skipif(os.name != "posix", reason="owners and modes say nothing there, and nothing is kept")


def stored(number):
    (address,) = jit.load(TEXT.format(number), ["f"])
    room = bytes(8)
    Function.at(address).call(room, 0, 0)
    return int.from_bytes(room, sys.byteorder)


@pytest.fixture
def compiled(monkeypatch):
    """The texts that were compiled, in turn."""
    texts = []
    compile_ = jit._compile
    monkeypatch.setattr(jit, "_compile", lambda text: texts.append(text) or compile_(text))
    return texts


@pytest.fixture
def base(tmp_path, monkeypatch):
    """The folder for caches; a warning of it is given anew."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    disk._say.cache_clear()
    return tmp_path


@pytest.fixture
def kernel(base):
    """The file of a kernel that was kept."""
    assert stored(7) == 7
    (kernel,) = base.rglob("*.o")
    return kernel


def contents(folder):
    """Everything in a folder, with what it is and holds."""
    found = {}
    for place in sorted(folder.rglob("*")):
        status = place.lstat()
        kept = place.read_bytes() if stat.S_ISREG(status.st_mode) and status.st_size < 1 << 20 else None
        found[place] = (status.st_mode, status.st_uid, status.st_size, kept)
    return found


def test_the_second_process_finds_the_kernel(kernel, compiled):
    assert stored(7) == 7
    assert not compiled


def test_folders_and_files_are_the_users_alone_whatever_the_umask(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    before = os.umask(0)
    try:
        assert stored(8) == 8
    finally:
        os.umask(before)
    found = {place: stat.S_IMODE(place.lstat().st_mode) for place in tmp_path.rglob("*")}
    assert len(found) == 5
    assert all(mode == (0o700 if place.is_dir() else 0o600) for place, mode in found.items())


@pytest.mark.integration
def test_no_flipped_bit_and_no_cut_is_believed(kernel, compiled):
    whole = kernel.read_bytes()
    draw = random.Random(0)
    tried = 0
    for bit in draw.sample(range(8 * len(whole)), 100):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        kernel.write_bytes(flipped)
        tried += 1
        assert stored(7) == 7
        assert len(compiled) == tried
        assert kernel.read_bytes() == whole, "written anew"
    for length in (0, 1, 31, 32, 33, len(whole) // 2, len(whole) - 1):
        kernel.write_bytes(whole[:length])
        tried += 1
        assert stored(7) == 7
        assert len(compiled) == tried
    print(f"{tried} damaged kernels")


@pytest.mark.parametrize("named", [lambda name, code: code, lambda name, code: name + code])
def test_garbage_with_a_checksum_is_not_believed(kernel, compiled, named):
    draw = random.Random(0)
    for count in range(1, 30):
        garbage = draw.randbytes(500)
        kernel.write_bytes(hashlib.sha256(named(kernel.stem.encode(), garbage)).digest() + garbage)
        assert stored(7) == 7
        assert len(compiled) == count


def test_a_kernel_under_anothers_name_is_not_believed(kernel, compiled):
    first = kernel.read_bytes()
    assert stored(9) == 9
    (second,) = {*kernel.parent.glob("*.o")} - {kernel}
    second.write_bytes(first)
    assert stored(9) == 9
    assert len(compiled) == 2


@pytest.mark.parametrize("copied", [["{}.o"], ["{}.o", "secret"]])
def test_a_kernel_from_another_folder_is_not_believed_without_its_secret(
    kernel, compiled, tmp_path, copied, monkeypatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))
    assert stored(6) == 6
    there = tmp_path / "other" / "litspike" / "kernels"
    for name in copied:
        (there / name.format(kernel.stem)).write_bytes((kernel.parent / name.format(kernel.stem)).read_bytes())
        (there / name.format(kernel.stem)).chmod(0o600)
    compiled.clear()
    assert stored(7) == 7
    assert len(compiled) == (1 if len(copied) == 1 else 0)


def fifo(place):
    os.mkfifo(place, 0o600)


def huge(place):
    with place.open("wb") as file:
        os.truncate(file.fileno(), 3 << 30)
    place.chmod(0o600)


def linked(place):
    target = place.with_name("target")
    target.write_bytes(b"mine")
    target.chmod(0o600)
    place.symlink_to(target)


def looping(place):
    place.symlink_to(place)


def socketed(place):
    here = os.getcwd()
    os.chdir(place.parent)  # as the name of a socket is short
    try:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(place.name[:40])
        os.rename(place.name[:40], place)
    finally:
        os.chdir(here)


def readable(place):
    place.write_bytes(b"readable by all")
    place.chmod(0o644)


def writable(place):
    place.write_bytes(b"writable by the group")
    place.chmod(0o620)


def of_another(place):
    place.write_bytes(b"of another")
    place.chmod(0o600)
    os.chown(place, 12345, 12345)


def a_folder(place):
    place.mkdir(0o700)


ODD = [fifo, huge, linked, looping, socketed, readable, writable, a_folder]
ODD += [pytest.param(of_another, marks=pytest.mark.skipif(not ROOT, reason="only root gives a file away"))]


@pytest.mark.parametrize("where", ["kernel", "secret"])
@pytest.mark.parametrize("odd", ODD)
def test_what_is_odd_stays_as_it_is_and_the_kernel_is_compiled(kernel, compiled, odd, where):
    place = kernel if where == "kernel" else kernel.with_name("secret")
    place.unlink()
    odd(place)
    before = contents(kernel.parent)
    for count in (1, 2):
        assert stored(7) == 7
        assert len(compiled) == count
    assert contents(kernel.parent) == before


def test_an_odd_file_with_a_true_kernel_in_it_is_not_loaded(kernel, compiled):
    kernel.chmod(0o660)
    assert stored(7) == 7
    assert len(compiled) == 1


def level(base, name):
    return {"base": base, "litspike": base / "litspike", "kernels": base / "litspike" / "kernels"}[name]


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777, 0o722])
@pytest.mark.parametrize("name", ["base", "litspike", "kernels"])
def test_a_folder_that_others_can_write_is_not_used_and_one_line_says_so(base, kernel, compiled, caplog, name, mode):
    place = level(base, name)
    place.chmod(mode)
    before = contents(base)
    with caplog.at_level(logging.WARNING, "litspike"):
        for _ in range(3):
            assert stored(7) == 7
    assert len(compiled) == 3
    assert contents(base) == before
    assert [record.getMessage() for record in caplog.records] == [
        f"compiled kernels are not kept on disk, as others could put something into {place}"
    ]
    place.chmod(0o700)


def test_a_shared_sticky_folder_of_kernels_is_not_used(base, kernel, compiled):
    kernel.parent.chmod(0o1777)
    assert stored(7) == 7
    assert len(compiled) == 1


@pytest.mark.skipif(not ROOT, reason="only root gives a folder away")
@pytest.mark.parametrize("name", ["base", "litspike", "kernels"])
def test_a_folder_of_another_is_not_used(base, kernel, compiled, name):
    os.chown(level(base, name), 12345, 12345)
    before = contents(base)
    assert stored(7) == 7
    assert len(compiled) == 1
    assert contents(base) == before


@pytest.mark.parametrize("name", ["litspike", "kernels"])
def test_a_link_to_a_folder_is_not_followed(base, compiled, tmp_path_factory, name):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    place = level(base, name)
    place.parent.mkdir(0o700, exist_ok=True)
    place.symlink_to(elsewhere)
    assert stored(7) == 7
    assert not [*elsewhere.iterdir()]


def test_the_folder_for_caches_itself_may_be_a_link(tmp_path, monkeypatch, compiled):
    (tmp_path / "scratch").mkdir(0o700)
    (tmp_path / "link").symlink_to(tmp_path / "scratch")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "link"))
    assert stored(7) == stored(7) == 7
    assert len(compiled) == 1


def test_a_link_through_a_folder_that_others_can_write_is_not_used(tmp_path, monkeypatch, compiled):
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "open" / "mine").mkdir(0o700)
    (tmp_path / "link").symlink_to(tmp_path / "open" / "mine")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "link"))
    assert stored(7) == stored(7) == 7
    assert len(compiled) == 2
    assert not [*(tmp_path / "open" / "mine").iterdir()]


@pytest.mark.parametrize("environment", [{}, {"HOME": ""}, {"HOME": "/nowhere/at/all"}, {"HOME": "relative"}])
def test_without_a_home_it_runs(environment, monkeypatch, tmp_path, compiled):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", lambda uid: (_ for _ in ()).throw(KeyError(uid)))
    monkeypatch.setattr(disk, "_check", lambda place, status: disk._distrust(place))  # the machine's own stays clean
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert stored(5) == stored(5) == 5
    assert len(compiled) == 2
    assert not [*tmp_path.iterdir()]
    assert not os.path.exists("/nowhere")


@pytest.mark.parametrize("given", ["cache", "./cache", ".", "~/cache"])
def test_a_relative_folder_for_caches_is_not_used(given, monkeypatch, tmp_path):
    """The specification of XDG_CACHE_HOME says so; the current folder may be anyone's."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", given)
    assert stored(7) == 7
    assert not [*(tmp_path / "here").iterdir()]
    assert [*(tmp_path / ".cache" / "litspike" / "kernels").glob("*.o")]


@pytest.mark.parametrize("path", ["/dev/null", "/proc/self/cache", "/dev/full/x"])
def test_a_folder_that_cannot_be_made_is_no_error(path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", path)
    assert stored(9) == 9


def test_a_file_where_a_folder_would_be_is_no_error(base):
    (base / "litspike").write_text("a file where the folder would be")
    assert stored(9) == 9
    assert (base / "litspike").read_text() == "a file where the folder would be"


def test_a_full_disk_is_no_error_and_leaves_nothing(base, monkeypatch):
    def full(*names, **places):
        raise OSError(28, "No space left on device")

    for move in ("replace", "link"):
        monkeypatch.setattr(disk.os, move, full)
    assert stored(9) == 9
    assert not [place for place in base.rglob("*") if place.is_file()]


def test_the_folder_is_bounded_in_files_and_bytes_and_the_oldest_go(kernel, compiled, monkeypatch):
    folder = kernel.parent
    other = folder / "notes.txt"
    other.write_text("not ours")
    size = kernel.stat().st_size
    for limit, value in (("MOST_FILES", 5), ("MOST_BYTES", 5 * size + size // 2)):
        monkeypatch.setattr(disk, limit, value)
        for number in range(20, 40):
            assert stored(number) == number
            for place in folder.glob("*.o"):  # all a minute older, but what is used again
                os.utime(place, (place.stat().st_atime, place.stat().st_mtime - 60))
            assert stored(20) == 20
        assert len([*folder.glob("*.o")]) == 5
        compiled.clear()
        assert [stored(number) for number in (20, 39, 38, 37, 36)] == [20, 39, 38, 37, 36]
        assert not compiled, "the newest are there, and the old one that was used"
        monkeypatch.undo()
        monkeypatch.setenv("XDG_CACHE_HOME", str(folder.parents[1]))
    assert other.read_text() == "not ours"
    assert not kernel.exists()


def test_what_a_killed_process_left_is_removed_later(kernel):
    old, new = kernel.with_name("0123.draft"), kernel.with_name("4567.draft")
    for draft in (old, new):
        draft.write_bytes(b"half")
    os.utime(old, (0, 0))
    stored(10)
    assert not old.exists()
    assert new.exists()


@pytest.mark.parametrize(("name", "other"), [("llvmlite_version", "0.0"), ("version", lambda: "0.0")])
def test_another_version_has_kernels_of_its_own(kernel, compiled, monkeypatch, name, other):
    monkeypatch.setattr(jit, name, other)
    monkeypatch.setattr(jit, "_description", jit._description.__wrapped__)
    assert stored(7) == 7
    assert len(compiled) == 1
    assert kernel.exists()


def test_another_processor_has_kernels_of_its_own():
    assert all(part in jit._description() for part in jit.processor())


@pytest.mark.slow
@pytest.mark.integration
def test_two_processes_at_once_find_or_make_the_same(base):
    program = f"""
import sys
sys.path.insert(0, {os.path.dirname(__file__)!r})
from test_disk import stored
for number in list(range(12)) * 3:
    assert stored(number) == number
"""
    running = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(2)]
    assert [process.wait(timeout=600) for process in running] == [0] * 2
    names = [place.name for place in base.rglob("*") if place.is_file()]
    assert len(names) == 13
    assert not [name for name in names if name.endswith(".draft")]
