"""NumPy's ``.npz`` files, read without running anything in them."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from litspike.data.file_part import FilePart, check_numbers
from litspike.settings import UserError

_KEYS = {"train": ("train_x", "train_y"), "val": ("val_x", "val_y"), "test": ("test_x", "test_y")}


def read_npz(path: Path) -> dict[str, FilePart]:
    """Read an ``.npz`` file with the keys ``x`` and ``y``, or ``train_x``, ``train_y`` and so for ``val`` and ``test``.

    Args:
        path: the file. Its x are [N, F] or [N, T, F], its y [N], [N, D] or [N, T, D].

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
            return _parts(path, file)
    except MemoryError as error:
        raise UserError(f"{path} does not fit into memory ({error})") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise UserError(f"{path} is damaged or no .npz file ({error})") from error
    except OSError as error:
        raise UserError(f"{path} can't be read ({error.strerror or error})") from error
    except ValueError as error:
        raise UserError(f"{path} is no .npz file: {str(error).splitlines()[0]}") from error


def _parts(path: Path, file: Any) -> dict[str, FilePart]:
    keys = set(file.files)
    if not keys:
        raise UserError(f"{path} is empty")
    whole = keys & {"x", "y"}
    named = {part: names for part, names in _KEYS.items() if keys & set(names)}
    if whole and named:
        raise UserError(
            f"{path} has {min(whole)} beside {min(keys & set(sum(named.values(), ())))}: which is training?"
        )
    wanted = named or {"train": ("x", "y")}
    if "train" not in wanted:
        wanted["train"] = _KEYS["train"]
    for name in sum(wanted.values(), ()):
        if name not in keys:
            raise UserError(f"{path} has no key {name}; it has {', '.join(sorted(keys))}")
    return {part: _file_part(path, file, *names) for part, names in wanted.items()}


def _file_part(path: Path, file: Any, x_key: str, y_key: str) -> FilePart:
    x, y = _array(path, file, x_key), _array(path, file, y_key)
    if x.ndim not in (2, 3):
        raise UserError(f"{path}, key {x_key}: the shape {list(x.shape)} is neither [N, F] nor [N, T, F]")
    if y.ndim not in (1, 2, 3):
        raise UserError(f"{path}, key {y_key}: the shape {list(y.shape)} is none of [N], [N, D] and [N, T, D]")
    if len(x) != len(y):
        raise UserError(f"{path}: {len(x)} samples in {x_key}, but {len(y)} labels in {y_key}")
    if 0 in x.shape or 0 in y.shape:
        key, shape = (x_key, x.shape) if 0 in x.shape else (y_key, y.shape)
        raise UserError(f"{path}, key {key}: the shape {list(shape)} holds no number")
    return FilePart(
        x, y[:, None] if y.ndim == 1 else y, str(path), lambda index: f"{path}, key {x_key}, sample {index}"
    )


def _array(path: Path, file: Any, key: str) -> NDArray[Any]:
    try:
        values: NDArray[Any] = file[key]
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise UserError(f"{path}, key {key} is damaged ({str(error).splitlines()[0]})") from error
        raise UserError(
            f"{path}, key {key} holds Python objects, which are not opened (ragged rows are saved so): save numbers "
            "in rows of one length"
        ) from error
    if not isinstance(values, np.ndarray):
        raise UserError(f"{path}, key {key} is no array of NumPy's")
    if values.dtype.kind not in "biuf":
        kind = {"U": "text", "S": "text", "M": "dates", "c": "complex numbers"}.get(values.dtype.kind, "no numbers")
        raise UserError(f"{path}, key {key} holds {kind} ({values.dtype}); it must hold numbers")
    numbers = values.astype(np.float64)
    check_numbers(numbers, lambda index: f"{path}, key {key}, sample {index[0] if index else 0}")
    return numbers
