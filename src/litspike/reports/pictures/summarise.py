"""What a network does with the samples of a validation: tensors in, arrays for the pictures out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from litspike.coding.valid import valid_steps
from litspike.networks.watch import LayerCall, watched
from litspike.neurons import NeuronLayer
from litspike.reports.anytime import evaluated_steps
from litspike.reports.pictures.style import spread

MOST_NEURONS = 100
"""The most neurons that a raster shows legibly."""
MOST_STEPS = 2000
"""The most time steps, of all samples together, that a raster of one layer shows."""
FEW = 3
"""The most values a step of a sequence that is drawn as lines."""
Spikes = NDArray[np.floating]


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


def activities(module: Any, x: Tensor, most_layers: int | None, lengths: Tensor | None = None) -> list[Activity]:
    """The spikes of each layer on samples [B, *]; of ``most_layers`` evenly spaced ones where there are more.

    Sequences that end earlier, after ``lengths`` [B] steps, have no spikes from there, and no later step counts.
    """
    seen: list[Activity] = []
    calls: Counter[int] = Counter()

    def see(call: LayerCall) -> None:
        calls[call.number] += 1
        which = f", call {calls[call.number]}" if calls[call.number] > 1 else ""
        spikes = call.output.detach().flatten(2)
        if is_spikes(spikes):
            size, steps = spikes.shape[2], spikes.shape[:2].numel()
            if lengths is not None:
                valid = valid_steps(len(spikes), lengths)
                spikes, steps = spikes * valid[..., None], int(valid.sum())
            neurons = spread(size, MOST_NEURONS)
            shown = array(spikes[:, :, torch.as_tensor(neurons, device=spikes.device)])
            key, rate = f"layer {call.number}{which}", float(spikes.sum(dtype=torch.float32)) / (steps * size)
            seen.append(Activity(key, f"{call.label}{which}", shown, neurons, size, rate))

    with watched(module.network, see):
        module.respond(x)
    return seen if most_layers is None else [seen[index] for index in spread(len(seen), most_layers)]


@dataclass(frozen=True)
class LayerTrace:
    """What one layer of neurons did with one sample."""

    name: str
    spikes: Spikes
    """0 or 1, [T, *]."""
    distance: Spikes | None
    """Membrane potential above threshold, [T, *]; None of a layer that doesn't say."""


@dataclass(frozen=True)
class SampleTrace:
    """One sample through the network, as arrays."""

    image: Spikes | None
    """The sample, [H, W] or [H, W, 3] between 0 and 1; None where it is no image."""
    sequence: Spikes | None
    """The sample, [T, F]; None where it is no sequence of a few values, or goes into the network as it is."""
    current: Spikes
    """What the encoder made of it, [T, *]."""
    layers: list[LayerTrace]
    """The layers that spike, in the order of their use."""
    order: list[tuple[NeuronLayer, str]]
    """All layers of neurons, in the order of their use, with their names."""
    outputs: Spikes
    """The network's, [T, D]."""
    value: Tensor
    """What the readout made of the outputs, [1, *]."""
    answers: Spikes
    """What the readout makes of the first outputs alone, or its value for each step, [K, D]."""
    places: list[int]
    """Number of these first outputs, or the steps, counted from 1; K of them."""
    reading: str
    """What the answers are, in words."""


def trace_sample(module: Any, x: Tensor) -> SampleTrace:
    """What a task does with one sample [1, *]."""
    layers: list[LayerTrace] = []
    order: list[tuple[NeuronLayer, str]] = []

    def see(call: LayerCall) -> None:
        order.append((call.layer, call.label))
        if is_spikes(call.output):
            distance = call.layer.distance(*call.arguments)
            layers.append(
                LayerTrace(call.label, array(call.output[:, 0]), None if distance is None else array(distance[:, 0]))
            )

    current = module.encoder(x)
    with watched(module.network, see):
        outputs, _ = module.network(current, None)
    value = module.read(outputs)
    image = as_image(array(x[0])) if x.shape[2:] == current.shape[3:] else None
    own = array(outputs[:, 0].flatten(1))
    sequence = as_sequence(array(x[0]), array(current[:, 0]))
    return SampleTrace(
        image, sequence, array(current[:, 0]), layers, order, own, value, *_answers(module, outputs, value)
    )


def as_image(sample: Spikes) -> Spikes | None:
    """A sample [C, H, W] of one or three channels as an image, from 0 for its least value to 1; None of any other."""
    if sample.ndim != 3 or len(sample) not in (1, 3) or min(sample.shape[1:]) < 2:
        return None
    low, high = float(np.nanmin(sample)), float(np.nanmax(sample))
    image = (sample - low) / ((high - low) or 1.0)
    return image[0] if len(image) == 1 else np.moveaxis(image, 0, 2)


def as_sequence(sample: Spikes, current: Spikes) -> Spikes | None:
    """A sample [T] or [T, F] of a few values a step, where the current [T, *] made of it isn't the same; else None."""
    if sample.shape == current.shape[1:] or len(sample.reshape(-1)) == 0 or sample.ndim not in (1, 2):
        return None
    values = sample.reshape(len(sample), -1)
    same = values.size == current.size and np.array_equal(values.reshape(-1), current.reshape(-1))
    return None if same or len(values) != len(current) or values.shape[1] > FEW else values


def _answers(module: Any, outputs: Tensor, value: Tensor) -> tuple[Spikes, list[int], str]:
    """What the readout makes of the outputs [T, 1, *] of one sample step by step; ``value`` is that of all of them."""
    steps, readout = len(outputs), type(module.readout).__name__
    if value.dim() == 3 and value.shape[1] == steps:
        return array(value[0].flatten(1)), [*range(1, steps + 1)], f"readout ({readout}) at each step"
    places = evaluated_steps(steps)
    try:
        answers = torch.stack([module.read(outputs[:place]).reshape(-1) for place in places])
    except Exception:  # a readout for sequences of one length
        return array(value.reshape(1, -1)), [steps], f"readout ({readout}) of all steps"
    return array(answers), places, f"readout ({readout}) of the steps until then"


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
