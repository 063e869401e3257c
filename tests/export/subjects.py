"""Small tasks to be exported, and what they are exported to."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn

from litspike.coding import ConstantCurrent, MeanOverTime
from litspike.export.artefact import Answer, Artefact, Subject
from litspike.export.c import CFile
from litspike.neurons import Neuron
from litspike.tasks import Classification, Task


def task_of(network: nn.Module, encoder: nn.Module | None = None, readout: nn.Module | None = None) -> Task:
    """A task around a network, in evaluation mode."""
    return Classification(network, encoder or ConstantCurrent(8), readout or MeanOverTime()).eval()


@torch.no_grad()
def dyadic(module: nn.Module) -> nn.Module:
    """The same with weights that are multiples of 1/64, so that sums are exact in whatever order they are taken."""
    for name, value in module.named_parameters():
        if "free_" not in name:
            value.copy_((value * 64).round() / 64)
    return module


@torch.no_grad()
def normalising(module: nn.Module) -> nn.Module:
    """The same whose batch norms have seen something."""
    for part in module.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            assert part.running_mean is not None
            assert part.running_var is not None
            part.running_mean.uniform_(-0.2, 0.2)
            part.running_var.uniform_(0.1, 0.5)
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.uniform_(part.bias, -0.2, 0.2)
    return module


class Drawing(Neuron):
    """One whose step draws, so that no format has it."""

    rest: ClassVar[dict[str, float]] = {"u": 0.0}

    def constants(self):
        return ()

    def step(self, x, u):
        return torch.rand_like(x), u


def c_file(task: Task, x: Tensor, name: str = "network") -> CFile:
    """The export of a task to C; without a C compiler the test is skipped."""
    if not any(map(shutil.which, ("cc", "gcc", "clang"))):
        pytest.skip("there is no C compiler")
    return CFile(Subject(task, x), name)


def written_and_run(artefact: Artefact, x: Tensor, folder: Path) -> Answer:
    """What the written file gives."""
    artefact.write(folder)
    with artefact.reader(folder) as run:
        return run(x)


def compiled_and_run(file: CFile, x: Tensor, folder: Path, flags: tuple[str, ...]) -> Answer:
    """What the written file gives when it is compiled with these flags."""
    file.write(folder)
    process = file.process(folder, flags)
    try:
        return file.meaning(process(file.given(x), file.steps_of(x)), file.steps_of(x))
    finally:
        process.close()


def same(own: Answer, other: Answer) -> bool:
    """Whether two answers are the same numbers, layer by layer; 0 and −0 are one."""
    return all(one.flatten().equal(two.flatten()) for one, two in _pairs(own, other))


def same_bits(own: Answer, other: Answer) -> bool:
    """Whether two answers are the same to the last bit."""
    return all(_bits(one).equal(_bits(two)) for one, two in _pairs(own, other))


def _pairs(own: Answer, other: Answer) -> Iterator[tuple[Tensor, Tensor]]:
    return zip([*own.layers, own.outputs, own.values], [*other.layers, other.outputs, other.values], strict=True)


def _bits(tensor: Tensor) -> Tensor:
    return tensor.detach().contiguous().flatten().view(torch.int32)
