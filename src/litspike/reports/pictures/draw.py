"""Which pictures there are of a task, and how each is drawn from what was collected of a validation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from litspike.neurons import Neuron, NeuronLayer
from litspike.reports.pictures import collect
from litspike.reports.pictures.activity import OneSample, membrane_traces, one_sample, spike_raster
from litspike.reports.pictures.collect import (
    MOST_STEPS,
    Activity,
    SampleTrace,
    ValidationSamples,
    array,
    evaluation_mode,
)
from litspike.reports.pictures.results import (
    Learned,
    confusion_matrix,
    decision_boundary,
    decision_regions,
    learned_parameters,
)

GRID = 80
"""Points along each side of the plane that the decision boundary is computed on."""

Named = tuple[str, Callable[[], Figure | None]]


def pictures_of(module: Any, collected: ValidationSamples, most_layers: int | None, about: str) -> Iterator[Named]:
    """Name of each picture, and what draws it, or finds that there is nothing to draw.

    Args:
        module: a :class:`~litspike.tasks.task.Task`.
        collected: what was collected of the validation.
        most_layers: the most layers whose spikes are drawn; all where None.
        about: epoch and figure, for the titles.
    """
    x, y = collected.batch()
    with evaluation_mode(module):
        count = min(max(MOST_STEPS // len(module.encoder(x[:1])), 1), len(x))
        chosen = y[:count].argsort(stable=True) if collected.grouped else torch.arange(count)
        layers = collect.activities(module, x[chosen], most_layers)
        one = int(chosen[collect.most_active_sample(layers)])
        way = collect.trace_sample(module, x[one : one + 1])
    classes = [int(label) for label in y[chosen]] if collected.grouped else None
    for layer in layers:
        yield f"spikes/{layer.key}", partial(_raster, layer, classes, about)
    of_one, names = _of_one(module, collected, way, y[one])
    yield "membrane potential", lambda: membrane_traces(way.layers, f"membrane potentials, {of_one}\n{about}")
    sample = OneSample(way.current, way.layers, way.answers, names, places=way.places, what=way.what)
    if not collected.grouped:
        answer = _each_step(way, array(way.value))
        last = answer if answer is not None and len(answer) == 1 else None
        sample = replace(sample, target=_each_step(way, array(y[one])), answer=last)
    yield "one sample", lambda: one_sample(sample, f"{of_one}\n{about}")
    if collected.confusion is not None:
        counts = collected.confusion
        yield "confusion matrix", lambda: confusion_matrix(counts, f"confusion matrix, {about}")
    if (points := collected.points()) is not None:
        yield "decision boundary", lambda: _boundary(module, *points, f"decision boundary, {about}")
    if learned := _learned(module, way.order):
        yield "learned parameters", lambda: learned_parameters(learned, f"learned parameters of the neurons, {about}")


def _raster(layer: Activity, classes: list[int] | None, about: str) -> Figure:
    title = f"spikes of {layer.name}, {about}"
    return spike_raster(layer.spikes, layer.neurons, layer.size, layer.rate, classes, title)


def _of_one(module: Any, collected: ValidationSamples, way: SampleTrace, y: Tensor) -> tuple[str, list[str]]:
    """What the sample is that is shown by itself, and what each output of the network stands for."""
    outputs = way.answers.shape[1]
    if not collected.grouped:
        return "a validation sample", [f"output {index}" for index in range(outputs)]
    predicted = int(module.loss.predictions(way.value)[0])
    names = [f"class {index}" for index in range(outputs)] if outputs > 1 else ["logit of class 1"]
    return f"a validation sample of class {int(y)}, taken for class {predicted}", names


def _each_step(way: SampleTrace, values: Any) -> Any:
    """Targets or answers of every step [T, D], or after the last one [1, D]; None where they don't fit the outputs."""
    steps, outputs = way.answers.shape
    flat = values.reshape(-1, outputs) if values.size % outputs == 0 else []
    return flat if len(flat) in (1, steps) else None


def _boundary(module: Any, x: Tensor, y: Tensor, title: str) -> Figure:
    extent = float(x.abs().max()) * 1.05 or 1.0
    ticks = torch.linspace(-extent, extent, GRID, device=x.device, dtype=x.dtype)
    grid = torch.cartesian_prod(ticks, ticks).flip(1)
    with evaluation_mode(module):
        value = module.respond(grid)[0]
        if value.shape[1] == 1:
            probability = array(module.loss.probabilities(value)).reshape(GRID, GRID)
            return decision_boundary(probability, extent, array(x), array(y), title)
        classes = module.loss.predictions(value).view(GRID, GRID).cpu().numpy()
    return decision_regions(classes, extent, array(x), array(y), title)


def _learned(module: Any, layers: list[tuple[NeuronLayer, str]]) -> list[Learned]:
    """What the neurons of a task learn, those of its encoder and readout included."""
    named: dict[nn.Module, str] = {}
    for layer, label in layers:
        for part in layer.modules():
            named.setdefault(part, label)
    for name in ("encoder", "readout"):
        named.update({part: f"{name} ({type(part).__name__})" for part in getattr(module, name).modules()})
    return [
        Learned(
            name, parameter, array(getattr(neuron, parameter).reshape(-1)),
            neuron._initial[parameter],
        )
        for neuron, name in named.items() if isinstance(neuron, Neuron) for parameter in neuron.learn or {}
    ]  # fmt: skip
