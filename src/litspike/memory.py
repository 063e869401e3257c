"""How much memory there is, and a bound on what this process may ask for.

Linux gives out more memory than there is, and ends the process that uses it. With the bound, what can't be had is an
error where it is asked for.
"""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# torch, NumPy and Python have no type in common for it: plain RuntimeErrors and ValueErrors are among theirs
_NONE_LEFT = re.compile(
    r"can't allocate memory|out of memory|unable to allocate|cannot allocate memory|size calculation overflowed"
    r"|integer multiplication overflow|array is too big|maximum allowed (size|dimension)",
    re.IGNORECASE,
)
_AMOUNT = re.compile(r"allocate (\d+(?:\.\d+)?) ?([KMGTPE]?)i?B(?:ytes)?", re.IGNORECASE)
_UNITS = "KMGTPE"
_GPUS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
"""Devices whose drivers map more memory than they use."""


def available() -> int:
    """Bytes that this process can get: of the machine, or of the control group that it runs in.

    At least half of all there is, since what a file system caches may count as taken.
    """
    whole, free = _machine()
    for most, used in _groups():
        whole, free = min(whole, most), min(free, most - used)
    return max(free, whole // 2)


@contextmanager
def bounded() -> Iterator[None]:
    """Inside, memory that isn't there is refused when it is asked for; without effect where the system can't.

    Nor beside a GPU, whose driver maps more than it uses.
    """
    if any(os.path.exists(device) for device in _GPUS):
        yield
        return
    try:
        import resource

        kind = resource.RLIMIT_DATA
        soft, hard = resource.getrlimit(kind)
        most = _taken() + available()
    except (ImportError, AttributeError, OSError, ValueError, IndexError):
        yield
        return
    known = [limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY]
    if not known or most < min(known):
        resource.setrlimit(kind, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(kind, (soft, hard))


def ran_out(error: BaseException) -> bool:
    """Whether an error says that there is no memory left."""
    plain = isinstance(error, (RuntimeError, ValueError)) and bool(_NONE_LEFT.search(str(error)))
    return isinstance(error, MemoryError) or plain or (isinstance(error, OSError) and error.errno == errno.ENOMEM)


def asked_for(error: BaseException) -> str | None:
    """What was asked for at once where an error says that there is no memory left, as in ``16.0 GB``."""
    amount = _AMOUNT.search(str(error))
    if amount is None:
        return None
    unit = amount[2].upper()
    return shown(round(float(amount[1]) * 1024 ** (_UNITS.index(unit) + 1 if unit else 0)))


def shown(count: int) -> str:
    """Bytes in a unit that suits them."""
    value, unit = float(count), "B"
    for larger in _UNITS:
        if value < 1000:
            break
        value, unit = value / 1000, f"{larger}B"
    return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"


def _machine() -> tuple[int, int]:
    """Bytes that there are, and that are left."""
    with suppress(OSError, ValueError, KeyError, IndexError):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        sizes = {name: 1024 * int(rest.split()[0]) for name, rest in (line.split(":", 1) for line in lines)}
        return sizes["MemTotal"] + sizes["SwapTotal"], sizes["MemAvailable"] + sizes["SwapFree"]
    try:
        whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # a system without this call
        whole = sys.maxsize
    return whole, whole


def _groups() -> Iterator[tuple[int, int]]:
    """Limit and use, in bytes, of each control group that this process is in."""
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        number, kinds, place = [*line.split(":", 2), "", ""][:3]
        if number == "0":
            root, names, cached = Path("/sys/fs/cgroup"), ("memory.max", "memory.current"), "inactive_file"
        elif "memory" in kinds.split(","):
            root, cached = Path("/sys/fs/cgroup/memory"), "total_inactive_file"
            names = "memory.limit_in_bytes", "memory.usage_in_bytes"
        else:
            continue
        here = root / place.strip("/")
        for folder in (here, *(parent for parent in here.parents if parent.is_relative_to(root))):
            with suppress(OSError, ValueError):  # no limit here, or none that is seen from inside a container
                most, used = (int((folder / name).read_text(encoding="ascii")) for name in names)
                stat = dict(line.split() for line in (folder / "memory.stat").read_text("ascii").splitlines())
                yield most, max(0, used - int(stat.get(cached, 0)))


def _taken() -> int:
    """Bytes of this process's data, as the bound counts them."""
    import resource

    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[5]) * resource.getpagesize()
