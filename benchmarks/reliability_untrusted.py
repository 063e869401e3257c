"""Hostile configurations in checkpoints: classes, functions, files and folders where they do or don't belong."""

from __future__ import annotations

import copy
import itertools
import os
import random
import sys
from pathlib import Path
from typing import Any

import torch
import yaml

from benchmarks.reliability import Outcomes, Section
from benchmarks.reliability_checkpoints import command, project
from litspike.runs.contents import KEY

MODULE = """
from pathlib import Path
from litspike.neurons import LIF
Path("imported").touch()
class Neuron(LIF): pass
def make(*args, **kwargs): Path("called").touch()
"""
RUN = {"class_path": "litspike.runs.folder.Run", "init_args": {"folder": "written"}}
LOGGER = {"class_path": "lightning.pytorch.loggers.CSVLogger", "init_args": {"save_dir": "written"}}
ARCHIVE = {"class_path": "zipfile.ZipFile", "init_args": {"file": "made.zip", "mode": "w"}}
POOL = {"class_path": "multiprocessing.pool.ThreadPool", "init_args": {"processes": 1, "initializer": "theirs.make"}}
STRANGE: dict[str, Any] = {
    "a class": {"class_path": "theirs.Neuron", "init_args": {}},
    "a class as a text": "theirs.Neuron",
    "a function as a text": "theirs.make",
    "a class in a text": "{class_path: theirs.Neuron}",
    "a class in a text with escapes": '{"class\\x5fpath": "theirs.Neuron"}',
    "a class in a list": [{"class_path": "theirs.Neuron"}],
    "a class in a group": {"a": {"b": [{"class_path": "theirs.Neuron"}]}},
    "a class that writes": ARCHIVE,
    "a class that calls": POOL,
    "a class that runs a command": {"class_path": "imaplib.IMAP4_stream", "init_args": {"command": "touch ran"}},
    "a module's module": {"class_path": "litspike.neurons.base.torch.os.system"},
    "litspike's own function": "litspike.cli.main.main",
    "litspike's own folder": RUN,
    "Lightning's logger": LOGGER,
    "a metric that downloads": {"class_path": "torchmetrics.image.fid.FrechetInceptionDistance"},
    "torch's function": "torch.hub.load",
    "torch's processes": {"class_path": "torch.nn.parallel.DistributedDataParallel"},
    "a file of settings": "theirs.yaml",
    "a schedule's function": {
        "class_path": "torch.optim.lr_scheduler.LambdaLR",
        "init_args": {"lr_lambda": "theirs.make"},
    },
    "a class in a class's list": {
        "class_path": "torch.nn.ModuleList",
        "dict_kwargs": {"modules": [{"class_path": "theirs.Neuron"}]},
    },
    "a metric's function": {
        "class_path": "torchmetrics.classification.BinaryAccuracy",
        "dict_kwargs": {"dist_sync_fn": "theirs.make"},
    },
    "a partial call": {"class_path": "functools.partial", "init_args": {"func": "theirs.make"}},
    "a pipe": "pipe",
    "standard input": "-",
    "dots in a name": {"network.class_path": "theirs.Neuron"},
    "a name of jsonargparse's": {"__path__": "theirs.yaml", "class_path": "litspike.neurons.LIF"},
    "untyped arguments": {"class_path": "litspike.neurons.LIF", "dict_kwargs": {"x": {"class_path": "theirs.Neuron"}}},
}
PLACES = (
    *("model", "data", "model.network", "model.network.neuron", "model.network.neuron.surrogate", "model.encoder"),
    *("model.network.neuron.decay", "model.network.neuron.learn", "model.network.more", "model.optimizer"),
    *("model.optimizer.lr", "model.scheduler", "model.loss", "data.path", "data.seed", "seed_everything", "threads"),
    *("console", "console.epochs", "checkpoint.monitor", "trainer", "trainer.callbacks", "trainer.logger"),
    *("trainer.plugins", "trainer.strategy", "trainer.profiler", "trainer.precision", "trainer.default_root_dir"),
    *("trainer.devices", "trainer.max_epochs", "logs", "trust", "config", "optimizer", "more"),
)
FILES = {"configs", "logs", "settings", "theirs.py", "theirs.yaml", "pipe", "some.ckpt", "some.litspike", "__pycache__"}


def set_at(config: dict[str, Any], name: str, value: Any) -> None:
    """Set a setting by its name, such as ``model.network.neuron``."""
    *path, last = name.split(".")
    for part in path:
        config = config.setdefault(part, {})
        config = config.get("init_args", config)
    config[last] = value


def untrusted(folder: Path, times: int, outcomes: Outcomes) -> None:
    """Untrusted checkpoints that would have something imported, made, called, read or written."""
    content = torch.load(project(folder), weights_only=True)
    config = yaml.safe_load(content[KEY]["config"])
    (folder / "theirs.py").write_text(MODULE)
    (folder / "theirs.yaml").write_text("class_path: theirs.Neuron")
    os.mkfifo(folder / "pipe")
    before, path = os.getcwd(), list(sys.path)
    os.chdir(folder)
    try:
        tries = list(itertools.product(STRANGE, PLACES))
        for kind, place in random.Random(3).sample(tries, min(times, len(tries))):
            changed = copy.deepcopy(config)
            set_at(changed, place, copy.deepcopy(STRANGE[kind]))
            torch.save({**content, KEY: {**content[KEY], "config": yaml.safe_dump(changed)}}, "some.ckpt")
            _try(folder, f"{kind} at {place}", outcomes)
    finally:
        os.chdir(before)
        sys.path[:] = path
        sys.modules.pop("theirs", None)


def _try(folder: Path, tried: str, outcomes: Outcomes) -> None:
    result = command(folder, f"validate --ckpt_path {folder}/some.ckpt")
    traces = {path.name for path in folder.iterdir()} - FILES
    if traces or "theirs" in sys.modules:
        outcomes.note(f"it acted: {', '.join(sorted(traces))}", broken=tried)
    elif not result.is_a_line:
        outcomes.note(f"traceback ({result.error.strip()[-150:]})", broken=tried)
    else:
        outcomes.note("one line" if result.status else "not taken over")


SECTIONS = [Section("untrusted", "an untrusted checkpoint runs, imports and writes nothing", untrusted, 945)]
