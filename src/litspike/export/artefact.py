"""What every format of an export does: say whether it can, write, and run what it wrote."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from litspike.networks.watch import LayerCall, watched
from litspike.settings import UserError
from litspike.tasks.task import Task


class Refused(UserError):
    """A format has no place for something: the text names it, and the setting.

    Args:
        format: the format's name.
        where: the layer or setting.
        why: what of it can't be written.
    """

    def __init__(self, format: str, where: str, why: str) -> None:
        super().__init__(f"{format}: {where}: {why}")


class Answer(NamedTuple):
    """What a network gives for a batch."""

    values: Tensor
    """The readout's values in the unit of the targets, [B, *]."""
    outputs: Tensor
    """The network's outputs, [T, B, *]."""
    layers: list[Tensor]
    """What each layer of neurons puts out, [T, B, *], in the order of their use."""


Run = Callable[[Tensor], Answer]
"""Runs samples [B, *]."""


class Subject:
    """What is exported.

    Args:
        task: the trained task.
        samples: some of its samples, [B, *]; what a format has to know of shapes is taken from the first.

    Raises:
        UserError: if the task is none whose answer is encoder, network and readout from rest.
    """

    def __init__(self, task: Task, samples: Tensor) -> None:
        self.task, self.samples = task.eval(), samples[:1]
        own = type(task)
        for method in ("forward", "respond", "read", "answer"):
            if getattr(own, method) is not getattr(Task, method):
                problem = f"has a {method} of its own, as a state that goes from batch to batch needs one"
                raise UserError(f"export: model: {own.__name__} {problem}: an export runs from rest")
        for name, value in task.named_parameters():
            if not bool(value.isfinite().all()):
                raise UserError(f"export: {name} holds NaN or infinity: its training went wrong, name another one")
            if value.dtype != torch.float32:
                raise UserError(f"export: {name} is {value.dtype}, float32 is written".replace("torch.", ""))
        self.labels: list[str] = []
        """What each layer of neurons is called, in the order of their use."""
        self.names: list[str] = []
        """The layers' names in the network, as ``named_modules`` has them."""
        self.shapes: list[torch.Size] = []
        """Shape of what each layer puts out for one sample at one step."""
        self.answer = self.run(self.samples, self._note)
        """Of the first sample."""

    def _note(self, call: LayerCall) -> None:
        self.labels.append(call.label)
        self.names.append(call.name)
        self.shapes.append(call.output.shape[2:])

    @torch.no_grad()
    def run(self, x: Tensor, each: Callable[[LayerCall], object] = lambda _: None) -> Answer:
        """The task itself, as a test runs it."""
        layers: list[Tensor] = []

        def note(call: LayerCall) -> None:
            each(call)
            layers.append(call.output)

        with watched(self.task.network, note):
            values, outputs, _ = self.task.respond(x)
        return Answer(self.task.in_unit(values), outputs, layers)

    @property
    def steps(self) -> int:
        """Time steps T of the first sample."""
        return len(self.answer.outputs)

    @torch.no_grad()
    def is_sequence(self) -> bool:
        """Whether a sample's first dimension is time: a step less of it is a step less of the network's input."""
        if self.samples.dim() < 2 or self.samples.shape[1] < 2 or self.samples.shape[1] != self.steps:
            return False
        shorter: Tensor = self.task.encoder(self.samples[:, :-1])
        return len(shorter) == self.steps - 1 and shorter.shape[2:] == self.encoded_shape

    @torch.no_grad()
    def first_steps(self) -> Tensor:
        """The network's input for the first sample at its first steps, [2 or 1, 1, *]."""
        encoded: Tensor = self.task.encoder(self.samples)
        return encoded[:2].clone()

    @property
    def encoded_shape(self) -> torch.Size:
        """Shape of the network's input for one sample at one step."""
        with torch.no_grad():
            return torch.Size(self.task.encoder(self.samples).shape[2:])


class Artefact(ABC):
    """A network in one format. A constructor raises :class:`Refused` for what the format can't say.

    Args:
        subject: what is exported.
        name: what its files and functions are called by.
    """

    format: str
    """The format's name."""

    def __init__(self, subject: Subject, name: str) -> None:
        self.subject, self.name = subject, name

    @abstractmethod
    def write(self, folder: Path) -> None:
        """Write the files."""

    @abstractmethod
    def reader(self, folder: Path) -> AbstractContextManager[Run]:
        """What runs the files: the format's own reader or compiler, as somebody without litspike would use it."""

    def facts(self, folder: Path) -> dict[str, Any]:
        """What is to be known of the files beside their sizes, such as shapes and memory."""
        return {}

    def exact(self) -> tuple[str, Run] | None:
        """The network in the format's own order of sums, and what that is; None where that isn't known.

        What the files give must be the same to the last bit.
        """
        return None


def forward_of(module: nn.Module) -> Any:
    """The method that a module of this class runs: one that inherits it is as good as its base."""
    return type(module).forward
