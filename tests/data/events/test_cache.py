"""The cache of binned recordings: whole and unharmed, or built anew."""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import pty
import re
import signal
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from litspike.data.events.binning import CELL, Cells
from litspike.data.events.cache import CacheFile, cached
from tests.conftest import LIMIT

pytestmark = pytest.mark.filterwarnings("ignore:.*is not believed")
KEY = bytes(range(32))
SIZES = (3, 0, 5, 1)
FORK = multiprocessing.get_context("fork")


class Recorded:
    """Recordings that count in a file how often they are read, and may be slow or deadly.

    Args:
        log: the file.
        pause: seconds that each takes.
        deadly: the one that kills the process that reads it.
        gate: what each waits for.
    """

    def __init__(self, log: Path, pause: float = 0.0, deadly: int | None = None, gate: Any = None) -> None:
        self.log, self.pause, self.deadly, self.gate = log, pause, deadly, gate

    def __len__(self) -> int:
        return len(SIZES)

    def __getitem__(self, index: int) -> Cells:
        with self.log.open("a") as file:
            file.write(str(index))
        time.sleep(self.pause)
        assert self.gate is None or self.gate.wait(LIMIT)
        if index == self.deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        cells = np.empty(SIZES[index], CELL)
        cells["index"], cells["count"] = np.arange(SIZES[index]) * 7, index + 1
        return cells

    @property
    def reads(self) -> str:
        return self.log.read_text() if self.log.exists() else ""


@pytest.fixture
def recorded(tmp_path: Path) -> Recorded:
    return Recorded(tmp_path / "log")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "set.cells"


def content(binned: object) -> list[list[tuple[int, int]]]:
    return [binned[i].tolist() for i in range(len(SIZES))]  # type: ignore[index]


def test_recordings_are_read_once_and_come_back_as_they_were(path: Path, recorded: Recorded):
    for _ in range(3):
        found = cached(path, KEY, recorded)
        assert isinstance(found, CacheFile)
        assert len(found) == len(SIZES)
    assert recorded.reads == "0123"
    assert content(found) == content(recorded)
    assert content(pickle.loads(pickle.dumps(found))) == content(recorded)


@pytest.mark.parametrize("kept", [0, 1, 63, 64, 65, 100, 64 + 9 * 8, -8, -1])
def test_a_file_that_was_cut_short_is_built_anew(kept: int, path: Path, recorded: Recorded):
    whole = content(cached(path, KEY, recorded))
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.warns(UserWarning, match="is not believed"):
        assert content(cached(path, KEY, recorded)) == whole
    assert recorded.reads == "01230123"


def test_a_single_changed_bit_anywhere_is_noticed(path: Path, recorded: Recorded):
    cached(path, KEY, recorded)
    good = path.read_bytes()
    unread = set(range(60, 64))  # the header's padding
    for at in set(range(len(good))) - unread:
        path.write_bytes(good[:at] + bytes([good[at] ^ 16]) + good[at + 1 :])
        with pytest.raises(ValueError, match=r"corrupt|cut short|of something else"):
            CacheFile(path, KEY, len(SIZES))
    cached(path, KEY, recorded)
    assert path.read_bytes() == good


@pytest.mark.parametrize("appended", [b"\0", bytes(8)])
def test_a_file_that_is_too_long_is_built_anew(appended: bytes, path: Path, recorded: Recorded):
    cached(path, KEY, recorded)
    path.write_bytes(path.read_bytes() + appended)
    cached(path, KEY, recorded)
    assert recorded.reads == "01230123"


def test_a_file_of_something_else_under_this_name_is_not_believed(path: Path, recorded: Recorded):
    cached(path, bytes(32), recorded)
    cached(path, KEY, recorded)
    assert recorded.reads == "01230123"


def test_a_process_killed_while_writing_leaves_nothing_that_is_believed(path: Path, tmp_path: Path, recorded: Recorded):
    process = FORK.Process(target=cached, args=(path, KEY, Recorded(tmp_path / "other", deadly=2)))
    process.start()
    process.join(LIMIT)
    assert process.exitcode == -signal.SIGKILL
    assert not path.exists()
    assert list(path.parent.glob(".set.cells.*"))
    assert content(cached(path, KEY, recorded)) == content(recorded)
    assert sorted(file.name for file in path.parent.iterdir()) == ["set.cells", "set.cells.lock"]


