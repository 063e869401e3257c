"""What the pictures of a validation show: its samples, and what the network does with them, as arrays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from litspike.networks.watch import Seen, watched
from litspike.neurons import NeuronLayer
from litspike.reports.anytime import evaluated_steps
from litspike.seeding import isolated
from litspike.tasks.losses import ClassificationLoss, Loss

if TYPE_CHECKING:
    from litspike.reports.pictures.activity import LayerTrace

POINTS = 300
"""Points drawn on a plane at most."""
MOST_STEPS = 2000
"""The most time steps, of all samples together, that a raster of one layer shows."""
Spikes = NDArray[np.floating]


class ValidationSamples:
    """A few samples of a validation, as many of each class as of another, and its confusion matrix.

    Args:
        loss: the task's; one of classes says which of them an answer stands for.
        samples: the most samples to keep.
    """

    def __init__(self, loss: Loss, samples: int) -> None:
        self.loss, self.samples = loss, samples
        self.confusion: NDArray[np.int64] | None = None
        self._collected: list[tuple[int, Tensor, Tensor]] = []
        self._points: list[tuple[Tensor, Tensor]] = []
        self._of_class: Counter[int] = Counter()

    def add(self, x: Tensor, y: Tensor, value: Tensor) -> None:
        """Take in a batch: samples [B, *], targets [B, *] and what the network answered, [B, *]."""
        classes = self._classes(y, value)
        quota = self.samples if classes is None else -(-self.samples // classes)
        if len(self._of_class) < (classes or 1) or min(self._of_class.values()) < quota:
            for index, label in enumerate([0] * len(y) if classes is None else y.tolist()):
                if self._of_class[int(label)] < quota:
                    self._collected.append((self._of_class[int(label)], x[index].clone(), y[index].clone()))
                    self._of_class[int(label)] += 1
        if classes is None:
            return
        if x.shape[1:] == (2,) and sum(len(points) for points, _ in self._points) < POINTS:
            self._points.append((x[:POINTS].clone(), y[:POINTS].clone()))
        pairs = y.long() * classes + self.loss.predictions(value).long()  # type: ignore[attr-defined]
        counts = np.bincount(pairs.cpu().numpy(), minlength=classes**2).reshape(classes, classes)
        self.confusion = counts if self.confusion is None else self.confusion + counts

    def _classes(self, y: Tensor, value: Tensor) -> int | None:
        """Number of classes; None where the task has none, or more than one answer a sample."""
        if not isinstance(self.loss, ClassificationLoss) or y.dim() != 1 or value.dim() != 2:
            return None
        return max(value.shape[1], 2)

    @property
    def grouped(self) -> bool:
        """Whether the targets are classes."""
        return self.confusion is not None

    def batch(self) -> tuple[Tensor, Tensor]:
        """The samples [B, *] and targets [B, *] that were collected, one of each class first, then one more of each."""
        order = sorted(
            self._collected, key=lambda collected: (collected[0], float(collected[2]) if self.grouped else 0.0)
        )[: self.samples]
        return torch.stack([x for _, x, _ in order]), torch.stack([y for _, _, y in order])

    def points(self) -> tuple[Tensor, Tensor] | None:
        """Points of the plane [N, 2] and their classes [N]; None where samples are none."""
        if not self._points:
            return None
        x, y = (torch.cat(parts)[:POINTS] for parts in zip(*self._points, strict=True))
        return x, y


@contextmanager
def evaluation_mode(module: nn.Module) -> Iterator[None]:
    """Look at a module in evaluation mode; afterwards its modes and every random state are as they were before."""
    modes = {part: part.training for part in module.modules()}
    with isolated(), torch.no_grad():
        module.eval()
        try:
            yield
        finally:
            for part, mode in modes.items():
                part.training = mode


@dataclass(frozen=True)
class Activity:
    """Spikes of one layer."""

    key: str
    """Its number, as in ``layer 2``, and which of its calls it is where there are several."""
    name: str
    spikes: Spikes
    """0 or 1, [T, B, N], of the neurons shown."""
    neurons: NDArray[np.intp]
    """Their numbers in the layer, [N]."""
    size: int
    """Number of neurons of the layer."""
    rate: float
    """Spikes per neuron and step, of the whole layer."""


def activities(module: Any, x: Tensor, most_layers: int | None) -> list[Activity]:
    """The spikes of each layer on samples [B, *]; of ``most_layers`` evenly spaced ones where there are more."""
    from litspike.reports.pictures.activity import ROWS
    from litspike.reports.pictures.style import spread

    seen: list[Activity] = []
    calls: Counter[int] = Counter()

    def see(call: Seen) -> None:
        calls[call.number] += 1
        which = f", call {calls[call.number]}" if calls[call.number] > 1 else ""
        spikes = call.output.flatten(2)
        if is_spikes(spikes):
            size = spikes.shape[2]
            neurons = spread(size, ROWS)
            shown = array(spikes[:, :, torch.as_tensor(neurons, device=spikes.device)])
            key, rate = f"layer {call.number}{which}", float(spikes.detach().mean())
            seen.append(Activity(key, f"{call.label}{which}", shown, neurons, size, rate))

    with watched(module.network, see):
        module.respond(x)
    return seen if most_layers is None else [seen[index] for index in spread(len(seen), most_layers)]


@dataclass(frozen=True)
class SampleTrace:
    """One sample through the network: arrays of every step."""

    current: Spikes
    layers: list[LayerTrace]
    order: list[tuple[NeuronLayer, str]]
    """All layers of neurons, in the order of their use, and what each is called."""
    outputs: Spikes
    value: Tensor
    """What the readout made of it, [1, *]."""
    answers: Spikes
    """What the readout makes of the steps until some of them, or of each, [K, D]."""
    places: list[int]
    """These steps, from 1."""
    what: str
    """What the answers are, in words."""


def trace_sample(module: Any, x: Tensor) -> SampleTrace:
    """What a task does with one sample [1, *]."""
    from litspike.reports.pictures.activity import LayerTrace

    layers: list[LayerTrace] = []
    order: list[tuple[NeuronLayer, str]] = []

    def see(call: Seen) -> None:
        order.append((call.layer, call.label))
        spikes = call.output.flatten(2)
        if is_spikes(spikes):
            distance = call.layer.distance(*call.arguments)
            over = None if distance is None else array(distance.flatten(2)[:, 0])
            layers.append(LayerTrace(call.label, array(spikes[:, 0]), over))

    current = module.encoder(x)
    with watched(module.network, see):
        outputs, _ = module.network(current, None)
    value, own = module.read(outputs), array(outputs[:, 0].flatten(1))
    return SampleTrace(array(current[:, 0].flatten(1)), layers, order, own, value, *_answers(module, outputs, value))


def _answers(module: Any, outputs: Tensor, value: Tensor) -> tuple[Spikes, list[int], str]:
    """What the readout makes of the outputs [T, 1, *] of one sample step by step; ``value`` is that of all of them."""
    steps = len(outputs)
    if value.dim() == 3 and value.shape[1] == steps:
        return array(value[0]), [*range(1, steps + 1)], "answer at each step"
    places = evaluated_steps(steps)
    try:
        answers = torch.stack([module.read(outputs[:place]).reshape(-1) for place in places])
    except Exception:  # a readout for sequences of one length
        return array(outputs[:, 0].flatten(1)), [*range(1, steps + 1)], "output of the network"
    return array(answers), places, "answer of the readout after each step"


def most_active_sample(layers: Sequence[Activity]) -> int:
    """The sample whose neurons begin and end firing most often; the first where none does."""
    fired = [np.nan_to_num(layer.spikes) > 0 for layer in layers]
    changes = [(spikes[1:] != spikes[:-1]).sum(0).mean(-1) for spikes in fired]
    return int(np.sum(changes, axis=0).argmax()) if changes else 0


def is_spikes(output: Tensor) -> bool:
    """Whether an output is 0 or 1 throughout; NaN passes, for a sick network is to be seen."""
    return bool(((output == 0) | (output == 1) | output.isnan()).all())


def array(values: Tensor) -> Any:
    """The values for NumPy, which knows no bfloat16."""
    return values.detach().float().cpu().numpy()
