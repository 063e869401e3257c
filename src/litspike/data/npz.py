"""NumPy's ``.npz`` files, read without running anything in them."""

from __future__ import annotations

import pickle
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from litspike.data.file_part import FilePart, check_numbers
from litspike.settings import UserError

_KEYS = {"train": ("train_x", "train_y"), "val": ("val_x", "val_y"), "test": ("test_x", "test_y")}
_MOST_SHOWN = 16
"""Samples of more numbers than this are no columns beside the predictions."""
_SHAPES = "[N, F], [N, T, F], [N, C, H, W] and [N, T, C, H, W]"


def read_npz(path: Path, missing: bool = False, labelled: bool = True) -> dict[str, FilePart]:
    """Read an ``.npz`` file with the keys ``x`` and ``y``, or ``train_x``, ``train_y`` and so for ``val`` and ``test``.

    Args:
        path: the file. Its x are [N, F], [N, T, F], images [N, C, H, W] or [N, T, C, H, W], its y [N], [N, D] or
            [N, T, D]. Beside x it may have ``lengths`` [N] (``train_lengths`` …) of sequences, which x then holds up to
            T = the longest, or one after another, [ΣT, F]; or x may be an array of arrays [T_n, F].
        missing: whether NaN in x stands for a value that is missing.
        labelled: whether there must be a y.

    Returns:
        Part → samples; all are ``train`` where the file has ``x`` and ``y``.

    Raises:
        UserError: that names the file, and the key and sample where there is one: if it can't be read, a key is
            missing or has a wrong shape or type, holds pickled objects (which are never unpickled), or a number that
            is not finite.
    """
    try:
        file = np.load(path, allow_pickle=False)
        if not isinstance(file, np.lib.npyio.NpzFile):
            raise UserError(f"{path} is a single array; save x and y together with numpy.savez")
        with file:
            return _parts(path, file, missing, labelled)
    except MemoryError as error:
        raise UserError(f"{path} does not fit into memory ({error})") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise UserError(f"{path} is damaged or no .npz file ({error})") from error
    except OSError as error:
        raise UserError(f"{path} can't be read ({error.strerror or error})") from error
    except ValueError as error:
        reason = str(error).splitlines()[0]
        reason = "it is no archive" if "allow_pickle" in reason else reason  # NumPy's advice would run what is in it
        raise UserError(f"{path} is no .npz file: {reason}") from error


def _parts(path: Path, file: Any, missing: bool, labelled: bool) -> dict[str, FilePart]:
    keys = set(file.files)
    if not keys:
        raise UserError(f"{path} is empty")
    whole = keys & {"x", "y"}
    named = {part: names for part, names in _KEYS.items() if keys & set(names)}
    if whole and named:
        raise UserError(
            f"{path} has {min(whole)} beside {min(keys & set(sum(named.values(), ())))}: which is training?"
        )
    chosen = named or {"train": ("x", "y")}
    if "train" not in chosen:
        chosen["train"] = _KEYS["train"]
    for name in sum(chosen.values(), ()):
        if name not in keys and (labelled or not name.endswith("y")):
            raise UserError(f"{path} has no key {name}; it has {', '.join(sorted(keys))}")
    return {part: _file_part(path, file, *names, missing) for part, names in chosen.items()}


def _file_part(path: Path, file: Any, x_key: str, y_key: str, missing: bool) -> FilePart:
    x, lengths = _sequences(path, file, x_key, missing)
    if x.ndim not in (2, 3, 4, 5):
        raise UserError(f"{path}, key {x_key}: the shape {list(x.shape)} is none of {_SHAPES}")
    if 0 in x.shape:
        raise UserError(f"{path}, key {x_key}: the shape {list(x.shape)} holds no number")
    columns = {"sample": np.arange(len(x)), **(_columns("x", file[x_key]) if x.ndim == 2 else {})}
    samples = FilePart(
        x, None, str(path), lambda index: f"{path}, key {x_key}, sample {index}", lengths=lengths, columns=columns
    )
    if y_key not in file.files:
        return samples
    y = _labels(path, file, x_key, y_key, len(x))
    columns |= _columns("y", file[y_key]) if y.ndim == 2 else {}
    return replace(samples, y=y, label_place=lambda index: f"{path}, key {y_key}, sample {index}", columns=columns)


