"""Signals that ask a process to end: Ctrl-C, SIGTERM of a batch system, SIGHUP of a terminal that is gone.

The first one raises :class:`Stopped` in the main thread, so that all is closed as after an error. Where the process
can't come to that, as it waits for another one inside of torch, it is ended all the same some seconds later.
"""

from __future__ import annotations

import multiprocessing
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

SECONDS = 10.0
"""How long a process that was asked to end may take for it."""
_AGAIN = 0.2
"""Seconds after which a main thread that hasn't heard a signal is asked again."""
PARENT = "LITSPIKE_PARENT"
"""The environment variable in which a process that starts others leaves them its number."""
ENDING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]

_handling = threading.Lock()
_stop_asked = False
"""Whether the process was asked to end, or ends by itself, and is not to be disturbed in it."""
_lost: Lost | None = None
"""What the next signal is about, where this process sends it to itself."""
_before_the_end: Callable[[], None] | None = None
"""What is left to do where the main thread can't."""


class Stopped(BaseException):
    """The process was asked to end.

    Args:
        number: the signal's.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.status = 128 + number
        """The exit status, as a shell gives it."""
        self.words = "interrupted" if number == signal.SIGINT else f"stopped by {signal.Signals(number).name}"


class Lost(BaseException):
    """A process that this one trains with has ended.

    Args:
        words: the message; None where the process printed its own.
        seconds: how long this process may take to end.
    """

    status = 1

    def __init__(self, words: str | None, seconds: float) -> None:
        super().__init__(words)
        self.words, self.seconds = words, seconds


@contextmanager
def stoppable() -> Iterator[None]:
    """Raise :class:`Stopped` for the first signal that comes, and end the process where nothing follows from it.

    Signals that are ignored, as ``nohup`` has it, stay so. Afterwards every handler is what it was.
    """
    global _stop_asked, _lost
    if threading.current_thread() is not threading.main_thread():
        yield  # nothing can be handled here
        return
    before = {number: signal.getsignal(number) for number in ENDING}
    before = {number: handler for number, handler in before.items() if handler not in (signal.SIG_IGN, None)}
    asked, _stop_asked = _stop_asked, False
    watch = _Watch()
    for number in before:
        signal.signal(number, _stop)
    try:
        yield
    finally:
        _stop_asked = True
        watch.close()
        with _handling:  # no thread sends a signal that another handler would get
            for number, handler in before.items():
                signal.signal(number, handler)
            _stop_asked, _lost = asked, None


@contextmanager
def before_the_end(leave: Callable[[], None]) -> Iterator[None]:
    """Call a function where the process is ended because its main thread couldn't end it."""
    global _before_the_end
    before, _before_the_end = _before_the_end, leave
    try:
        yield
    finally:
        _before_the_end = before


def lose(lost: Lost) -> None:
    """Raise an error in the main thread, as a signal does; called in another thread."""
    global _lost
    with _handling:
        handled = [number for number in ENDING if signal.getsignal(number) is _stop]
        if handled and not _stop_asked:
            _lost = lost
            os.kill(os.getpid(), handled[-1])


def ignore_further_signals() -> None:
    """End without being stopped once more."""
    global _stop_asked
    _stop_asked = True


def _stop(number: int, frame: FrameType | None) -> None:
    global _stop_asked
    if not _stop_asked and not _requeues(frame):
        _stop_asked = True
        raise _lost or Stopped(number)


def _requeues(frame: FrameType | None) -> bool:
    """Whether Lightning is handing the job back to SLURM, which then ends it."""
    while frame is not None:
        if frame.f_code.co_name == "_slurm_sigusr_handler_fn":
            return True
        frame = frame.f_back
    return False


class _Watch:
    """A thread that sees a signal while the main thread is inside of torch, and that this process's starter is gone."""

    def __init__(self) -> None:
        self._ended = threading.Event()
        self._read, self._write = socket.socketpair()
        self._write.setblocking(False)
        self._before = signal.set_wakeup_fd(self._write.fileno(), warn_on_full_buffer=False)
        if self._before != -1:  # another one's, such as an event loop's
            signal.set_wakeup_fd(self._before)
        self._thread = threading.Thread(target=self._run, args=(_starter(),), daemon=True, name="litspike signals")
        self._thread.start()

    def close(self) -> None:
        if self._before == -1:
            signal.set_wakeup_fd(-1)
        self._ended.set()
        self._write.send(b"\0")
        self._thread.join()
        self._read.close()
        self._write.close()

    def _run(self, starter: int | None) -> None:
        while not self._ended.is_set():
            ready, _, _ = select.select([self._read], [], [], None if starter is None else 1.0)
            for number in self._read.recv(64) if ready else b"":
                if number in ENDING and not self._main_ends(number, _lost.seconds if _lost else SECONDS):
                    if _lost is not None:
                        _end(_lost.status, _lost.words)
                    _end(128 + number, f"{Stopped(number).words}, and ended after {SECONDS:g} s of waiting")
            if starter is not None and os.getppid() != starter and not self._ended.is_set():
                starter = None
                os.kill(os.getpid(), signal.SIGTERM)

    def _main_ends(self, number: int, seconds: float) -> bool:
        """Whether the main thread comes to its end in time; it is asked again until it has heard.

        A signal that comes between its last look and a wait that begins does not interrupt that wait.
        """
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if self._ended.wait(min(left, _AGAIN)):
                return True
            if not _stop_asked:
                signal.pthread_kill(threading.main_thread().ident or 0, number)
        return self._ended.is_set()


def _starter() -> int | None:
    """The process that this one is a part of; None where it stands by itself."""
    if (parent := multiprocessing.parent_process()) is not None:
        return parent.pid
    if "TORCHELASTIC_RUN_ID" in os.environ:
        return os.getppid()
    started = os.environ.get(PARENT)
    return int(started) if started and os.environ.get("LOCAL_RANK", "0") != "0" else None


def _end(status: int, line: str | None) -> Any:
    """End at once."""
    if line and os.environ.get("LOCAL_RANK", "0") == "0":
        os.write(2, f"litspike: {line}\n".encode())
    if _before_the_end is not None:
        with suppress(Exception):  # nothing may keep it from ending
            _before_the_end()
    sys.stdout.flush()
    os._exit(status)
