"""Checks of the sizes that networks are made with."""

from __future__ import annotations

from collections.abc import Sequence

from litspike.settings import SettingError, integer


def sample_shape(shape: Sequence[int], spatial: tuple[int, ...], setting: str = "input_shape") -> tuple[int, ...]:
    """Check the shape of a sample, and return it.

    Args:
        shape: channels first, then the sizes of the image.
        spatial: how many sizes an image may have.
        setting: the setting's name.

    Raises:
        SettingError: if it has another number of sizes, or one is below 1.
    """
    names = {1: "[channels, length]", 2: "[channels, height, width]"}
    if len(shape) - 1 not in spatial:
        raise SettingError(setting, list(shape), f"is not {' or '.join(names[count] for count in spatial)}")
    return widths(setting, shape)


def widths(setting: str, sizes: Sequence[int]) -> tuple[int, ...]:
    """Check that there are sizes and that each is at least 1, and return them.

    Raises:
        SettingError: if not; it names the entry.
    """
    if not sizes:
        raise SettingError(setting, list(sizes), "needs one entry at least")
    return tuple(integer(f"{setting}[{index}]", size) for index, size in enumerate(sizes))