def _columns(key: str, values: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """What the file says of each sample, [N] or [N, F], by key and place; nothing of samples of many numbers."""
    if values.ndim == 1:
        return {key: values}
    return {f"{key}{at}": column for at, column in enumerate(values.T)} if values.shape[1] <= _MOST_SHOWN else {}


def _labels(path: Path, file: Any, x_key: str, y_key: str, samples: int) -> NDArray[Any]:
    y = _names(file, y_key)
    y = _array(path, file, y_key) if y is None else y
    if y.ndim not in (1, 2, 3):
        raise UserError(f"{path}, key {y_key}: the shape {list(y.shape)} is none of [N], [N, D] and [N, T, D]")
    if samples != len(y):
        raise UserError(f"{path}: {samples} samples in {x_key}, but {len(y)} labels in {y_key}")
    if 0 in y.shape:
        raise UserError(f"{path}, key {y_key}: the shape {list(y.shape)} holds no number")
    return y[:, None] if y.ndim == 1 else y


def _names(file: Any, key: str) -> NDArray[Any] | None:
    """Labels that are names of classes, [N]; None where they are anything else."""
    try:
        y = file[key]
    except ValueError:
        return None
    names: NDArray[Any] | None = np.char.strip(y) if y.dtype.kind == "U" and y.ndim == 1 else None
    return names


def _sequences(path: Path, file: Any, key: str, missing: bool) -> tuple[NDArray[Any], NDArray[np.int64] | None]:
    """Samples and, where these are sequences of different lengths, their lengths, [N]."""
    lengths_key = f"{key.removesuffix('x')}lengths"
    lengths = _lengths(path, file, lengths_key) if lengths_key in file.files else None
    ragged = None if lengths is not None else ragged_rows(path, key)
    if ragged is not None:
        if {row.shape[1:] for row in ragged} != {ragged[0].shape[1:]} or ragged[0].ndim < 2:
            shown = next((list(row.shape) for row in ragged if row.shape[1:] != ragged[0].shape[1:]), ragged[0].shape)
            raise UserError(f"{path}, key {key}: a sequence is {list(shown)}; each must be [T, F] with the same F")
        lengths = np.array([len(row) for row in ragged])
        x = np.concatenate(ragged).astype(np.float64)
    else:
        x = _array(path, file, key, missing or lengths is not None)
    if lengths is None:
        return x, None
    if (lengths < 1).any():
        index = int(np.flatnonzero(lengths < 1)[0])
        raise UserError(f"{path}, key {key}, sample {index} has {lengths[index]} steps; a sequence has 1 or more")
    if len(x) == lengths.sum() and x.ndim != 3:
        x = padded(x, lengths)
    if x.ndim not in (3, 5) or len(x) != len(lengths) or lengths.max() > x.shape[1]:
        raise UserError(f"{path}: {len(lengths)} lengths up to {lengths.max()} don't suit {key} {list(x.shape)}")
    x[np.arange(x.shape[1]) >= lengths[:, None]] = 0  # a padding of NaN, say
    check_numbers(x, lambda index: f"{path}, key {key}, sample {index[0]}", missing)
    return x, lengths


def _lengths(path: Path, file: Any, key: str) -> NDArray[np.int64]:
    lengths = _array(path, file, key)
    if lengths.ndim != 1:
        raise UserError(f"{path}, key {key}: the shape {list(lengths.shape)} is not [N]")
    if (wrong := lengths != np.round(lengths)).any():
        index = int(np.flatnonzero(wrong)[0])
        raise UserError(f"{path}, key {key}, sample {index}: {lengths[index]:g} is no number of steps")
    return lengths.astype(np.int64)


def padded(rows: NDArray[Any], lengths: NDArray[np.int64]) -> NDArray[Any]:
    """Sequences one after another, [ΣT, *], as [N, T, *] with 0 after the end of each."""
    x = np.zeros((len(lengths), lengths.max(), *rows.shape[1:]))
    x[np.arange(x.shape[1]) < lengths[:, None]] = rows
    return x


class _Numbers(pickle.Unpickler):
    """Reads what NumPy writes of an array of arrays of numbers, and makes nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        home = module.replace("numpy.core", "numpy._core")
        if (home, name) == ("numpy._core.multiarray", "_reconstruct"):
            return np.empty(0).__reduce__()[0]
        if (home, name) in (("numpy", "ndarray"), ("numpy", "dtype")):
            return getattr(np, name)
        raise pickle.UnpicklingError(f"{module}.{name}")


def ragged_rows(path: Path, key: str) -> list[NDArray[Any]] | None:
    """The arrays in an array of arrays of numbers; None of an array of another kind."""
    with zipfile.ZipFile(path) as archive, archive.open(f"{key}.npy") as content:
        version = np.lib.format.read_magic(content)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(content)
        if dtype.kind != "O" or len(shape) != 1:
            return None
        try:
            rows = list(_Numbers(content).load())
        except Exception:  # a pickle of something else may raise anything
            return None
    numbers = [row for row in rows if isinstance(row, np.ndarray) and row.dtype.kind in "biuf"]
    return numbers if rows and len(numbers) == len(rows) else None


def _array(path: Path, file: Any, key: str, missing: bool = False) -> NDArray[Any]:
    try:
        values: NDArray[Any] = file[key]
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise UserError(f"{path}, key {key} is damaged ({str(error).splitlines()[0]})") from error
        raise UserError(
            f"{path}, key {key} holds Python objects, which are not opened: save numbers in rows of one length, or "
            "arrays [T, F] of numbers"
        ) from error
    if not isinstance(values, np.ndarray):
        raise UserError(f"{path}, key {key} is no array of NumPy's")
    if values.dtype.kind not in "biuf":
        kind = {"U": "text", "S": "text", "M": "dates", "c": "complex numbers"}.get(values.dtype.kind, "no numbers")
        raise UserError(f"{path}, key {key} holds {kind} ({values.dtype}); it must hold numbers")
    numbers = values.astype(np.float64)
    check_numbers(numbers, lambda index: f"{path}, key {key}, sample {index[0] if index else 0}", missing)
    return numbers
