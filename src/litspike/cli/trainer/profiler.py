"""The trainer's profiler: one that writes into the run's folder, or none."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from lightning.pytorch.profilers import (
    AdvancedProfiler,
    PassThroughProfiler,
    Profiler,
    PyTorchProfiler,
    SimpleProfiler,
)

from litspike.settings import SettingError

_NOTHING = nullcontext()


class NoProfiler(PassThroughProfiler):
    """Profiles nothing, for less than Lightning's own profiler of nothing."""

    def profile(self, action_name: str) -> AbstractContextManager[None]:  # type: ignore[override]  # a wider type than Generator
        """A context that does nothing."""
        return _NOTHING


def into_file(profiler: Profiler | str, folder: Path) -> Profiler:
    """A profiler that writes its report into a folder, where no other is set.

    Args:
        profiler: one, or ``simple``, ``advanced``, ``pytorch``.
        folder: the run's.

    Raises:
        SettingError: if there is no such profiler.
    """
    if isinstance(profiler, str):
        kinds: dict[str, Callable[[], Profiler]] = {
            "simple": SimpleProfiler, "advanced": AdvancedProfiler, "pytorch": PyTorchProfiler,
        }  # fmt: skip
        if profiler not in kinds:
            raise SettingError("trainer.profiler", profiler, f"is none of {', '.join(kinds)}")
        profiler = kinds[profiler]()
    profiler.dirpath = profiler.dirpath or folder
    profiler.filename = profiler.filename or "profile"
    return profiler
