"""The problems of a network, found in the summaries of its layers: numbers in, one message per problem out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

Messages = dict[str, str]
"""A key for each problem, and its message on the console."""

SAME = 1e-5
"""Spread of the outputs up to which they are the same: rounding alone makes that much."""


class Limits(NamedTuple):
    """The values beyond which a layer has a problem; see :class:`~litspike.callbacks.CheckUp`."""

    silent: float
    rate: float
    inside: float
    vanished: float
    exploded: float


class LayerSummary(NamedTuple):
    """A spiking layer on the validation samples of an epoch."""

    label: str
    """Number, model and size, as in ``layer 2 (LIF, 256)``."""
    surrogate: str
    """Its surrogate with its settings."""
    blind: bool
    """Whether the surrogate lets no gradient through at all, not even at the threshold."""
    rate: float
    """Spikes per neuron and step."""
    silent: float
    """Share of neurons without a spike."""
    saturated: float
    """Share of neurons with a spike at every step."""
    inside: float
    """Share of the distances from the threshold that lie inside the surrogate's window; NaN where there is none."""

    def logged(self) -> dict[str, float]:
        """The numbers by the names under which they are logged."""
        return {
            "firing rate": self.rate,
            "silent neurons": self.silent,
            "saturated neurons": self.saturated,
            "potentials in the window": self.inside,
        }


def layer_problems(layer: LayerSummary, limits: Limits, epoch: int) -> Messages:
    """What is wrong with a layer: its surrogate, and of what can follow from one another, the cause alone."""
    lines = {}
    if layer.blind:
        lines[f"blind {layer.label}"] = (
            f"{layer.label}: its surrogate, {layer.surrogate}, lets no gradient through, so that nothing before it "
            "learns; set another, such as ArcTan"
        )
    if layer.silent >= limits.silent:
        lines[f"silent {layer.label}"] = (
            f"{layer.label}: {layer.silent:.0%} of neurons never fired in epoch {epoch}; lower the threshold, or set "
            "`calibrate` (min_layers: 1 where the network is shallow)"
        )
    elif layer.rate >= limits.rate:
        lines[f"busy {layer.label}"] = (
            f"{layer.label}: neurons fired at {layer.rate:.0%} of all steps in epoch {epoch}, {layer.saturated:.0%} of "
            "them at every step; raise the threshold, scale the input down, or set `calibrate` (min_layers: 1 where "
            "the network is shallow)"
        )
    elif layer.inside < limits.inside and not layer.blind:
        lines[f"outside {layer.label}"] = (
            f"{layer.label}: {layer.inside:.1%} of membrane potentials lay inside the window of {layer.surrogate} in "
            f"epoch {epoch}, so that hardly any gradient comes through; make the surrogate wider, or the weights "
            "or the input smaller"
        )
    return lines


def nonfinite_gradients(norms: Mapping[str, float], epoch: int) -> Messages:
    """Which gradients are NaN or infinite, of their norms by the modules' labels. Nothing else means a thing then."""
    broken = [label for label, norm in norms.items() if not math.isfinite(norm)]
    if not broken:
        return {}
    return {
        "not finite": f"the gradient of {_listed(broken)} is not finite in epoch {epoch}; lower the learning rate, "
        "clip the gradient (trainer.gradient_clip_val), make the surrogate lower, or look at the data"
    }


def gradient_problems(norms: Mapping[str, float], limits: Limits, epoch: int, explained: bool) -> Messages:
    """What is wrong with the gradients.

    Args:
        norms: norm of the gradient of each module with weights, by its label, in the network's order. The last one's
            is what the others are compared with: the gradient comes in there, through no spike.
        limits: from where on a gradient has vanished or exploded, as a part of the last one.
        epoch: the epoch's number.
        explained: whether a problem of a layer accounts for a gradient that is too small.
    """
    *others, last = norms.items() if norms else [("", 0.0)]
    if last[1] == 0:  # nothing to compare with: a loss of 0, or a layer before it that is silent
        return {}
    lines = {}
    parts = {label: norm / last[1] for label, norm in others}
    vanished = [label for label, part in parts.items() if part < limits.vanished]
    exploded = [label for label, part in parts.items() if part > limits.exploded]
    if vanished and not explained:
        least = min(parts.values())
        lines["vanished"] = (
            f"the gradient of {_listed(vanished)} has vanished in epoch {epoch}: {least:.1g} times that of {last[0]}; "
            "make the surrogate wider, set `calibrate`, or take fewer layers or time steps"
        )
    if exploded:
        most = max(parts.values())
        lines["exploded"] = (
            f"the gradient of {_listed(exploded)} has exploded in epoch {epoch}: {most:.1g} times that of {last[0]}; "
            "clip it (trainer.gradient_clip_val), make the surrogate lower or narrower, or take fewer time steps"
        )
    return lines


def output_problems(spread: float, epoch: int) -> Messages:
    """What is wrong with the outputs, whose spread is :class:`~litspike.metrics.Spread`'s: they are all the same."""
    if not spread <= SAME:
        return {}
    return {
        "same": f"the network's output was the same for every validation sample in epoch {epoch}; look at the scale of "
        "the input and at the firing rates in TensorBoard, or set `calibrate`"
    }


def _listed(labels: list[str]) -> str:
    shown = labels if len(labels) <= 3 else [*labels[:2], f"{len(labels) - 2} more"]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


class LastingProblems:
    """The problems that last: each is reported once, after it was found a number of times in a row.

    Args:
        patience: number of times in a row.
    """

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self._found: dict[str, int] = {}
        self._reported: set[str] = set()

    def update(self, messages: Messages) -> list[str]:
        """The problems found now → the messages to print."""
        self._found = {name: self._found.get(name, 0) + 1 for name in messages}
        return self.now({name: messages[name] for name, times in self._found.items() if times >= self.patience})

    def now(self, messages: Messages) -> list[str]:
        """The messages to print of problems that can't be waited for."""
        new = [name for name in messages if name not in self._reported]
        self._reported.update(new)
        return [messages[name] for name in new]
