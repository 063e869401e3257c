"""What a file of the user's holds, as far as a configuration depends on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from litspike.cli.new.columns import MOST_CLASSES, Column, label_of
from litspike.cli.new.text_form import form_of
from litspike.data.file_part import READABLE, FilePart, class_name
from litspike.data.image_folder import images_differ, read_images
from litspike.data.npz import read_npz
from litspike.data.tables import Table, TextForm, read_table
from litspike.data.ts import read_ts
from litspike.settings import UserError

FEWEST = 10
"""Samples that can be dealt out to training, validation and test."""

Task = Literal["classification", "regression", "multilabel"]
Kind = Literal["table", "sequences", "images"]


@dataclass(frozen=True)
class Labels:
    """What is to be answered.

    Args:
        task: the task.
        outputs: number of classes, of targets or of labels.
        counts: samples of each class, the most frequent first; empty of another task.
        named: whether classes are numbers that have to be taken as names.
        each_step: whether there is a target for each step.
    """

    task: Task
    outputs: int
    counts: tuple[tuple[str, int], ...] = ()
    named: bool = False
    each_step: bool = False

    @property
    def unbalanced(self) -> bool:
        """Whether a class has less than a third of the samples of another."""
        return bool(self.counts) and self.counts[0][1] > 3 * self.counts[-1][1]


@dataclass(frozen=True)
class Profile:
    """A file.

    Args:
        path: the file, or a folder of images.
        kind: what its samples are.
        samples: their number.
        shape: of one sample: [F], [T, F] or [C, H, W].
        labels: what is to be answered.
        label: names of the columns of a table that are labels.
        columns: names of all columns of a table.
        left_out: name of each column that is no feature → why.
        missing: number of values that are missing.
        form: how a ``.csv`` file is written.
        lengths: whether sequences have different lengths.
        test: a file of its own with the test part, where there is one beside it.
        image_size: what images of different sizes are brought to.
    """

    path: Path
    kind: Kind
    samples: int
    shape: tuple[int, ...]
    labels: Labels
    label: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    left_out: dict[str, str] = field(default_factory=dict)
    missing: int = 0
    form: TextForm | None = None
    lengths: bool = False
    test: Path | None = None
    image_size: tuple[int, int] | None = None


def profile(path: Path, label: Sequence[str] = ()) -> Profile:
    """Look at a file.

    Args:
        path: a ``.csv``, ``.npz``, ``.npy``, ``.parquet`` or ``.ts`` file, or a folder of images.
        label: the columns of a table that are labels; guessed where there are none.

    Raises:
        UserError: if it can't be read, or no network can be trained with it.
    """
    if not path.exists():
        raise UserError(f"data: there is no file {path}")
    if label and path.suffix.lower() not in (".csv", ".npy", ".parquet"):
        raise UserError(f"label: {path} is no table, whose columns have names")
    if path.is_dir():
        found = _of_images(path)
    elif path.suffix.lower() in (".csv", ".npy", ".parquet"):
        found = _of_table(path, label)
    elif path.suffix.lower() == ".npz":
        found = _of_arrays(path)
    elif path.suffix.lower() == ".ts":
        found = _of_series(path)
    else:
        raise UserError(f"data: {path} is none of {', '.join(READABLE)}, and no folder of images")
    _check(found)
    return found


def _check(found: Profile) -> None:
    _check_number(found.path, found.samples)
    if found.labels.task == "classification" and found.labels.outputs < 2:
        only = found.labels.counts[0][0] if found.labels.counts else ""
        name = f"column {found.label[0]!r}" if found.label else "the label"
        another = ": name another column by --label" if found.label else ""
        raise UserError(f"data: {found.path}: {name} is {only!r} in all {found.samples} samples{another}")


def _check_number(path: Path, samples: int) -> None:
    if samples < FEWEST:
        raise UserError(f"data: {path} has {samples} samples: training, validation and test need {FEWEST} or more")


def _of_table(path: Path, label: Sequence[str]) -> Profile:
    form = form_of(path) if path.suffix.lower() == ".csv" else None
    table = read_table(path, form or TextForm())
    columns = {name: Column.of(name, list(cells)) for name, cells in table.columns.items()}
    samples = next(iter(columns.values())).rows
    _check_number(path, samples)
    if label:
        table.check_names(label)
    chosen = list(label) or label_of(list(columns.values()))
    labels = _labels_of([columns[name] for name in chosen], table)
    others = [column for name, column in columns.items() if name not in chosen]
    left_out = {column.name: why for column in others if (why := column.useless())}
    features = [column for column in others if column.name not in left_out]
    if not features:
        reasons = "; ".join(f"{name!r} {why}" for name, why in list(left_out.items())[:5]) or "there is no other column"
        raise UserError(f"data: {path} has no column to learn {chosen[0]!r} from: {reasons}")
    missing = sum(column.missing for column in features)
    return Profile(
        path, "table", samples, (len(features),), labels, tuple(chosen), tuple(columns), left_out, missing, form
    )


def _labels_of(columns: Sequence[Column], table: Table) -> Labels:
    for column in columns:
        if column.missing:
            cells = list(table.columns[column.name])
            row = next(at for at, cell in enumerate(cells) if str(cell).strip() not in map(str, column.cells))
            raise UserError(f"data: {table.place(row)}: the label {column.name!r} is missing: take such rows out")
    if len(columns) > 1:
        both = all(set(column.counts()) <= {"0", "1"} for column in columns)
        wrong = next((column for column in columns if not column.numeric), None)
        if wrong is not None:
            raise UserError(f"data: {table.path}: the label {wrong.name!r} has text, of several each must be numbers")
        return Labels("multilabel" if both else "regression", len(columns))
    (column,) = columns
    if not column.classes():
        if column.numeric:
            return Labels("regression", 1)
        raise UserError(
            f"data: {table.path}: column {column.name!r} has {len(column.counts())} different texts in {column.rows} "
            "rows, and is no label: name another column by --label"
        )
    return _classes(column.counts().most_common(), column.numeric)


def _classes(counts: Sequence[tuple[str, int]], numbers: bool) -> Labels:
    counted = {name for name, _ in counts} == {str(number) for number in range(len(counts))}
    return Labels("classification", len(counts), tuple(counts), named=numbers and not counted)


def _of_arrays(path: Path) -> Profile:
    parts = read_npz(path, missing=True)
    train = parts["train"]
    found = _of_part(path, train, sum(map(len, parts.values())))
    return replace(found, missing=int(sum(np.isnan(part.x).sum() for part in parts.values())))


def _of_series(path: Path) -> Profile:
    part = read_ts(path, missing=True)
    if part.y is None:
        raise UserError(f"data: {path} has no labels: @classLabel or @targetLabel says false")
    stem = path.stem
    test = path.with_name(f"{stem.removesuffix('_TRAIN')}_TEST{path.suffix}")
    own = test if stem.endswith("_TRAIN") and test.is_file() else None
    return replace(_of_part(path, part, len(part)), test=own, missing=int(np.isnan(part.x).sum()))


def _of_images(path: Path) -> Profile:
    size = images_differ(path)
    parts = read_images(path, size)
    train = parts["train"]
    if train.y is None:
        raise UserError(f"data: {path} has images of no class: put those of each class into a folder {path}/CLASS")
    return replace(_of_part(path, train, sum(map(len, parts.values()))), image_size=size)


def _of_part(path: Path, part: FilePart, samples: int) -> Profile:
    kinds: dict[int, Kind] = {2: "table", 3: "sequences", 4: "images"}
    if part.x.ndim not in kinds:
        raise UserError(f"data: {path}: samples of the shape {list(part.x.shape[1:])} need a configuration by hand")
    labels, shape = _labels_in(part.labels, part.named), part.x.shape[1:]
    return Profile(path, kinds[part.x.ndim], samples, shape, labels, lengths=part.lengths is not None)


def _labels_in(y: NDArray[Any], named: bool) -> Labels:
    """Labels in an array, [N, D] or [N, T, D]."""
    if y.ndim == 3:
        return Labels("regression", y.shape[-1], each_step=True)
    if y.shape[1] > 1:
        return Labels("multilabel" if set(np.unique(y)) <= {0.0, 1.0} else "regression", y.shape[1])
    column = Column.of("y", y[:, 0].tolist())
    few = len(column.counts()) <= MOST_CLASSES
    if not named and not (few and column.classes()):
        return Labels("regression", 1)
    counts = column.counts().most_common()
    return _classes([(class_name(name), count) for name, count in counts], not named)
