"""How much of a network is in what was written of it: layers, outputs and metrics of both, on the same samples."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from litspike.export.artefact import Answer, Refused
from litspike.tasks.task import Task


class Difference:
    """What one tensor of both differs by, over all samples."""

    def __init__(self) -> None:
        self.numbers = self.unequal = 0
        self.largest = self.magnitude = 0.0

    def add(self, own: Tensor, other: Tensor) -> None:
        """Take in a batch of both."""
        apart = (own.flatten().double() - other.flatten().double()).abs()
        apart = torch.where(own.flatten() == other.flatten(), 0.0, apart)  # also of two infinite ones
        self.numbers += apart.numel()
        self.unequal += int((apart != 0).sum())
        if apart.numel():
            self.largest = max(self.largest, float(apart.nan_to_num(torch.inf).max()))
            self.magnitude = max(self.magnitude, float(own.abs().max()))

    @property
    def equal(self) -> float:
        """Share of the numbers that are equal."""
        return 1 - self.unequal / max(self.numbers, 1)


class Layer(NamedTuple):
    """A layer of neurons of both."""

    label: str
    difference: Difference


class Fidelity:
    """Compares, batch by batch, what a task gives with what was written of it.

    Args:
        format: the format's name.
        task: the task.
        labels: what its layers of neurons are called.
    """

    def __init__(self, format: str, task: Task, labels: list[str]) -> None:
        self.format, self.task = format, task
        self.layers = [Layer(label, Difference()) for label in labels]
        self.outputs, self.values = Difference(), Difference()
        self.samples = 0
        self._figures = {"litspike": task.test_metrics.anew(), format: task.test_metrics.anew()}

    @torch.no_grad()
    def add(self, own: Answer, other: Answer, targets: Tensor) -> None:
        """Take in both answers to a batch.

        Raises:
            Refused: if what was written has other layers, or gives something of another shape.
        """
        given = [*other.layers, other.outputs, other.values]
        expected = [*own.layers, own.outputs, own.values]
        if [one.numel() for one in given] != [one.numel() for one in expected]:
            shapes = ", ".join(f"{list(a.shape)} for {list(b.shape)}" for a, b in zip(given, expected, strict=False))
            raise Refused(self.format, "what was written", f"gives something else than the network ({shapes})")
        differences = [*(layer.difference for layer in self.layers), self.outputs, self.values]
        for difference, one, two in zip(differences, expected, given, strict=True):
            difference.add(one, two)
        self.samples += len(targets)
        for figures, answer in zip(self._figures.values(), (own, other), strict=True):
            values, outputs = _like(answer.values, own.values), _like(answer.outputs, own.outputs)
            loss = self.task.loss(values, self.task.in_unit(outputs), targets)
            figures.add(loss, values, targets)

    def metrics(self) -> dict[str, dict[str, float]]:
        """Name of each metric → that of the task, and that of what was written."""
        found = {name: figures.close()[0] for name, figures in self._figures.items()}
        return {metric: {name: float(of[metric]) for name, of in found.items()} for metric in found["litspike"]}

    def summary(self) -> dict[str, Any]:
        """All of it as plain numbers."""
        return {
            "samples": self.samples,
            "layers": [{"layer": layer.label, **_numbers(layer.difference)} for layer in self.layers],
            "outputs": _numbers(self.outputs),
            "values": _numbers(self.values),
            "metrics": self.metrics(),
        }


def _like(tensor: Tensor, other: Tensor) -> Tensor:
    return tensor.to(other.dtype).view_as(other)


def _numbers(difference: Difference) -> dict[str, float]:
    return {
        "equal": difference.equal,
        "numbers": difference.numbers,
        "unequal": difference.unequal,
        "largest_difference": difference.largest,
        "largest_number": difference.magnitude,
    }


def check_exact(format: str, labels: list[str], expected: Answer, given: Answer, against: str) -> None:
    """Refuse what differs in a bit from what it must be.

    Args:
        format: the format's name.
        labels: what the layers of neurons are called.
        expected: what it must be.
        given: what it is.
        against: what ``expected`` was made by.

    Raises:
        Refused: if anything differs; the first layer that does is named.
    """
    names = [*labels, "the outputs", "the values"]
    pairs = zip(
        [*expected.layers, expected.outputs, expected.values], [*given.layers, given.outputs, given.values], strict=True
    )
    for name, (one, other) in zip(names, pairs, strict=True):
        one, other = one.contiguous(), other.contiguous()
        bits = torch.int64 if one.dtype == torch.float64 else torch.int32
        unequal = int((one.view(bits) != other.view(bits)).sum())
        if unequal:
            raise Refused(
                format, name, f"{unequal} of {one.numel()} numbers differ from {against}: nothing was written"
            )
