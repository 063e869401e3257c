"""A folder of images: a folder for each class, named by it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from litspike.data.file_part import FilePart
from litspike.settings import UserError

PARTS = ("train", "val", "test")
_IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm")
_DEEP = ("I", "I;16", "F")
"""Pillow's grey images of more than 8 bits, which it would cut."""


def read_images(folder: Path, size: Sequence[int] | None) -> dict[str, FilePart]:
    """Read ``CLASS/*.png`` and so on, or ``train/CLASS/…`` and so for ``val`` and ``test``; other files are left alone.

    Args:
        folder: the folder.
        size: height and width that each image is brought to; None: all must have one size.

    Returns:
        Part → images float64 [N, C, H, W] from 0 to 255 or, of more than 8 bits, as they are; C = 1 where all are grey,
        3 else. Names of classes are [N, 1]; there are none where images lie in the folder itself. All are ``train``
        where there are no parts.

    Raises:
        UserError: that names the file or folder: if one can't be read, has another size, or there is none.
    """
    parts = {part: folder / part for part in PARTS if (folder / part).is_dir()}
    if "train" not in parts:
        parts = {"train": folder}
    files = {part: _files(place) for part, place in parts.items()}
    grey = all(_is_grey(file) for found in files.values() for file, _ in found)
    return {part: _read(parts[part], found, "L" if grey else "RGB", size) for part, found in files.items()}


def images_differ(folder: Path) -> tuple[int, int] | None:
    """Height and width in the middle of those that the images of a folder have; None where all have one size.

    Raises:
        UserError: if one can't be read, or there is none.
    """
    sizes = []
    for place in [folder / part for part in PARTS if (folder / part).is_dir()] or [folder]:
        for file, _ in _files(place):
            with _opened(file) as image:
                sizes.append((image.height, image.width))
    if len(set(sizes)) == 1:
        return None
    height, width = np.median(sizes, axis=0).astype(int).tolist()
    return height, width


def _files(folder: Path) -> list[tuple[Path, str | None]]:
    """Each image and its class, None where the folder has no classes."""
    classes = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    found: list[tuple[Path, str | None]] = [(path, None) for path in _images(folder)]
    found = found or [(path, kind.name) for kind in classes for path in _images(kind)]
    if not found:
        raise UserError(f"{folder} has no images: put those of each class into a folder {folder}/CLASS")
    return found


def _images(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in _IMAGES and path.is_file())


def _is_grey(file: Path) -> bool:
    with _opened(file) as image:
        return image.mode in ("1", "L", "LA", *_DEEP)


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    """An image of Pillow's; what goes wrong with it, there or inside the context, is one line."""
    from PIL import Image

    try:
        with Image.open(file) as image:
            yield image
    except Exception as error:  # Pillow's readers raise anything
        raise UserError(f"{file} is damaged or no image ({str(error).splitlines()[0][:100]})") from error


def _read(folder: Path, files: list[tuple[Path, str | None]], mode: str, size: Sequence[int] | None) -> FilePart:
    from PIL import Image

    images = []
    for file, _ in files:
        with _opened(file) as image:
            made = image if mode == "L" and image.mode in _DEEP else image.convert(mode)
            if size is not None:
                made = made.resize((size[1], size[0]), Image.Resampling.BILINEAR)
            images.append(np.atleast_3d(np.asarray(made, np.float64)).transpose(2, 0, 1))
        if images[-1].shape != images[0].shape:
            here, first = (" × ".join(map(str, one.shape[1:])) for one in (images[-1], images[0]))
            raise UserError(f"{file} has {here} pixels, {files[0][0].name} {first}: set data.image_size to one size")
    names = [name for _, name in files]
    y = None if None in names else np.array(names, object)[:, None]
    shown = np.array([str(file.relative_to(folder)) for file, _ in files], object)
    return FilePart(np.stack(images), y, str(folder), lambda index: str(files[index][0]), columns={"file": shown})
