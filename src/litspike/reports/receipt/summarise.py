"""The measured parts of a receipt, as plain numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence, Sized
from dataclasses import asdict
from typing import Any, NamedTuple

import torch
from lightning import LightningModule, Trainer
from torch import Tensor, nn

from litspike.metrics import ClassRecall, EnergyModel, SampleMean, most_of, wilson_interval
from litspike.metrics.energy import NOT_COUNTED, SOURCE, Connection, Energy, Layer, activation_bits
from litspike.networks.sequence import neuron_layers
from litspike.neurons import Neuron, Recurrent
from litspike.reports.anytime import Curve
from litspike.reports.console import logged
from litspike.reports.receipt.collect import Measurements
from litspike.tasks import CarriedClassification, Classification
from litspike.tasks.epoch_metrics import numbers
from litspike.tasks.task import Task

CARRIED = "the state is carried from batch to batch, so that the answers are not independent"
REPEATED = "several processes tested the same samples"
UNKNOWN = "its spread over the samples is not known"
NOT_A_MEAN = "the loss is no mean over the samples"
ONE_SAMPLE = "one sample has no spread"
NO_CHANGE = "it is the same without any twentieth of the samples, or not known without one"


def parameters(module: nn.Module) -> dict[str, int]:
    """Number of parameters, and of those that are trained."""
    found = [(parameter.numel(), parameter.requires_grad) for parameter in module.parameters()]
    return {"all": sum(size for size, _ in found), "trained": sum(size for size, trained in found if trained)}


def figures(trainer: Trainer, module: LightningModule, measurements: Measurements | None) -> dict[str, dict[str, Any]]:
    """The metrics of the test, each with its value and, where it is known, its 95% interval and its method."""
    found: dict[str, dict[str, Any]] = {name: {"value": value} for name, value in logged(trainer, "test").items()}
    if measurements is None:
        return {name: {**figure, "no_interval": UNKNOWN} for name, figure in found.items()}
    known: dict[str, Known] = {}
    if "loss" not in measurements.left_out:
        ((mean, interval),) = _means_with_intervals(measurements.losses, ["loss"])
        known["loss"] = Known(mean, interval, _of("loss"))
    if "score" not in measurements.left_out:
        scores = measurements.task.test_metrics.scores
        means = _means_with_intervals(measurements.scores, [score.name for score in scores])
        for score, (mean, interval) in zip(scores, means, strict=True):
            values = torch.tensor([mean, *(interval or ())], dtype=torch.float64)
            if score.of_mean is not None:  # it rises with the mean, and so do the interval's ends
                values = score.of_mean(values)
            mean, *ends = values.tolist()
            known[score.name] = Known(mean, (ends[0], ends[1]) if ends else None, _of(score.name))
    for name, computed in measurements.computed.items():
        jackknife = measurements.metrics[name]
        intervals = zip(computed[0].reshape(-1).tolist(), jackknife.interval(computed), strict=True)
        about = f"jackknife of {jackknife.groups} groups", NO_CHANGE
        names = numbers(name, jackknife.all, computed[0])
        known |= zip(names, (Known(*each, *about) for each in intervals), strict=True)
    samples = measurements.task.samples.get("test", 0)
    for name, figure in found.items():
        figure |= _interval(name, figure["value"], known.get(name), samples, module)
    return found


class Known(NamedTuple):
    """A metric's value, its interval where there is one, whose that is, and why there is none."""

    value: float
    interval: tuple[float, float] | None
    of: str
    why_none: str = ONE_SAMPLE


def _of(name: str) -> str:
    """Whose interval that of a mean over the samples is."""
    return "Student" if most_of(name) is None else "score, Student's quantile"


def _means_with_intervals(means: SampleMean, names: list[str]) -> list[tuple[float, tuple[float, float] | None]]:
    values = means.compute()["mean"].reshape(-1).tolist()
    intervals: list[tuple[float, float] | None] = [*means.intervals(*map(most_of, names))] or [None] * len(values)
    return list(zip(values, intervals, strict=True))


def _interval(
    name: str,
    value: float,
    known: Known | None,
    samples: int,
    module: LightningModule,
) -> dict[str, Any]:
    if isinstance(module, CarriedClassification):
        return {"no_interval": CARRIED}
    if samples > _available(module.trainer):
        return {"no_interval": REPEATED}
    if name == "accuracy" and samples:
        return {"interval": list(wilson_interval(round(value * samples), samples)), "of": "Wilson"}
    if known is None:
        return {"no_interval": UNKNOWN}
    if not math.isclose(known.value, value, rel_tol=1e-3, abs_tol=1e-6):
        return {"no_interval": NOT_A_MEAN}
    if known.interval is None:
        return {"no_interval": known.why_none}
    return {"interval": known.interval, "of": known.of}


def _available(trainer: Trainer) -> float:
    """Number of test samples there are; infinity where that isn't known."""
    dataset = getattr(trainer.test_dataloaders, "dataset", None)
    return len(dataset) if isinstance(dataset, Sized) else math.inf


def classes(recall: ClassRecall, names: Sequence[str]) -> list[dict[str, Any]]:
    """Number of samples, recall and its 95% interval (Wilson) of each class; recall is None of one without samples."""
    counts, shown = recall.compute(), []
    for index, (samples, found) in enumerate(zip(counts["samples"].tolist(), counts["found"].tolist(), strict=True)):
        name = names[index] if index < len(names) else str(index)
        interval = wilson_interval(found, samples) if samples else None
        share = found / samples if samples else None
        shown.append({"class": name, "samples": samples, "recall": share, "interval": interval})
    return shown


