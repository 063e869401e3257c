"""Samples as a file has them: numbers with a place each, so that what is wrong with one can be pointed at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from litspike.installation import file_of
from litspike.settings import SettingError, UserError

READABLE = (".npz", ".csv", ".npy", ".parquet", ".ts")
"""What files of samples are called by at their ends."""
_SEVERAL = ": save argmax of one-hot rows, or set data.task to multilabel for several at once"
_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class FilePart:
    """Samples and labels of one part of a file.

    Args:
        x: features, float64 [N, F] or [N, T, F]; images [N, C, H, W] or [N, T, C, H, W]. NaN where a value is missing.
        y: labels or targets, float64 [N, D] or [N, T, D], or names of classes [N, 1]; None where there are none.
        name: what a message calls the part, such as ``digits.npz``.
        place: from the index of a sample to where it is, such as ``digits.csv, line 7``.
        features: names of the features, where the file has names.
        lengths: number of steps of each sequence, [N]; None where all have T.
        columns: what the file says of each sample, as it stands there, by name.
        label_place: like ``place``, of a sample's label where that is elsewhere.
    """

    x: NDArray[Any]
    y: NDArray[Any] | None
    name: str
    place: Callable[[int], str]
    features: tuple[str, ...] = ()
    lengths: NDArray[np.int64] | None = None
    columns: dict[str, NDArray[Any]] = field(default_factory=dict)
    label_place: Callable[[int], str] | None = None

    @property
    def axis(self) -> int:
        """The dimension of x that has the features, or an image's channels."""
        return -1 if self.x.ndim < 4 else -3

    @property
    def labels(self) -> NDArray[Any]:
        """y. Raises :class:`UserError` where there is none."""
        if self.y is None:
            raise UserError(f"{self.name} has no labels")
        return self.y

    @property
    def named(self) -> bool:
        """Whether the labels are names of classes."""
        return self.y is not None and self.y.dtype.kind in "OU"

    def with_names(self) -> FilePart:
        """The same samples, whose labels are names though they are numbers."""
        if self.y is None or self.named or self.y.shape[1:] != (1,):
            return self
        return replace(self, y=np.array([[class_name(label)] for label in self.y[:, 0]], object))

    def valid(self) -> NDArray[np.bool_]:
        """Which steps belong to a sequence, [N, T]."""
        lengths = np.full(len(self), self.x.shape[1]) if self.lengths is None else self.lengths
        return np.arange(self.x.shape[1]) < lengths[:, None]

    def rows(self) -> NDArray[Any]:
        """All values of each feature, of every sample, step and pixel: [M, F]."""
        x = self.x if self.lengths is None else self.x[self.valid()]
        return np.moveaxis(x, self.axis, -1).reshape(-1, x.shape[self.axis])

    def feature(self, index: int) -> str:
        """What to call a feature."""
        return f"the feature {self.features[index]!r}" if self.features else f"feature {index}"

    def __len__(self) -> int:
        return len(self.x)

    def label_at(self, index: int) -> str:
        """Where the label of a sample is."""
        return (self.label_place or self.place)(index)

    def take(self, indices: NDArray[Any]) -> FilePart:
        """Some of the samples, which keep their places."""
        origin, of_label = self.place, self.label_at
        return replace(
            self,
            x=self.x[indices],
            y=None if self.y is None else self.y[indices],
            place=lambda index: origin(int(indices[index])),
            lengths=None if self.lengths is None else self.lengths[indices],
            columns={name: cells[indices] for name, cells in self.columns.items()},
            label_place=lambda index: of_label(int(indices[index])),
        )

    def check_complete(self, remedy: str = "") -> None:
        """Refuse a missing value, with what to do about it. Raises :class:`UserError`."""
        if (missing := np.isnan(self.x)).any():
            index = tuple(int(i) for i in np.argwhere(missing)[0])
            step = f", step {index[1]}" if self.x.ndim == 3 else ""
            raise UserError(f"{self.place(index[0])}{step} has a value that is missing{remedy}")

    def in_steps(self, steps: int) -> FilePart:
        """Rows [N, T · F] cut into sequences [N, T, F], or sequences padded to T steps. Raises :class:`UserError` where
        they can't be.
        """
        if self.x.ndim == 3 and self.x.shape[1] <= steps:
            lengths = np.full(len(self), self.x.shape[1]) if self.lengths is None else self.lengths
            x = np.pad(self.x, ((0, 0), (0, steps - self.x.shape[1]), (0, 0)))
            return replace(self, x=x, lengths=lengths if lengths.min() < steps else None)
        if self.x.ndim == 3:
            raise UserError(f"{self.name} has sequences of {self.x.shape[1]} steps, more than {steps}")
        if self.x.ndim != 2 or self.x.shape[1] % steps:
            raise UserError(f"{self.name}: {self.x[:1].size} values a sample can't be cut into {steps} steps")
        x = self.x.reshape(len(self), steps, -1)
        if self.lengths is not None:
            if (wrong := (self.lengths < 1) | (self.lengths > steps)).any():
                index = int(np.flatnonzero(wrong)[0])
                raise UserError(f"{self.place(index)}: the length {self.lengths[index]} is not from 1 to {steps}")
            x[np.arange(steps) >= self.lengths[:, None]] = 0
        return replace(self, x=x)


