"""Explicit random generators, made from a seed of the configuration and the purpose of the draw."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from litspike.settings import integer


def seed_in_range(setting: str, seed: int) -> int:
    """Check that a seed is an integer from 0 to 2³² − 1, and return it.

    Raises:
        SettingError: if it is not.
    """
    return integer(setting, seed, 0, most=2**32 - 1)


def generator(seed: int, *purpose: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator of its own for each seed and purpose.

    torch reads 32 bits of a seed alone, so that neighbouring sums of seed and purpose would collide; NumPy's
    ``SeedSequence`` mixes them instead (O'Neill 2015, "Developing a seed_seq alternative").

    Args:
        seed: from 0 to 2³² − 1.
        purpose: integers that tell the draws of one seed apart, such as a part's and an epoch's; zeros at the
            end make no difference.
        device: where it draws. The same seed gives other numbers on another kind of device.
    """
    return torch.Generator(device).manual_seed(int(np.random.SeedSequence([seed, *purpose]).generate_state(1)[0]))


@contextmanager
def isolated(cuda: bool = True) -> Iterator[None]:
    """Leave the global random states of torch, NumPy and Python as they were, also after an exception.

    Lightning's ``isolate_rng`` does it where none is raised.

    Args:
        cuda: whether those of the GPUs are meant too, which are woken for it.
    """
    from lightning.pytorch.utilities.seed import isolate_rng  # Lightning takes seconds to import

    states = isolate_rng(cuda)
    states.__enter__()
    try:
        yield
    finally:
        states.__exit__(None, None, None)
