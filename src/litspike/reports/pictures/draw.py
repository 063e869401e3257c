"""Which pictures there are of a task, and how each is drawn from the samples of a validation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from litspike.networks.watch import evaluation_mode
from litspike.neurons import Neuron, NeuronLayer
from litspike.reports.pictures.activity import membrane_traces, spike_raster
from litspike.reports.pictures.collect import ValidationSamples
from litspike.reports.pictures.results import (
    Learned,
    confusion_matrix,
    decision_boundary,
    decision_regions,
    learned_parameters,
)
from litspike.reports.pictures.sample import OneSample, one_sample
from litspike.reports.pictures.style import spread
from litspike.reports.pictures.summarise import (
    MOST_STEPS,
    Activity,
    SampleTrace,
    activities,
    array,
    most_active_sample,
    trace_sample,
)

GRID = 80
"""Points along each side of the plane that the decision boundary is computed on."""
ONE_SAMPLE = "one sample"
FRAMES = 40
"""The most frames of an animation."""

Named = tuple[str, Callable[[], Figure | Iterator[Figure] | None]]
Chosen = tuple[list[Activity], list[int] | None, SampleTrace, Tensor]


def pictures_of(module: Any, samples: ValidationSamples, most_layers: int | None, about: str) -> Iterator[Named]:
    """Name of each picture, and what draws it, or finds that there is nothing to draw.

    Args:
        module: a :class:`~litspike.tasks.task.Task`.
        samples: those of the validation.
        most_layers: the most layers whose spikes are drawn; all where None.
        about: epoch and metric, for the titles.
    """
    layers, classes, trace, y = _chosen(module, samples, most_layers)
    for layer in layers:
        yield f"spikes/{layer.key}", partial(_raster, layer, classes, about)
    which = _which(module, samples, trace, y)
    yield "membrane potential", lambda: membrane_traces(trace.layers, f"membrane potentials, {which}\n{about}")
    yield ONE_SAMPLE, lambda: one_sample(_one_sample(module, samples, trace, y), f"{which}\n{about}")
    if samples.confusion is not None:
        counts = samples.confusion
        yield "confusion matrix", lambda: confusion_matrix(counts, f"confusion matrix, {about}")
    if (points := samples.points()) is not None:
        yield "decision boundary", lambda: _boundary(module, *points, f"decision boundary, {about}")
    if learned := _learned(module, trace.order):
        yield "learned parameters", lambda: learned_parameters(learned, f"learned parameters of the neurons, {about}")


def animation_of(module: Any, samples: ValidationSamples, about: str) -> Iterator[Figure]:
    """The pictures of one sample, time step by time step."""
    _, _, trace, y = _chosen(module, samples, None)
    yield from animated(_one_sample(module, samples, trace, y), f"{_which(module, samples, trace, y)}\n{about}")


def animated(sample: OneSample, title: str) -> Iterator[Figure]:
    """The picture of one sample after its first time step, after two, and so on: 40 figures at most."""
    for step in spread(sample.steps, FRAMES) + 1:
        yield one_sample(sample, title, int(step))


def _chosen(module: Any, samples: ValidationSamples, most_layers: int | None) -> Chosen:
    """The layers' spikes on the samples that fit into a raster, the classes of these, and the most active of them."""
    x, y = samples.batch()
    lengths = samples.lengths()
    with evaluation_mode(module):
        count = min(max(MOST_STEPS // len(module.encoder(x[:1])), 1), len(x))
        chosen = y[:count].argsort(stable=True) if samples.grouped else torch.arange(count)
        layers = activities(module, x[chosen], most_layers, None if lengths is None else lengths[chosen])
        one = int(chosen[most_active_sample(layers)])
        sample, target = x[one : one + 1], y[one]
        if lengths is not None:
            end = int(lengths[one])
            sample, target = sample[:, :end], target[:end] if target.dim() > 1 else target
        trace = trace_sample(module, sample)
    return layers, [int(label) for label in y[chosen]] if samples.grouped else None, trace, target


def _raster(layer: Activity, classes: list[int] | None, about: str) -> Figure:
    title = f"spikes of {layer.name}, {about}"
    return spike_raster(layer.spikes, layer.neurons, layer.size, layer.rate, classes, title)


def _which(module: Any, samples: ValidationSamples, trace: SampleTrace, y: Tensor) -> str:
    """Which sample it is that is shown by itself."""
    if not samples.grouped:
        return "a validation sample"
    return f"a validation sample of class {int(y)}, classified as {int(module.loss.predictions(trace.value)[0])}"


def _one_sample(module: Any, samples: ValidationSamples, trace: SampleTrace, y: Tensor) -> OneSample:
    same = trace.outputs.shape == trace.answers.shape and np.allclose(trace.outputs, trace.answers, equal_nan=True)
    fits = trace.outputs.shape[1] == trace.answers.shape[1]
    shared: dict[str, Any] = {
        "outputs": trace.outputs if fits and not same else None,
        "places": trace.places,
        "reading": trace.reading,
        "image": trace.image,
        "sequence": trace.sequence,
    }
    count = trace.answers.shape[1]
    if samples.grouped:
        names = [f"class {index}" for index in range(count)] if count > 1 else ["logit of class 1"]
        found = array(module.loss.probabilities(torch.as_tensor(trace.answers)))
        probabilities = found if found.ndim == 2 else np.stack([1 - found, found], 1)
        shared |= {"probabilities": probabilities, "true": int(y)}
    else:
        names = [f"output {index}" for index in range(count)] if count > 1 else ["output"]
        answer = _each_step(trace, array(trace.value))
        last = answer if answer is not None and len(answer) == 1 else None
        shared |= {"target": _each_step(trace, array(y)), "answer": last}
    return OneSample(trace.current, trace.layers, trace.answers, names, **shared)


def _each_step(trace: SampleTrace, values: Any) -> Any:
    """Targets or answers of every step [T, D], or after the last one [1, D]; None where they don't fit the outputs."""
    outputs = trace.answers.shape[1]
    flat = values.reshape(-1, outputs) if values.size % outputs == 0 else []
    return flat if len(flat) in (1, len(trace.current)) else None


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
