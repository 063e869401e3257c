"""Damaged checkpoints: flipped bits, files cut short and overwritten, parts that are missing or of another type."""

from __future__ import annotations

import contextlib
import copy
import io
import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from benchmarks.reliability import Outcomes, Section, flipped
from litspike.cli import main
from litspike.runs.checkpoints import read
from litspike.settings import UserError

PROJECT = Path(__file__).resolve().parent.parent
QUICK = "--trainer.max_epochs 1 --data.train_points 50 --data.val_points 50 --pictures.every 0"


def project(folder: Path) -> Path:
    """A project with the shipped configurations and one short run; its best checkpoint."""
    shutil.copytree(PROJECT / "configs", folder / "configs")
    os.environ["XDG_CONFIG_HOME"] = str(folder / "settings")  # of the key that signs, which is not the user's
    said = command(folder, f"fit {QUICK}")
    if said.status:
        raise RuntimeError(said.error)
    return next(folder.glob("logs/default/*/checkpoints/best.ckpt"))


class Said:
    """How a command ended.

    Args:
        status: its exit status; None where it raised an error.
        error: what it wrote to standard error.
    """

    def __init__(self, status: int | None, error: str) -> None:
        self.status, self.error = status, error

    @property
    def is_a_line(self) -> bool:
        """Whether it ended well, or with one line of litspike's behind others' warnings."""
        lines = self.error.splitlines()
        said = self.status == 0 or (bool(lines) and lines[-1].startswith("litspike: "))
        return self.status is not None and said and "Traceback" not in self.error


def command(home: Path, arguments: str) -> Said:
    """Run one command line inside this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status: int | None = main(arguments.split(), home=home)
        except BaseException as error:  # what the command line should have answered
            return Said(None, f"{type(error).__name__}: {error}")
    return Said(status, err.getvalue())


def same(one: Any, other: Any) -> bool:
    """Whether two contents of checkpoints are equal, to the last bit."""
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return one.dtype == other.dtype and one.shape == other.shape and bool(torch.equal(one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(same(one[name], other[name]) for name in one)
    if isinstance(one, (list, tuple)) and type(one) is type(other):
        return len(one) == len(other) and all(same(*pair) for pair in zip(one, other, strict=True))
    return type(one) is type(other) and (one == other or (one != one and other != other))


def _read(path: Path, expected: Any, tried: str, outcomes: Outcomes, *, may_pass: bool) -> None:
    try:
        found = read(path)
    except UserError:
        outcomes.note("one line")
    except BaseException as error:
        outcomes.note(f"{type(error).__name__}", broken=tried)
    else:
        if not same(dict(found), expected):
            outcomes.note("read, and changed", broken=tried)
        else:
            outcomes.note("read, nothing changed", broken=None if may_pass else tried)


def flips(folder: Path, times: int, outcomes: Outcomes) -> None:
    """Single bits of a checkpoint as litspike writes it."""
    _flips(project(folder), folder, times, outcomes, may_pass=False)


def flips_without_checksum(folder: Path, times: int, outcomes: Outcomes) -> None:
    """Single bits of a checkpoint as ``torch.save`` writes it, and versions before the checksum."""
    path = folder / "unsigned.ckpt"
    torch.save(torch.load(project(folder), weights_only=True), path)
    _flips(path, folder, times, outcomes, may_pass=True)


def _flips(source: Path, folder: Path, times: int, outcomes: Outcomes, *, may_pass: bool) -> None:
    expected, path = dict(read(source)), folder / "flipped.ckpt"
    path.write_bytes(source.read_bytes())
    for bit in flipped(path, times, seed=0):
        _read(path, expected, f"bit {bit}", outcomes, may_pass=may_pass)


def damages(folder: Path, times: int, outcomes: Outcomes) -> None:
    """Checkpoints cut short, with more behind them, or with a piece zeroed, doubled, left out or overwritten."""
    source = project(folder)
    content, expected, path = source.read_bytes(), dict(read(source)), folder / "damaged.ckpt"
    draw = random.Random(1)
    for number in range(times):
        at, size = draw.randrange(len(content)), draw.randrange(1, 4096)
        piece = content[at : at + size]
        kind, changed = draw.choice(
            [
                ("cut short", content[:at]),
                ("begun late", content[at + 1 :]),
                ("with more behind it", content + draw.randbytes(size)),
                ("with a piece zeroed", content[:at] + bytes(len(piece)) + content[at + size :]),
                ("with a piece overwritten", content[:at] + draw.randbytes(len(piece)) + content[at + size :]),
                ("with a piece doubled", content[:at] + piece + content[at:]),
                ("with a piece left out", content[:at] + content[at + size :]),
            ]
        )
        path.write_bytes(changed)
        _read(path, expected, f"{number}: {kind} at {at}", outcomes, may_pass=changed == content)


OTHERS: list[Any] = [None, True, -1, 10**30, 1.5, float("nan"), "text", [], [1, "a"], {}, {"a": 1}]
OTHERS += [torch.zeros(()), torch.zeros(3), torch.zeros(2, 2, dtype=torch.complex64), torch.zeros(0)]
OTHERS += [torch.zeros(1, dtype=torch.int64), torch.zeros(1).expand(10**4)]


def places(content: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where in a checkpoint something stands, at every level."""
    entries = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for name, part in entries:
        yield (*path, name)
        yield from places(part, (*path, name))


def parts(folder: Path, times: int, outcomes: Outcomes) -> None:
    """Checkpoints in which one part, at any level, is missing or something else."""
    source = project(folder)
    content, path = torch.load(source, weights_only=True), folder / "logs" / "other" / "some" / "checkpoints" / "a.ckpt"
    path.parent.mkdir(parents=True)
    draw, where = random.Random(2), list(places(content))
    for number in range(times):
        changed, place = copy.deepcopy(content), draw.choice(where)
        holder = changed
        for name in place[:-1]:
            holder = holder[name]
        missing, other = draw.random() < 0.25, draw.choice(OTHERS)
        if missing:
            del holder[place[-1]]
        else:
            holder[place[-1]] = other
        torch.save(changed, path)
        what = draw.choice(("test", "validate", "predict", "fit --trainer.max_epochs 2"))
        said = command(folder, f"{what} --ckpt_path {path} --pictures.every 0")
        if said.is_a_line:
            outcomes.note("one line" if said.status else "worked")
        else:
            tried = f"{number}: {what} with {'.'.join(map(str, place))} {'missing' if missing else repr(other)}"
            outcomes.note(f"traceback ({said.error.strip()[-150:]})", broken=tried)


SECTIONS = [
    Section("flips", "each flipped bit of a checkpoint is one line", flips, 3000),
    Section("flips-unsigned", "one without a checksum is one line, or reads the same", flips_without_checksum, 3000),
    Section("damages", "a checkpoint that is not what was written is one line", damages, 2000),
    Section("parts", "a checkpoint with a wrong part works or is one line", parts, 400),
]