def build_and_compare(path: Path, recorded: Recorded) -> None:
    assert isinstance(found := cached(path, KEY, recorded), CacheFile)
    assert sum(len(found[i]) for i in range(len(SIZES))) == sum(SIZES)


def test_processes_that_build_at_once_build_it_once(path: Path, tmp_path: Path):
    slow = Recorded(tmp_path / "log", pause=0.1)
    processes = [FORK.Process(target=build_and_compare, args=(path, slow)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(LIMIT)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert slow.reads == "0123"


def test_what_is_built_is_told_at_its_start_and_its_end_and_only_then(
    path: Path, recorded: Recorded, caplog: pytest.LogCaptureFixture
):
    with caplog.at_level(logging.INFO, "litspike"):
        cached(path, KEY, recorded)
        begun, done = caplog.messages
        assert begun == f"binning 4 recordings into {path}, once: later runs read that file"
        assert re.fullmatch(rf"binned 4 recordings into {path}: \d+ s, 0\.0 MB", done)
        cached(path, KEY, recorded)
        assert len(caplog.messages) == 2


def test_a_terminal_gets_a_bar_that_counts_the_recordings(path: Path, recorded: Recorded):
    shown = on_a_terminal(lambda: cached(path, KEY, recorded))
    assert "4/4" in shown
    assert "recordings" in shown
    assert on_a_terminal(lambda: cached(path, KEY, recorded)) == ""


def on_a_terminal(action: Callable[[], object]) -> str:
    """What a process that does this writes to its terminal."""
    process, terminal = pty.fork()
    if process == 0:
        sys.stdout = os.fdopen(1, "w")  # pytest's own would take it
        action()
        sys.stdout.flush()
        os._exit(0)
    written = b""
    with suppress(OSError):  # Linux's end of a terminal
        while chunk := os.read(terminal, 4096):
            written += chunk
    os.close(terminal)
    assert os.waitpid(process, 0)[1] == 0
    return written.decode()


def test_no_terminal_gets_no_bar(path: Path, recorded: Recorded, capsys: pytest.CaptureFixture[str], monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    cached(path, KEY, recorded)
    written = capsys.readouterr().out
    assert "4/4" not in written
    assert "\x1b" not in written


def test_a_process_that_waits_for_another_says_so(
    path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("litspike.data.events.cache._PATIENCE", 0.05)
    slow = Recorded(tmp_path / "log", gate=FORK.Event())
    process = FORK.Process(target=build_and_compare, args=(path, slow))
    process.start()
    while not slow.reads:
        time.sleep(0.01)
    opens = logging.Handler()
    monkeypatch.setattr(opens, "emit", lambda record: slow.gate.set())
    monkeypatch.setattr(logging.getLogger("litspike"), "handlers", [opens])
    with caplog.at_level(logging.INFO, "litspike"):
        build_and_compare(path, slow)
    process.join(LIMIT)
    assert process.exitcode == 0
    assert caplog.messages == [f"another process bins the recordings into {path}: waiting for it"]
    assert slow.reads == "0123"


def test_a_folder_that_cannot_be_written_means_no_cache_and_one_warning(tmp_path: Path, recorded: Recorded):
    (tmp_path / "occupied").write_text("a file where the folder should be")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for name in ("train.cells", "test.cells"):
            assert cached(tmp_path / "occupied" / name, KEY, recorded) is recorded
    assert len(caught) == 1
    assert "no cache in" in str(caught[0].message)


def test_a_cache_that_is_there_is_read_where_nothing_can_be_written(
    path: Path, recorded: Recorded, monkeypatch: pytest.MonkeyPatch
):
    cached(path, KEY, recorded)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("litspike.data.events.cache.FileLock", refuse)
    assert isinstance(cached(path, KEY, recorded), CacheFile)
    path.write_bytes(b"")
    with pytest.warns(UserWarning, match="Permission denied"):
        assert cached(path, KEY, recorded) is recorded


def test_a_set_without_any_event_is_cached_too(path: Path):
    class Silent(Recorded):
        def __getitem__(self, index: int) -> Cells:
            return np.empty(0, CELL)

    assert content(cached(path, KEY, Silent(path))) == [[], [], [], []]
