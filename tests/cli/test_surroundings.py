"""A command leaves the process that it ran in as it was."""

from __future__ import annotations

import gc
import logging
import os
import random
import signal
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tensorboard.summary.writer.event_file_writer import _AsyncWriterThread

from litspike.cli.process_state import console_messages
from tests.conftest import Cli

QUICK = "--data.train_points 20 --data.val_points 10 --pictures.every 0 --trainer.max_epochs 1"


def surroundings() -> dict[str, Any]:
    """All that a command could change, as far as it can be seen."""
    logs = [logging.getLogger(name) for name in ("", "litspike", "lightning", "lightning.pytorch", "lightning.fabric")]
    return {
        "arguments": list(sys.argv),
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "path": list(sys.path),
        "streams": (sys.stdin, sys.stdout, sys.stderr),
        "hooks": (sys.excepthook, threading.excepthook, sys.unraisablehook),
        "warnings": (list(warnings.filters), warnings.formatwarning, warnings.showwarning),
        "logs": [(log.level, list(log.handlers), log.disabled) for log in logs],
        "signals": {number: signal.getsignal(number) for number in signal.valid_signals()},
        "threads": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "numbers": (torch.get_default_dtype(), torch.get_float32_matmul_precision()),
        "gradients": (torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.is_anomaly_enabled()),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "cudnn": (torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic),
        "random": (random.getstate(), str(np.random.get_state()), torch.get_rng_state().tolist()),
        "garbage": (gc.isenabled(), gc.get_threshold()),
        "umask": umask(),
    }


def umask() -> int:
    mask = os.umask(0o22)
    os.umask(mask)
    return mask


@pytest.mark.parametrize(
    "arguments",
    [
        f"fit {QUICK} --threads 1 --trainer.deterministic true --trainer.benchmark false --trainer.detect_anomaly true",
        f"fit {QUICK} --trainer.callbacks mine.Breaks",
        "fit --nothing 1",
        "fit --help",
        "test",
        "compare",
    ],
)
def test_a_command_puts_back_what_it_changed(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: str):
    (tmp_path / "mine.py").write_text(
        "import os\nfrom lightning import Callback\nclass Breaks(Callback):\n"
        "    def on_validation_end(self, *_):\n        os.environ['OF_THE_RUN'] = '1'\n        raise KeyError('x')\n"
    )
    monkeypatch.chdir(tmp_path)
    cli("fit --help")  # what is imported at the first command stays
    before = surroundings()
    cli(arguments)
    after = surroundings()
    for name, value in before.items():
        assert after[name] == value, name


def failing(error: Exception, kind: type[threading.Thread] = threading.Thread) -> threading.Thread:
    class Fails(kind):  # type: ignore[misc, valid-type]
        def __init__(self) -> None:
            threading.Thread.__init__(self)

        def run(self) -> None:
            raise error

    return Fails()


@pytest.mark.parametrize(
    ("error", "kind", "heard"),
    [
        (OSError("disk"), threading.Thread, True),
        (KeyError("x"), threading.Thread, True),
        (KeyError("x"), _AsyncWriterThread, True),
        (OSError("disk"), _AsyncWriterThread, False),
    ],
)
def test_of_the_errors_in_threads_tensorboards_on_a_full_disk_alone_is_silent(
    monkeypatch: pytest.MonkeyPatch, error: Exception, kind: type[threading.Thread], heard: bool
):
    told: list[BaseException | None] = []
    monkeypatch.setattr(threading, "excepthook", lambda arguments: told.append(arguments.exc_value))
    with console_messages(True):
        thread = failing(error, kind)
        thread.start()
        thread.join()
    assert told == ([error] if heard else [])