def check_numbers(values: NDArray[Any], place: Callable[[tuple[int, ...]], str], missing: bool = False) -> None:
    """Refuse NaN, infinity and numbers that float32 can't hold.

    Args:
        values: any shape.
        place: from the index of a value to where it is.
        missing: whether NaN stands for a value that is missing, and is left.

    Raises:
        UserError: that names the first such value's place.
    """
    with np.errstate(invalid="ignore"):
        wrong = ~(np.abs(values) <= _LARGEST) & ~(missing & np.isnan(values))
    if wrong.any():
        index = tuple(int(i) for i in np.argwhere(wrong)[0])
        value = float(values[index])
        problem = "is NaN" if np.isnan(value) else "is infinite" if np.isinf(value) else "is too large for float32"
        raise UserError(f"{place(index)}: {value:g} {problem}" if np.isfinite(value) else f"{place(index)} {problem}")


def check_classes(samples: FilePart) -> int:
    """Check that labels are the class numbers of a training part, and count the classes.

    Returns:
        The number of classes C, at least 2; the labels are names, or whole and each of 0 … C − 1 is there.

    Raises:
        UserError: if a label is not whole, there is one class only, labels don't start at 0, there are fewer samples
            than classes, or a class has no sample.
    """
    check_whole(samples)
    label = samples.labels[:, 0]
    found = np.unique(label)
    if len(found) == 1:
        shown = repr(str(found[0])) if samples.named else f"{found[0]:g}"
        raise UserError(f"{samples.name}: all {len(label)} samples have the label {shown}: one class only")
    if samples.named:
        return len(found)
    low, high = found[0], found[-1]
    if low != 0:
        remedy = f": {'subtract' if low > 0 else 'add'} {abs(low):g}"
        raise UserError(f"{samples.name}: labels must be 0..C−1, they start at {low:g}{remedy}")
    if len(label) < high + 1:
        raise UserError(f"{samples.name}: {len(label)} samples are fewer than the {high + 1:.0f} classes 0..{high:g}")
    if len(found) != high + 1:
        missing = int(np.setdiff1d(np.arange(high + 1), found)[0])
        raise UserError(f"{samples.name}: labels go up to {high:g}, but class {missing} has no training sample")
    return len(found)


def check_whole(samples: FilePart, classes: int | None = None) -> None:
    """Refuse a label that is not whole, or, where the number of classes is known, is outside of 0 … C − 1."""
    if samples.labels.shape[1:] != (1,):
        raise UserError(
            f"{samples.name}: a sample has labels of shape {list(samples.labels.shape[1:])}, not one label{_SEVERAL}"
        )
    if samples.named:
        return
    label = samples.labels[:, 0]
    wrong = label != np.round(label)
    allowed = "an integer"
    if classes is not None:
        wrong |= (label < 0) | (label >= classes)
        allowed = f"a class from 0 to {classes - 1}"
    if wrong.any():
        index = int(np.flatnonzero(wrong)[0])
        remedy = "" if classes is not None else ": set data.task to regression for targets that are numbers"
        raise UserError(f"{samples.label_at(index)}: the label {label[index]:g} is not {allowed}{remedy}")


def class_name(label: Any) -> str:
    """A label as the name of a class: a text as it is, a number without needless decimals."""
    return label.strip() if isinstance(label, str) else f"{float(label):.15g}"


def is_number(cell: Any) -> bool:
    """Whether a cell of text is a number as people write it; Python reads 1_0 and Arabic digits too."""
    if isinstance(cell, str) and ("_" in cell or not cell.isascii()):
        return False
    try:
        float(cell)
    except (TypeError, ValueError):
        return False
    return True


def data_file(setting: str, path: str) -> Path:
    """The file that a setting names, or a folder of images; raises :class:`SettingError` where it names neither."""
    file = file_of(path)
    if file is None:
        raise SettingError(setting, path, "needs aeon, whose files alone are read: pip install --no-deps aeon")
    if Path(path).suffix.lower() not in READABLE and not file.is_dir():
        raise SettingError(setting, path, f"is none of {', '.join(READABLE)}, and no folder of images")
    if Path(path).suffix.lower() in READABLE and file.exists() and not file.is_file():
        raise SettingError(setting, path, "is no file")
    return file
