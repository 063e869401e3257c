"""The user's own data: features, sequences or images with labels, from a file or a folder of images."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import TensorDataset

from litspike.arguments import typed
from litspike.data import scaling as scales
from litspike.data.file_part import FilePart, check_classes, data_file
from litspike.data.image_folder import read_images
from litspike.data.labels import Several, Values, of_classes
from litspike.data.npz import read_npz
from litspike.data.splits import TEST, VALIDATION, carve
from litspike.data.tables import Decimal, Separator, TextForm, read_table
from litspike.data.tensors import Batches, TensorDataModule
from litspike.data.training_part import check_same_form, numbered
from litspike.data.ts import read_ts
from litspike.seeding import generator
from litspike.settings import SettingError, UserError, integer, number


class Arrays(TensorDataModule):
    r"""Samples of the user's own, scaled by their training part.

    The parts are the user's where the file says so: by the keys ``train_x``, ``train_y``, ``val_x`` … of an ``.npz``
    file, by the column ``split`` of a table, by folders ``train``, ``val`` and ``test``, or by files of their own. A
    part that is not there is carved from the training samples, each class in its share: the test part by a rule that no
    seed changes, the validation part by the seed.

        standard    x ← (x − mean) / std        over the training samples (their steps, their pixels), for each feature
        unit        x ← (x − min) / (max − min), clipped to [0, 1]: for encoders into rates and latencies

    What is learned from the training part travels in the checkpoint; validation, test and prediction with a checkpoint
    use that. A feature that is constant in training becomes 0 there.

    Batches: x float32 [B, F], [B, T, F], [B, C, H, W] or [B, T, C, H, W]; y for classification int64 [B], or 0 or 1 in
    float32 [B] where there are two classes; for regression float32 [B, D], or [B, T, D] where there is a target for
    each step, in its own unit; for several labels 0 or 1 in float32 [B, L]; for rows without labels [B, 0]. Where
    sequences have different lengths, ``{"lengths": int64 [B]}`` is the third of a batch, and x is 0 after the end.

    Args:
        path: the file, or a folder of images with a folder for each class. An ``.npz`` file has the arrays ``x`` [N,
            F], [N, T, F], [N, C, H, W] or [N, T, C, H, W] and ``y`` [N], [N, D] or [N, T, D] (or those of each part),
            and ``lengths`` [N] where sequences in x end before T; x may be an array of arrays [T, F]. A table has a row
            for each sample and names in its first line; an ``.npy`` file is one, with columns 0, 1, 2, … A ``.ts`` file
            has time series of the UCR and UEA archives.
            The example that comes with litspike is ``litspike:wine.csv``; ``aeon:GunPoint/GunPoint_TRAIN.ts`` is one of
            the series that come with the package aeon.
        task: ``classification``, where labels are 0..C−1 or names, ``regression``, or ``multilabel``, where each of
            several labels is 0 or 1.
        label: the column of a table that is the label, or the columns that are targets or labels.
        split: the column of a table that says ``train``, ``val`` or ``test``, if there is one.
        ignore: columns of a table that are neither label nor feature, such as a number of the row.
        val_path: a file or folder of its own with the validation part.
        test_path: a file or folder of its own with the test part; to predict, one without labels does.
        val_fraction: share of the samples outside the test part that are for validation, if that is carved.
        test_fraction: share of the samples that are for test, if that is carved.
        steps: cut the features of a row, in their order, into this many steps: [N, T · F] → [N, T, F]. Sequences in
            other files are padded to this many.
        standardize: false is the same as a scaling of null.
        scaling: ``standard``, ``unit``, or null: x as it is, for spikes, say.
        missing: what an empty or NaN feature becomes: ``mean`` or ``median`` of the training samples; ``refuse``
            refuses it by its row.
        length: the column of a table that says how many of its ``steps`` a row has.
        layout: ``channels`` gives sequences as images of one dimension, [B, F, T], for convolutions over time; those
            that end before T are 0 from there, and their lengths are no part of a batch.
        image_size: height and width that images of a folder are brought to; null where they have one size.
        classes: whether the labels of a classification are numbers 0..C−1 or names; where null, names are those that
            don't look like numbers. 1..C, or −1 and 1, are classes if they are names.
        separator: what stands between the columns of a ``.csv`` file.
        decimal: the sign before a number's decimals in it.
        header: whether its first line names the columns; else they are called 0, 1, 2, …
        batch_size: samples in a training batch.
        eval_batch_size: samples in a batch of validation, test and prediction.
        seed: seed of the validation part and of the order of the training batches, from 0 to 2³² − 1.

    Raises:
        SettingError: if a setting is outside its range.
        UserError: once the data are asked for, with the file and the line, row or key: if they can't be read, are not
            finite numbers in rows of one length, have labels that are neither names nor the integers 0..C−1 of at least
            two classes, or leave a part empty.
    """

    @typed
    def __init__(
        self,
        path: str,
        task: Literal["classification", "regression", "multilabel"] = "classification",
        label: str | list[str] = "label",
        split: str | None = None,
        ignore: list[str] | None = None,
        val_path: str | None = None,
        test_path: str | None = None,
        val_fraction: float = 0.15,
        test_fraction: float = 0.15,
        steps: int | None = None,
        standardize: bool = True,
        scaling: scales.Rule | None = "standard",
        missing: scales.Filling = "refuse",
        length: str | None = None,
        layout: Literal["steps", "channels"] = "steps",
        image_size: list[int] | None = None,
        classes: Literal["numbers", "names"] | None = None,
        separator: Separator = ",",
        decimal: Decimal = ".",
        header: bool = True,
        batch_size: int = 32,
        eval_batch_size: int = 1000,
        seed: int = 0,
    ) -> None:
        super().__init__(batch_size, eval_batch_size, seed)
        self.path = data_file("path", path)
        given = {part: own for part, own in (("val", val_path), ("test", test_path)) if own is not None}
        self.own = {part: data_file(f"{part}_path", own) for part, own in given.items()}
        taken = {os.path.realpath(self.path): "path"}
        for part, own in self.own.items():
            if (other := taken.setdefault(os.path.realpath(own), f"{part}_path")) != f"{part}_path":
                problem = f"is the file of {other} too: a part needs samples of its own"
                raise SettingError(f"{part}_path", given[part], problem)
        self.label = [label] if isinstance(label, str) else list(label)
        if not self.label or (task == "classification" and len(self.label) > 1):
            raise SettingError("label", label, "must be one column" if self.label else "names no column")
        if len(set(self.label)) < len(self.label):
            raise SettingError("label", label, "names a column twice")
        self.task, self.split, self.length, self.layout = task, split, length, layout
        self.ignore = [] if ignore is None else list(ignore)
        self.val_fraction = number("val_fraction", val_fraction, "(0, 1)")
        self.test_fraction = number("test_fraction", test_fraction, "(0, 1)")
        self.steps = None if steps is None else integer("steps", steps)
        if length is not None and steps is None:
            raise SettingError("length", length, "needs steps, into which a row is cut")
        self.scaling = scaling if standardize else None
        self.missing = missing
        self.image_size = None if image_size is None else [integer("image_size", size) for size in image_size]
        if self.image_size is not None and len(self.image_size) != 2:
            raise SettingError("image_size", image_size, "must be height and width")
        self.classes = classes
        self.text_form = TextForm(separator, decimal, header)
        if separator == decimal:
            raise SettingError("decimal", decimal, "separates the columns too: set data.separator")
        self._file_parts: dict[str, FilePart] = {}
        self._learned: dict[str, Any] = {}

    def setup(self, stage: str) -> None:
        """Read what ``stage`` needs; a checkpoint's statistics come after this, and are waited for."""
        if stage == "fit":
            train, held = self._file_part("train"), self._file_part("val")
            if np.array_equal(train.x, held.x) and np.array_equal(train.labels, held.labels):
                raise UserError(f"{held.name}: the samples for validation are those of training, {train.name}")
            super().setup(stage)
        elif stage != "predict":
            self._file_part("val" if stage == "validate" else "test")

    def part(self, name: str) -> tuple[Tensor, Tensor]:
        """Samples [N, *], scaled, float32, and labels [N] or [N, L], or targets [N, *]."""
        samples, learned = self._file_part(name), self._statistics()
        check_same_form(samples, learned)
        x = self._scaled(samples)
        if self.task != "classification":
            self.labels = Values() if self.task == "regression" else Several()
            return x, torch.from_numpy(samples.labels)
        self.labels = of_classes(learned["classes"])
        return x, torch.from_numpy(numbered(samples, learned)[:, 0])

    def dataset(self, name: str) -> TensorDataset:
        """The part ``train``, ``val``, ``test`` or ``predict``, with the lengths of sequences where they differ.

        What is predicted is the test part, whose samples may have no labels.
        """
        if name not in self._parts:
            samples = self._file_part(name)
            if samples.y is None and name == "predict":
                check_same_form(samples, self._statistics())
                self._parts[name] = TensorDataset(self._scaled(samples), torch.empty(len(samples), 0))
            else:
                super().dataset(name)
            if samples.lengths is not None and self.layout == "steps":
                tensors = self._parts[name].tensors
                self._parts[name] = TensorDataset(*tensors, torch.from_numpy(samples.lengths))
        return self._parts[name]

    def _scaled(self, samples: FilePart) -> Tensor:
        r"""Samples as a network gets them, float32 [N, \*]."""
        x = scales.apply(samples, self._statistics())
        if self.layout == "steps":
            return x
        if x.dim() != 3:
            raise SettingError("layout", self.layout, f"is for sequences [N, T, F], not {list(x.shape)}")
        return x.transpose(1, 2).contiguous()

    def predict_dataloader(self) -> Batches:
        return self._in_order("predict")

    def given_columns(self) -> dict[str, list[Any]]:
        """What the file says of each sample that is predicted, as it stands there, by name."""
        return {name: cells.tolist() for name, cells in self._file_part("predict").columns.items()}

    @property
    def class_names(self) -> list[str]:
        """Names of the classes, by number, or of several labels; none where they are numbers."""
        return self._named_outputs() if self.task == "multilabel" else list(self._statistics().get("names", []))

    @property
    def target_names(self) -> list[str]:
        """Names of a regression's targets; none where the file has none."""
        return self._named_outputs() if self.task == "regression" else []

    def _named_outputs(self) -> list[str]:
        """The columns of a table that are labels or targets."""
        return list(self.label) if self._statistics()["features"] else []

    def state_dict(self) -> dict[str, Any]:
        return self._learned

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._learned = dict(state_dict)
        self._parts.clear()
        self._file_parts.pop("predict", None)

    def _statistics(self) -> dict[str, Any]:
        """What the other parts are scaled by and must agree with, learned where not loaded."""
        if not self._learned:
            train = self._file_part("train")
            classified = self.task == "classification"
            names = sorted(set(train.labels[:, 0])) if train.named and classified else []
            self._learned = {
                **scales.learn(train, self.scaling, self.missing),
                "features": list(train.features),
                "targets": train.labels.shape[-1],
                "classes": (len(names) or int(train.labels.max()) + 1) if classified else 0,
                "names": [str(name) for name in names],
            }
        return self._learned

    def _file_part(self, name: str) -> FilePart:
        """A part as its file has it."""
        if name not in self._file_parts:
            source = "test" if name == "predict" else name
            if source in self.own:
                parts = self._read(self.own[source], None, labelled=name != "predict")
                if len(parts) > 1:
                    file = self.own[source]
                    raise UserError(f"{source}_path: {file} has parts of its own; it needs the keys x and y")
                (self._file_parts[name],) = parts.values()
            elif name == "predict":
                self._file_parts[name] = self._file_part("test")
            else:
                self._file_parts |= self._carve(self._read(self.path, self.split))
        return self._file_parts[name]

    def _carve(self, parts: dict[str, FilePart]) -> dict[str, FilePart]:
        """Carve the parts that nobody gave from the training samples."""
        if self.task == "classification":
            check_classes(parts["train"])
        rules = {
            "test": (self.test_fraction, generator(0, TEST)),
            "val": (self.val_fraction, generator(self.seed, VALIDATION)),
        }
        for part, (fraction, randomness) in rules.items():
            if part in self.own and part in parts:
                raise UserError(f"{part}_path: {self.path} has a {part} part already")
            if part in self.own or part in parts:
                continue
            train = parts["train"]
            label = torch.zeros(len(train))
            if self.task == "classification":
                label = torch.from_numpy(np.unique(train.labels[:, 0].astype(str), return_inverse=True)[1])
            stay, held = carve(label, fraction, randomness)
            if len(stay) == 0 or len(held) == 0:
                empty = part if len(held) == 0 else "train"
                raise UserError(f"{part}_fraction: {fraction} of {len(train)} samples leaves the {empty} part empty")
            parts["train"], parts[part] = train.take(stay.numpy()), train.take(held.numpy())
        return parts

    def _read(self, path: Path, split: str | None, labelled: bool = True) -> dict[str, FilePart]:
        """The parts that a file has, by its keys or its column ``split``; ``train`` alone where there are none.

        Args:
            path: the file.
            split: the column.
            labelled: whether samples need labels; of those that don't, columns that training didn't have are left.
        """
        missing = self.missing != "refuse"
        if path.is_dir():
            return read_images(path, self.image_size)
        if path.suffix.lower() == ".npz":
            parts = read_npz(path, missing, labelled)
        elif path.suffix.lower() == ".ts":
            parts = {"train": read_ts(path, missing)}
        else:
            table = read_table(path, self.text_form)
            ignore = [*self.ignore, *([self.split] if self.split else [])]
            features = None if labelled else self._statistics()["features"]
            if labelled:
                table.check_names([*self.ignore, *([split] if split else [])])
            samples = table.samples(self.label, ignore, self.length, features, missing, self.classes == "names")
            parts = table.parts(samples, split) if split else {"train": samples}
        if self.classes == "names" and self.task == "classification":
            parts = {part: samples.with_names() for part, samples in parts.items()}
        if self.steps is not None:
            parts = {part: samples.in_steps(self.steps) for part, samples in parts.items()}
        for samples in parts.values() if not missing else ():
            samples.check_complete()
        return parts
