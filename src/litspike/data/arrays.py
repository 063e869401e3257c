"""The user's own data: features or sequences with labels, from an ``.npz``, ``.csv`` or ``.parquet`` file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from litspike.arguments import typed
from litspike.data.file_part import FilePart, check_classes, check_whole
from litspike.data.labels import Values, of_classes
from litspike.data.npz import read_npz
from litspike.data.splits import carve
from litspike.data.tables import read_table
from litspike.data.tensors import TensorDataModule
from litspike.installation import file_of
from litspike.seeding import generator
from litspike.settings import SettingError, UserError, number, whole

_TEST, _VALIDATION = 0, 1  # purposes of the draws that carve
_READABLE = (".npz", ".csv", ".parquet")


class Arrays(TensorDataModule):
    """Samples of the user's own, standardised by their training part.

    The parts are the user's where the file says so: by the keys ``train_x``, ``train_y``, ``val_x`` … of an ``.npz``
    file, by the column ``split`` of a table, or by files of their own. A part that is not there is carved from the
    training samples, each class in its share: the test part by a rule that no seed changes, the validation part by
    the seed.

        x ← (x − mean) / std      over the training samples (and steps), for each feature

    Mean and standard deviation travel in the checkpoint; validation, test and prediction with a checkpoint use those.
    A feature that is constant in training becomes 0 there.

    Batches: x float32 [B, F] or [B, T, F]; y for classification int64 [B], or 0 or 1 in float32 [B] where there are
    two classes; for regression float32 [B, D], or [B, T, D] where there is a target for each step, as in the file.

    Args:
        path: the file. An ``.npz`` file has the arrays ``x`` [N, F] or [N, T, F] and ``y`` [N], [N, D] or [N, T, D]
            (or those of each part); a table has a row for each sample and names in its first line. The example that
            comes with litspike is ``litspike:wine.csv``.
        task: ``classification``, where labels are 0..C−1, or ``regression``.
        label: the column of a table that is the label, or the columns that are targets.
        split: the column of a table that says ``train``, ``val`` or ``test``, if there is one.
        ignore: columns of a table that are neither label nor feature, such as a number of the row.
        val_path: a file of its own with the validation part.
        test_path: a file of its own with the test part.
        val_fraction: share of the samples outside the test part that are for validation, if that is carved.
        test_fraction: share of the samples that are for test, if that is carved.
        steps: cut the features of a row, in their order, into this many steps: [N, T · F] → [N, T, F].
        standardize: whether x is standardised; not for spikes, say.
        batch_size: samples in a training batch.
        eval_batch_size: samples in a batch of validation, test and prediction.
        seed: seed of the validation part and of the order of the training batches, from 0 to 2³² − 1.

    Raises:
        SettingError: if a setting is outside what is said above.
        UserError: once the data are asked for, with the file and the line, row or key: if they can't be read, are not
            finite numbers in rows of one length, have labels that are not the whole numbers 0..C−1 of at least two
            classes, or leave a part empty.
    """

    @typed
    def __init__(
        self,
        path: str,
        task: Literal["classification", "regression"] = "classification",
        label: str | list[str] = "label",
        split: str | None = None,
        ignore: list[str] | None = None,
        val_path: str | None = None,
        test_path: str | None = None,
        val_fraction: float = 0.15,
        test_fraction: float = 0.15,
        steps: int | None = None,
        standardize: bool = True,
        batch_size: int = 32,
        eval_batch_size: int = 1000,
        seed: int = 0,
    ) -> None:
        super().__init__(batch_size, eval_batch_size, seed)
        self.path = _file("path", path)
        self.own = {
            part: _file(f"{part}_path", own)
            for part, own in (("val", val_path), ("test", test_path))
            if own is not None
        }
        taken = {os.path.realpath(self.path): "path"}
        for part, own in self.own.items():
            if (other := taken.setdefault(os.path.realpath(own), f"{part}_path")) != f"{part}_path":
                raise SettingError(
                    f"{part}_path", str(own), f"is the file of {other} too: a part needs samples of its own"
                )
        self.task = task
        self.label = [label] if isinstance(label, str) else list(label)
        if not self.label or (task == "classification" and len(self.label) > 1):
            raise SettingError("label", label, "must be one column" if self.label else "names no column")
        self.split = split
        self.ignore = [] if ignore is None else list(ignore)
        self.val_fraction = number("val_fraction", val_fraction, "(0, 1)")
        self.test_fraction = number("test_fraction", test_fraction, "(0, 1)")
        self.steps = None if steps is None else whole("steps", steps)
        self.standardize = standardize
        self._file_parts: dict[str, FilePart] = {}
        self._learned: dict[str, Any] = {}

    def setup(self, stage: str) -> None:
        """Read what ``stage`` needs; a checkpoint's statistics come after this, and are waited for."""
        if stage == "fit":
            train, held = self._file_part("train"), self._file_part("val")
            if np.array_equal(train.x, held.x) and np.array_equal(train.y, held.y):
                raise UserError(f"{held.name}: the samples for validation are those of training, {train.name}")
            super().setup(stage)
        else:
            self._file_part("val" if stage == "validate" else "test")

    def part(self, name: str) -> tuple[Tensor, Tensor]:
        """Samples [N, *], standardised, float32, and labels [N] or targets [N, *]."""
        samples, learned = self._file_part(name), self._statistics()
        _compare(samples, learned)
        x = ((torch.from_numpy(samples.x) - learned["mean"]) / learned["std"]).float()
        y = torch.from_numpy(samples.y)
        if self.task == "regression":
            self.labels = Values()
            return x, y
        check_whole(samples, learned["classes"])
        self.labels = of_classes(learned["classes"])
        return x, y[:, 0]

    def state_dict(self) -> dict[str, Any]:
        """What was learned from the training part: tensors and plain values, for the checkpoint."""
        return self._learned

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with what the checkpoint learned."""
        self._learned = dict(state_dict)
        self._parts.clear()

    def _statistics(self) -> dict[str, Any]:
        """Mean and standard deviation [F] and what else the other parts must agree with, learned where not loaded."""
        if not self._learned:
            train = self._file_part("train")
            mean, std = _measure(train) if self.standardize else (0.0, 1.0)
            self._learned = {
                "mean": torch.as_tensor(mean).expand(train.x.shape[-1]).clone(),
                "std": torch.as_tensor(std).expand(train.x.shape[-1]).clone(),
                "features": list(train.features),
                "targets": train.y.shape[-1],
                "classes": 0 if self.task == "regression" else int(train.y.max()) + 1,
            }
        return self._learned

    def _file_part(self, name: str) -> FilePart:
        """A part as its file has it."""
        if name not in self._file_parts:
            if name in self.own:
                parts = self._read(self.own[name], None)
                if len(parts) > 1:
                    raise UserError(f"{name}_path: {self.own[name]} has parts of its own; it needs the keys x and y")
                (self._file_parts[name],) = parts.values()
            else:
                self._file_parts |= self._carve(self._read(self.path, self.split))
        return self._file_parts[name]

    def _carve(self, parts: dict[str, FilePart]) -> dict[str, FilePart]:
        """Carve the parts that nobody gave from the training samples."""
        if self.task == "classification":
            check_classes(parts["train"])
        rules = {
            "test": (self.test_fraction, generator(0, _TEST)),
            "val": (self.val_fraction, generator(self.seed, _VALIDATION)),
        }
        for part, (fraction, randomness) in rules.items():
            if part in self.own and part in parts:
                raise UserError(f"{part}_path: {self.path} has a {part} part already")
            if part in self.own or part in parts:
                continue
            train = parts["train"]
            label = torch.from_numpy(train.y[:, 0]) if self.task == "classification" else torch.zeros(len(train))
            stay, held = carve(label, fraction, randomness)
            if len(stay) == 0 or len(held) == 0:
                empty = part if len(held) == 0 else "train"
                raise UserError(f"{part}_fraction: {fraction} of {len(train)} samples leaves the {empty} part empty")
            parts["train"], parts[part] = train.take(stay.numpy()), train.take(held.numpy())
        return parts

    def _read(self, path: Path, split: str | None) -> dict[str, FilePart]:
        """The parts that a file has, by its keys or its column ``split``; ``train`` alone where there are none."""
        if path.suffix.lower() == ".npz":
            parts = read_npz(path)
        else:
            table = read_table(path)
            table.check_names([*self.ignore, *([split] if split else [])])
            samples = table.samples(self.label, [*self.ignore, *([self.split] if self.split else [])])
            parts = table.parts(samples, split) if split else {"train": samples}
        if self.steps is not None:
            parts = {part: samples.in_steps(self.steps) for part, samples in parts.items()}
        return parts


def _file(setting: str, path: str) -> Path:
    if Path(path).suffix.lower() not in _READABLE:
        raise SettingError(setting, path, f"is none of {', '.join(_READABLE)}")
    file = file_of(path)
    if file.exists() and not file.is_file():
        raise SettingError(setting, path, "is no file")
    return file


def _measure(train: FilePart) -> tuple[NDArray[Any], NDArray[Any]]:
    """Mean and standard deviation of each feature; 1 for one that is constant but for rounding."""
    axes = tuple(range(train.x.ndim - 1))
    mean, std = train.x.mean(axes), train.x.std(axes)
    return mean, np.where(std <= 1e-12 * np.abs(train.x).max(axes), 1.0, std)


def _compare(samples: FilePart, learned: dict[str, Any]) -> None:
    """Refuse a part with other features or targets than the training part's."""
    ours, theirs = samples.x.shape[-1], len(learned["mean"])
    if ours != theirs:
        raise UserError(f"{samples.name} has {ours} features, but the training part has {theirs}")
    for our, their in zip(samples.features, learned["features"], strict=False):
        if our != their:
            raise UserError(f"{samples.name} has the feature {our!r} where the training part has {their!r}")
    if samples.y.ndim == 3 and samples.x.shape[:2] != samples.y.shape[:2]:
        steps = samples.x.shape[1] if samples.x.ndim == 3 else "no"
        raise UserError(f"{samples.name} has targets of {samples.y.shape[1]} steps, but samples of {steps} steps")
    if samples.y.shape[-1] != learned["targets"]:
        raise UserError(
            f"{samples.name} has {samples.y.shape[-1]} targets, but the training part has {learned['targets']}"
        )
