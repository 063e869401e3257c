"""What ``doctor`` does."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from litspike import LIF, installation
from litspike.cli.alone import OneLineParser
from litspike.engine import Engine
from litspike.engine.cpu import disk, jit, openmp
from litspike.reports.receipt.provenance import machine, versions
from litspike.settings import UserError

_FOR_WORK_ON_LITSPIKE = ("dev", "docs")
_WIDTHS = {"avx512f": 512, "avx2": 256, "avx": 256, "sse2": 128, "neon": 128}
CLOSE = 1e-4
"""Largest difference of a gradient on the fused engine from the reference's, as a share of the largest gradient."""


def doctor(args: list[str], home: Path) -> int:
    """Print in ten lines what litspike finds on this machine.

    Args:
        args: the arguments after ``doctor``.
        home: folder with ``logs/``.

    Returns:
        The exit status: 0 where the fused engine compiles and agrees with the reference, otherwise 1.
    """
    OneLineParser("doctor", "[-h]").parse_args(args)
    problem = difference("cpu")
    for name, text in _lines(problem, home):
        print(f"{name:14}{text}")
    return 0 if problem is None else 1


def _lines(problem: str | None, home: Path) -> Iterator[tuple[str, str]]:
    found, here = versions(), machine(torch.device("cpu"))
    yield "litspike", f"{found.pop('litspike')}, on Python {found.pop('python')}, {here['system']}"
    yield "libraries", ", ".join(f"{name} {number}" for name, number in found.items())
    yield "processor", f"{here['processor']} ({jit.processor()[1]}), vectors of {vector_width()} bits"
    team = "one OpenMP team with torch" if openmp.team() else "kernels run in one: torch has no OpenMP team here"
    yield "threads", f"{here['threads']} on {here['cores']} cores, {team}"
    yield "fused engine", problem or "compiles, and agrees with the reference"
    yield "GPU", f"{_gpu()}; Triton {_triton()}"
    present, missing = extras()
    yield "extras", ", ".join(present) or "none"
    one = f"; {installation.installing('NAME')} installs one"
    yield "missing", ", ".join(missing) + one if missing else "no extra"
    yield "kernels", str(disk.folder() or "not kept on disk: no folder of the user's alone was found")
    yield "own files", f"runs in {home / 'logs'}, event data in {Path('data').absolute()}"


def difference(device: str) -> str | None:
    """What is wrong with the fused engine on a device; None where its spikes and gradients are the reference's."""
    randomness = torch.Generator().manual_seed(0)
    current = (0.5 * torch.rand(40, 3, 37, generator=randomness)).to(device)
    results = []
    engines: tuple[Engine, Engine] = ("fused", "reference")
    for engine in engines:
        x = current.clone().requires_grad_()
        try:
            spikes, state = LIF(engine=engine)(x)
        except UserError as error:
            return str(error)
        results.append((spikes.detach(), torch.autograd.grad(spikes.sum() + state.u.sum(), x)[0]))
    (spikes, gradient), (expected, expected_gradient) = results
    if not torch.equal(spikes, expected):
        return f"WRONG: {int((spikes != expected).sum())} of {spikes.numel()} outputs are not the reference's"
    if not torch.allclose(gradient, expected_gradient, rtol=0, atol=CLOSE * float(expected_gradient.abs().max())):
        return "WRONG: its gradients are not the reference's"
    return None


def vector_width() -> int:
    """Bits of the widest vectors that the processor has."""
    features = set(jit.processor()[2].split(","))
    return next((bits for name, bits in _WIDTHS.items() if f"+{name}" in features), 64)


def extras() -> tuple[list[str], list[str]]:
    """The extras that are installed, and those of which a package is missing; those for work on it in a clone alone."""
    present: list[str] = []
    missing: list[str] = []
    for extra, packages in installation.extras().items():
        if installation.CLONED or extra not in _FOR_WORK_ON_LITSPIKE:
            (present if all(map(_is_there, packages)) else missing).append(extra)
    return present, missing


def _is_there(package: str) -> bool:
    try:
        return bool(version(package))
    except PackageNotFoundError:
        return False


def _gpu() -> str:
    if torch.cuda.is_available():
        names = ", ".join(torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count()))
        return f"{names}; the fused engine there {difference('cuda') or 'agrees with the reference'}"
    return "Apple's (mps), on the reference engine" if torch.backends.mps.is_available() else "torch sees none"


def _triton() -> str:
    if importlib.util.find_spec("triton") is None:
        return "is missing, which only a GPU needs: pip install triton"
    return version("triton")
