"""Where every command ends: with its status, and one line where something went wrong."""

from __future__ import annotations

import inspect
import linecache
import re
import sys
import sysconfig
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from litspike import memory
from litspike.runs.signals import Stopped
from litspike.settings import UserError
from litspike.terminal import one_line

_OURS = Path(__file__).parents[1]
_LIBRARIES = {Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
_LIGHTNING = Path(sysconfig.get_path("purelib"), "lightning", "pytorch")
_OPTIMIZERS = Path(sysconfig.get_path("platlib"), "torch", "optim")
_NO_PATH = ("Symlink loop from", "Could not determine home directory")  # pathlib raises plain RuntimeErrors
_QUOTED = re.compile(r"`(\w+)`")
_NO_PACKAGE = re.compile(r"No module named '([^']+)'|[Rr]equirement '([^']+)' not met|`(\w+)` is not installed")


def print_error(line: str) -> None:
    """Print what went wrong."""
    with suppress(OSError):  # nobody reads it
        sys.stderr.write(f"litspike: {one_line(line)}\n")
        sys.stderr.flush()


def exit_status(run: Callable[[], int], report: Callable[[str], None] = print_error) -> int:
    """Run, and report mistakes and interruptions in one line. What nobody expected keeps its traceback.

    Args:
        run: gives the exit status.
        report: prints the line.

    Returns:
        The exit status.
    """
    try:
        return run()
    except UserError as error:
        report(str(error))
        return error.status
    except SystemExit as error:
        if isinstance(error.code, str):
            report(error.code)
            return 1
        return error.code or 0
    except KeyboardInterrupt:
        report("interrupted")
        return 130
    except Stopped as stopped:
        report(stopped.words)
        return stopped.status
    except Exception as error:
        line = expected(error)
        if line is None:
            traceback.print_exc()
            line = origin(error)
        report(line)
        return 1


def chain(error: BaseException) -> Iterator[BaseException]:
    """An error and those that it was raised from, the outermost first."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)


def expected(error: BaseException) -> str | None:
    """The line for an error of the machine's: memory, files, a package that is missing; None for any other."""
    cause: BaseException | None = error
    while cause is not None:
        text = str(cause)
        if memory.ran_out(cause):
            return _no_memory(error, cause)
        if isinstance(cause, RuntimeError) and text.startswith(_NO_PATH):
            return text
        if isinstance(cause, ImportError) and (missing := _missing(cause)):
            return f"{missing} is not installed: pip install '{missing}'"
        if isinstance(cause, BrokenPipeError):
            return "standard output was closed: what was complete before is kept"
        if isinstance(cause, OSError) and cause.strerror:
            where = f"{cause.filename}: " if cause.filename else ""
            return f"{where}{cause.strerror}: what was complete before is kept"
        cause = cause.__cause__  # and not what was being handled by the way
    return _optimizers(error) or _trainer(error)


def _no_memory(error: BaseException, cause: BaseException) -> str:
    """The line for memory that isn't there, with how much was asked for and by what, where that is known."""
    size, elsewhere = memory.asked_for(cause), "CUDA" in str(cause) or "HIP" in str(cause)
    here = "" if elsewhere else f", and this machine has {memory.shown(memory.available())}"
    much = "" if size is None else f" ({size} at once{here})"
    what = "data: " if any(_is_data(one) for one in _holders(error)) else ""
    return f"{what}there is not enough memory{much}: make the network, the batches, the steps or the data smaller"


def _is_data(holder: object) -> bool:
    return any(kind.__name__ == "LightningDataModule" for kind in type(holder).__mro__)


def _holders(error: BaseException) -> Iterator[object]:
    """The objects whose methods an error came through."""
    for cause in chain(error):
        yield from (
            frame.f_locals["self"] for frame, _ in traceback.walk_tb(cause.__traceback__) if "self" in frame.f_locals
        )


def _optimizers(error: BaseException) -> str | None:
    """The line for what an optimizer or a scheduler of PyTorch's raises in a step; None for any other error."""
    places = list(_places(error.__traceback__))
    file = Path(places[-1][0]) if places else Path()
    if file.parent != _OPTIMIZERS:
        return None
    setting = "scheduler" if file.name == "lr_scheduler.py" else "optimizer"
    return f"model.{setting}: {str(error) or type(error).__name__}"


def _trainer(error: BaseException) -> str | None:
    """The line for what Lightning refuses by a statement of its own; None for any other error."""
    places = list(_places(error.__traceback__))
    file, line = places[-1] if places else ("", 0)
    refused = isinstance(error, (TypeError, ValueError, RuntimeError)) and Path(file).is_relative_to(_LIGHTNING)
    if not refused or not linecache.getline(file, line).strip().startswith("raise "):
        return None
    text = " ".join(str(error).split())
    return f"{_argument(text, Path(file))}: {text}"


def _argument(text: str, file: Path) -> str:
    """The Trainer's argument that Lightning speaks of: it names it first, or raises in the file of a callback."""
    from lightning import Trainer  # which has raised, and is imported

    named = _QUOTED.search(text)
    if named and named[1] in inspect.signature(Trainer).parameters:
        return f"trainer.{named[1]}"
    return "trainer.callbacks" if file.parent.name == "callbacks" else "trainer"


def origin(error: BaseException) -> str:
    """Whose code an unexpected error comes from: the last words after its traceback."""
    place = users_code(error)
    if place is not None:
        return f"{type(error).__name__} in {place}, which is none of litspike's files: the lines above say where"
    return f"{type(error).__name__} that litspike did not expect: please report it, with the lines above"


def users_code(error: BaseException) -> str | None:
    """File and line of the innermost place of an error that is in neither litspike nor a library; None without one."""
    places = [place for cause in chain(error) for place in _places(cause.__traceback__)]
    return next((f"{file}, line {line}" for file, line in reversed(places) if not _known(file)), None)


def raised_by_a_library(error: BaseException) -> bool:
    """Whether an error comes from neither litspike's code nor the user's."""
    file = next(reversed([file for file, _ in _places(list(chain(error))[-1].__traceback__)]), str(_OURS / "cli"))
    return users_code(error) is None and not Path(file).is_relative_to(_OURS)


def being_made(error: BaseException) -> Iterator[type]:
    """The classes whose constructors an error came through, the innermost last."""
    for cause in chain(error):
        for frame, _ in traceback.walk_tb(cause.__traceback__):
            if frame.f_code.co_name == "__init__" and "self" in frame.f_locals:
                yield type(frame.f_locals["self"])
            elif frame.f_code.co_name == "__new__" and isinstance(kind := frame.f_locals.get("cls"), type):
                yield kind


def _places(trace: TracebackType | None) -> Iterator[tuple[str, int]]:
    for frame, line in traceback.walk_tb(trace):
        yield frame.f_code.co_filename, line


def _known(file: str) -> bool:
    return file.startswith("<") or any(Path(file).is_relative_to(folder) for folder in (_OURS, *_LIBRARIES))


def _missing(error: ImportError) -> str | None:
    """The package that an import missed; None where it is one of litspike's modules, or something else is wrong."""
    found = _NO_PACKAGE.search(str(error))
    name = next((name for name in found.groups() if name), "") if found else ""
    return None if not name or name.split(".")[0] == "litspike" else name.split(".")[0] if "=" not in name else name
