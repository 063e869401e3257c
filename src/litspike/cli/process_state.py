"""What a command changes of the process that it runs in, and puts back: it may be a notebook's, or a test's."""

from __future__ import annotations

import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from litspike.seeding import isolated
from litspike.settings import LitspikeWarning
from litspike.terminal import one_line

_SILENT = (
    r".*isinstance\(treespec, LeafSpec\)",
    r".*Checkpoint directory .* exists and is not empty",
    r"The dirpath has changed from",  # another --logs: what is best there is found anew
    r".*when using `ckpt_path`, callbacks used to create the checkpoint need to be provided",
    r".*is smaller than the logging interval",  # figures are logged once an epoch
    r".*Couldn't infer the batch indices fetched",
    r".*recommended to use `self\.log\(.*sync_dist=True",  # what is logged is of all processes already
    r"You're resuming from a checkpoint that ended before the epoch ended",  # a line says it where it is so
    r"You're using the WeightAveraging callback, but loading a checkpoint outside",  # the averages are what it loads
    r".*does not have many workers",  # it names num_workers, not the setting of the data that it means
)
"""What Lightning warns of at every start, and asks nothing of the user."""


@contextmanager
def restored() -> Iterator[None]:
    """Put back torch's switches and the random states, which Lightning's trainer and the settings change."""
    threads, dtype, precision = torch.get_num_threads(), torch.get_default_dtype(), torch.get_float32_matmul_precision()
    strict = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    cudnn: Any = torch.backends.cudnn
    switches = cudnn.benchmark, cudnn.deterministic
    woken = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    try:
        with isolated(cuda=woken):
            yield
    finally:
        torch.set_num_threads(threads)
        torch.set_default_dtype(dtype)
        torch.set_float32_matmul_precision(precision)
        torch.use_deterministic_algorithms(strict[0], warn_only=strict[1])
        cudnn.benchmark, cudnn.deterministic = switches


@contextmanager
def console_messages(shown: bool) -> Iterator[None]:
    """Show litspike's log and warnings as lines, and none of what Lightning says at every start.

    Args:
        shown: whether this process prints anything: of several that train together one does.
    """
    logs = {name: logging.getLogger(name) for name in ("litspike", "lightning.pytorch", "lightning.fabric")}
    levels = {name: log.level for name, log in logs.items()}
    form, hook, handler = warnings.formatwarning, threading.excepthook, ConsoleHandler()

    def in_a_line(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> str:
        ours = issubclass(category, LitspikeWarning)  # without the place in the code that it comes from
        return f"litspike: {one_line(str(message))}\n" if ours else form(message, category, *where, **more)

    def on_thread_error(arguments: threading.ExceptHookArgs) -> None:
        # of a full disk TensorBoard's error is raised once more where the run next writes to it
        # and it has no other place than this hook in which its threads' errors can be seen
        if not (isinstance(arguments.exc_value, OSError) and _of_tensorboard(arguments.thread)):
            hook(arguments)

    with warnings.catch_warnings():
        try:
            logs["litspike"].addHandler(handler)
            logs["litspike"].setLevel(logging.INFO if shown else logging.CRITICAL)
            for name in ("lightning.pytorch", "lightning.fabric"):
                logs[name].setLevel(logging.WARNING)
            logging.getLogger("lightning.pytorch.callbacks.model_summary").setLevel(logging.INFO)  # it was asked for
            if not shown:
                warnings.simplefilter("ignore")
            for message in _SILENT:
                warnings.filterwarnings("ignore", message=message)
            warnings.formatwarning, threading.excepthook = in_a_line, on_thread_error
            yield
        finally:
            warnings.formatwarning, threading.excepthook = form, hook
            logs["litspike"].removeHandler(handler)
            for name, log in logs.items():
                log.setLevel(levels[name])


def _of_tensorboard(thread: object) -> bool:
    return any(kind.__module__.startswith("tensorboard.") for kind in type(thread).__mro__)


class ConsoleHandler(logging.Handler):
    """Prints what litspike's log says, as it is: to standard output, or standard error from a warning on."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print the message, in one call, so that no other process's words come between it and its end."""
        stream = sys.stderr if record.levelno >= logging.WARNING else sys.stdout
        stream.write(f"{record.getMessage()}\n")
        stream.flush()