def layers(measurements: Measurements) -> dict[str, dict[str, Any]]:
    """Module, model, size and firing of each spiking layer; ``sparsity`` is the share of outputs that are no spikes."""
    found = {}
    for name, label in measurements.layers.items():
        if label not in measurements.left_out:
            number, model, firing = measurements.firing[name]
            shares = {key: float(value) for key, value in firing.compute().items()}
            about = {"module": name, "model": model, "neurons": firing.neurons}
            found[f"layer {number}"] = {**about, **shares, "sparsity": 1 - shares["rate"]}
    return found


def connections(measurements: Measurements) -> dict[str, Any]:
    """Synaptic operations of one sample: of each connection and of all of them."""
    assert measurements.operations is not None
    operations = measurements.operations
    found: dict[str, dict[str, Any]] = {}
    for name, counts in operations.compute().items():
        sums = {kind: float(count.sum()) for kind, count in counts.items()}
        first = float(counts["dense"].reshape(-1)[0])
        once = measurements.steps > 1 and sums["dense"] == first > 0
        about = {"layer": str(operations.connections[name]), "dense_of_one_step": first, "computed_once": once}
        about["weights"] = operations.connections[name].weight.numel()
        found[name] = {**sums, **about}
    total = {kind: sum(layer[kind] for layer in found.values()) for kind in ("dense", "macs", "acs")}
    one_step = sum(layer["dense_of_one_step"] for layer in found.values())
    all_of_it = {**total, "dense_of_one_step": one_step, "effective": total["macs"] + total["acs"]}
    return {**all_of_it, "connections": found, "not_counted": operations.uncounted}


def energies(measurements: Measurements, content: dict[str, Any], model: EnergyModel) -> dict[str, Any]:
    """Energy of one sample in nanojoules: of its arithmetic, and with memory, beside the same layers without spikes."""
    operations = content["operations"]
    found = {
        "unit": "nJ",
        "with_spikes": model.arithmetic(operations["macs"], operations["acs"]),
        "without_spikes_one_pass": model.arithmetic(operations["dense_of_one_step"], 0),
        "without_spikes_every_step": model.arithmetic(operations["dense"], 0),
        "pj_per_mac": model.multiply_pj + model.add_pj,
        "pj_per_ac": model.add_pj,
        "source": SOURCE,
        "not_counted": NOT_COUNTED,
        "settings": asdict(model),
    }
    firing, unknown = _firing_layers(measurements, content["layers"])
    if unknown:
        return {**found, "no_memory": unknown}
    before = measurements.before_neurons
    connections = [
        Connection(
            **{kind: one[kind] for kind in Connection._fields[:-1]}, of_spikes=before is not None and name not in before
        )
        for name, one in operations["connections"].items()
    ]
    steps, sequence = measurements.steps, not _stands_still(measurements.task)
    return found | {
        "with_memory": _parts(model.with_spikes(connections, firing, steps)),
        "without_spikes_same_bits": _parts(model.without_spikes(connections, firing, steps, sequence)),
        "activation_bits": model.weight_bits if sequence else activation_bits(steps),
        "sequence": sequence,
        "firing_rate": sum(one.rate * one.neurons for one in firing) / max(sum(one.neurons for one in firing), 1),
        "spikes_win_below": model.spikes_win_below(connections, firing, steps, sequence),
    }


def _parts(energy: Energy) -> dict[str, float]:
    return {**energy._asdict(), "total": energy.total}


def _firing_layers(measurements: Measurements, known: dict[str, Any]) -> tuple[list[Layer], str | None]:
    """The layers of neurons, and why one of them can't be counted."""
    firing = {layer["module"]: layer for layer in known.values()}
    found = []
    for name, layer in neuron_layers(measurements.task.network):
        label = measurements.layers[name]
        neurons = [part for part in layer.modules() if isinstance(part, Neuron)]
        if name not in firing:
            return [], f"{label}: {measurements.left_out[label]}"
        if not neurons:
            return [], f"{label}: how many states it has is not known"
        states = sum(len(part.rest) for part in neurons)
        found.append(Layer(firing[name]["neurons"], states, firing[name]["rate"], 1 + isinstance(layer, Recurrent)))
    return found, None


def _stands_still(task: Task) -> bool:
    """Whether the time steps are the encoder's own, of a sample that has none."""
    return not isinstance(task, CarriedClassification) and any(hasattr(one, "steps") for one in task.encoder.modules())


def anytime(measurements: Measurements, of_test: dict[str, dict[str, Any]]) -> Curve | None:
    """The score after each of the evaluated steps; None where there is one step, or the score is not known."""
    if "anytime" in measurements.left_out:
        return None
    assert measurements.answers is not None
    found, name = measurements.answers.compute(), measurements.task.test_metrics.scores[0].name
    values, samples = found["mean"].reshape(-1).tolist(), int(found["samples"])
    intervals = measurements.answers.intervals(*[most_of(name)] * len(values))
    if name == "accuracy":
        intervals = [wilson_interval(round(value * samples), samples) for value in values]
    if "interval" not in of_test.get(name, {}):
        intervals = []
    spent: dict[str, list[float]] = {"macs": [], "acs": []}
    if "operations" not in measurements.left_out and measurements.operations is not None:
        counts = measurements.operations.compute().values()
        spent = {kind: _until([count[kind] for count in counts], measurements.points) for kind in spent}
    rises = isinstance(measurements.task, Classification)
    curve = Curve(name, rises, measurements.points, values, intervals, spent["macs"], spent["acs"])
    return curve if measurements.steps > 1 else None


def _until(counts: list[Tensor], points: list[int]) -> list[float]:
    """Sum over the connections, each [T], of all steps up to each of the points."""
    by_step = [count.reshape(-1).cumsum(0) for count in counts]
    return [sum(float(total[point - 1]) for total in by_step) for point in points]
